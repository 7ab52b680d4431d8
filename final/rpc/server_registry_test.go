package rpc

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type base struct{}

func (base) Inherited(int) error        { return nil }
func (*base) InheritedToo(int) error    { return nil }
func (base) Overridden(int) string      { return "base" }
func (base) OverriddenByPtr(int) string { return "base" }

type shelf struct {
	sync.Mutex // brings TryLock
	base
	*bytes.Buffer // brings Write, Read …, which have the right shape
}

func (s *shelf) Close() error                                { return nil }
func (s *shelf) String() string                              { return "shelf" }
func (s *shelf) Count(item string) int                       { return len(item) }
func (s *shelf) Take(ctx context.Context, item string) error { return nil }
func (s *shelf) List(ctx context.Context) ([]string, error)  { return []string{"a"}, nil }
func (s *shelf) Nothing(item string)                         {}
func (s *shelf) Two(a, b int) error                          { return nil }
func (s *shelf) Many(a ...int) error                         { return nil }
func (s *shelf) TwoResults(a int) (int, int)                 { return 0, 0 }
func (s shelf2) Value(item string) string                    { return "value " + item }
func (s *shelf) Overridden(int) string                       { return "shelf" }
func (s *shelf) OverriddenByPtr(int) string                  { return "shelf" }
func (s *shelf) unexported(int) error                        { return nil }

type shelf2 struct{ base }

// A receiver with an embedded Mutex and a Close offers TryLock, Close and String
// to a careless registry. What an embedded field has, too, is never published.
func TestRegister_PublishesOnlyWhatIsMeantForCallers(t *testing.T) {
	srv := NewServer()
	s := &shelf{}
	assert.NoError(t, s.unexported(1))
	require.NoError(t, srv.Register("Shelf", s, SkipUnfit()))
	require.NoError(t, srv.Register("ByValue", shelf2{}))
	require.NoError(t, srv.Register("ByPointer", &shelf2{}))
	var names []string
	for _, m := range srv.Methods() {
		names = append(names, m.Name)
	}
	assert.Equal(t, []string{
		"ByPointer.Value", "ByValue.Value",
		"Shelf.Count", "Shelf.List", "Shelf.Take",
	}, names)
}

func TestRegister_NamesTheMethodsThatDoNotFit(t *testing.T) {
	srv := NewServer()
	err := srv.Register("Shelf", &shelf{})
	for _, name := range []string{"Nothing", "Two", "Many", "TwoResults"} {
		assert.ErrorContains(t, err, "rpc: register Shelf."+name+": func(")
	}
	for _, name := range []string{"Close", "String", "TryLock", "Write", "Count"} {
		assert.NotContains(t, err.Error(), "Shelf."+name)
	}
	assert.ErrorContains(t, err, "SkipUnfit")
	assert.Empty(t, srv.Methods())
}

func TestRegister_DescribesTypes(t *testing.T) {
	srv := NewServer()
	require.NoError(t, srv.Register("Shelf", &shelf{}, SkipUnfit()))
	require.NoError(t, checkStock.Handle(srv, newInventory().check, NonBlocking()))
	byName := map[string]MethodInfo{}
	for _, m := range srv.Methods() {
		byName[m.Name] = m
	}
	assert.Equal(t, reflect.TypeFor[string](), byName["Shelf.Count"].Params)
	assert.Equal(t, reflect.TypeFor[int](), byName["Shelf.Count"].Reply)
	assert.Nil(t, byName["Shelf.Take"].Reply)
	assert.Nil(t, byName["Shelf.List"].Params)
	assert.Equal(t, MethodInfo{
		Name:        "Inventory.CheckStock",
		Params:      reflect.TypeFor[stockRequest](),
		Reply:       reflect.TypeFor[stockReply](),
		NonBlocking: true,
	}, byName["Inventory.CheckStock"])
}

func TestRegister_RefusesWhatCannotBeCalled(t *testing.T) {
	srv := NewServer()
	assert.ErrorContains(t, srv.Register("X", nil), "receiver is nil")
	assert.ErrorContains(t, srv.Register("X", struct{}{}), "has no method")
	assert.ErrorContains(t, srv.RegisterFunc("X.Y", 7), "int is nil or not a function")
	assert.ErrorContains(t, srv.RegisterFunc("X.Y", (func())(nil)), "is nil or not a function")
	assert.ErrorContains(t, srv.RegisterFunc("X.Y", func(int) {}), "want a result")
	assert.ErrorContains(t, srv.RegisterFunc("X.Y", func(a, b int) error { return nil }), "want func(")
	for _, name := range []string{"", "X", ".Y", "X.", "X.a b", "X.a\n", "X.\xff", "X." + strings.Repeat("y", 200)} {
		assert.Error(t, srv.RegisterFunc(name, func() error { return nil }), "%q", name)
	}
	assert.Empty(t, srv.Methods())
}

func TestRegister_DuplicateIsRefusedAndNothingIsPublished(t *testing.T) {
	srv := NewServer()
	require.NoError(t, srv.RegisterFunc("Shelf.List", func() error { return nil }))
	assert.EqualError(t, srv.Register("Shelf", &shelf{}, SkipUnfit()), "rpc: method Shelf.List is registered already")
	assert.Len(t, srv.Methods(), 1)
	assert.Error(t, checkStockTwice(srv))
}

func checkStockTwice(srv *Server) error {
	inv := newInventory()
	if err := checkStock.Handle(srv, inv.check); err != nil {
		return nil
	}
	return checkStock.Handle(srv, inv.check)
}

func TestRegister_FunctionsOfEveryShapeCanBeCalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		client := pipe(t, srv)
		type point struct{ X, Y int }
		for name, fn := range map[string]any{
			"F.Value":          func(p point) int { return p.X },
			"F.Pointer":        func(p *point) int { return p.X },
			"F.PointerAndBack": func(ctx context.Context, p *point) (*int, error) { return &p.X, ctx.Err() },
			"F.Map":            func(m map[string]int) int { return m["X"] },
			"F.Any":            func(v any) int { return int(v.(map[string]any)["X"].(float64)) },
		} {
			require.NoError(t, srv.RegisterFunc(name, fn))
			var x int
			require.NoError(t, client.Call(t.Context(), name, point{X: 7}, &x), name)
			assert.Equal(t, 7, x, name)
		}
		require.NoError(t, srv.RegisterFunc("F.Fails", func(p point) (int, error) { return 1, Aborted }))
		assert.ErrorIs(t, client.Call(t.Context(), "F.Fails", point{}, nil), Aborted)
		require.NoError(t, srv.RegisterFunc("F.NilPointer", func() (*int, error) { return nil, nil }))
		x := 5
		require.NoError(t, client.Call(t.Context(), "F.NilPointer", nil, &x))
		assert.Zero(t, x)
	})
}

func TestMethod_HandlerThatReturnsNothingIsInternal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		require.NoError(t, checkStock.Handle(srv, func(context.Context, *stockRequest) (*stockReply, error) { return nil, nil }))
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{})
		assert.EqualError(t, err, "internal: Inventory.CheckStock returned neither reply nor error")
	})
}

type (
	clockwork   struct{}
	pointerRing *pointerRing
)

func (*clockwork) Tick(context.Context) error { return nil }

// halfClock has one method, and its pointer another.
type halfClock struct{}

func (halfClock) Hour(context.Context) int    { return 1 }
func (*halfClock) Tick(context.Context) error { return nil }

func TestRegister_SaysWhatWouldBeRight(t *testing.T) {
	srv := NewServer()
	assert.EqualError(t, srv.Register("Clock", clockwork{}), "rpc: register Clock: rpc.clockwork has no method Tick; *rpc.clockwork has: register a pointer")
	assert.EqualError(t, srv.Register("Clock", halfClock{}), "rpc: register Clock: rpc.halfClock has no method Tick; *rpc.halfClock has: register a pointer")
	assert.ErrorContains(t, srv.RegisterFunc("T.Failure", func(int) *Error { return nil }), "a *rpc.Error is an error, and would be sent as a result: want the type error")
	assert.ErrorContains(t, srv.RegisterFunc("T.Code", func(int) Code { return OK }), "a rpc.Code is an error")
	assert.ErrorContains(t, srv.RegisterFunc("T.Errors", func(int) (error, error) { return nil, nil }), "a error cannot travel")
	assert.ErrorContains(t, srv.RegisterFunc("T.Reader", func(io.Reader) error { return nil }), "a io.Reader cannot travel")
	assert.ErrorContains(t, srv.RegisterFunc("T.Nil", (func(int) int)(nil)), "func(int) int is nil or not a function")
	assert.ErrorContains(t, srv.RegisterFunc("T.Chan", func(chan int) error { return nil }), "a chan int cannot travel: want data")
	assert.ErrorContains(t, srv.RegisterFunc("T.Ring", func(pointerRing) error { return nil }), "a rpc.pointerRing cannot travel: want data")
	assert.ErrorContains(t, srv.RegisterFunc("T.Ring", func() pointerRing { return nil }), "a rpc.pointerRing cannot travel: want data")
	assert.ErrorContains(t, srv.RegisterFunc("T.Func", func(int) func() { return nil }), "a func() cannot travel: want data")
	assert.ErrorContains(t, checkStock.Handle(srv, nil), "the function is nil")
	assert.EqualError(t, new(Server).RegisterFunc("T.Fn", func(int) error { return nil }), "rpc: a Server is made by NewServer")
	assert.Empty(t, srv.Methods())
}

// A function that returns any may return an error by it. That is no success.
func TestRegister_AnErrorInAnyIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		interceptor := func(info MethodInfo, next Handler) Handler {
			if info.Name != "T.Intercepted" {
				return next
			}
			return func(context.Context, any) (any, error) { return NotFound, nil }
		}
		srv := newServer(t, WithServerInterceptors(interceptor))
		for name, fn := range map[string]any{
			"T.Code":        func() any { return NotFound },
			"T.Error":       func() any { return Errorf(NotFound, "no such item") },
			"T.Pair":        func() (any, error) { return NotFound, nil },
			"T.Pointer":     func() *any { v := any(NotFound); return &v },
			"T.Stringer":    func() fmt.Stringer { return NotFound },
			"T.Intercepted": func() error { return nil },
		} {
			require.NoError(t, srv.RegisterFunc(name, fn), name)
		}
		declared := Method[int, any]("T.Declared")
		require.NoError(t, declared.Handle(srv, func(context.Context, *int) (*any, error) { v := any(NotFound); return &v, nil }))
		require.NoError(t, srv.RegisterFunc("T.Data", func() any { return 7 }))
		require.NoError(t, srv.RegisterFunc("T.Nil", func() any { return nil }))
		client := pipe(t, srv)
		for _, name := range []string{"T.Code", "T.Error", "T.Pair", "T.Pointer", "T.Stringer", "T.Declared", "T.Intercepted"} {
			assert.ErrorIs(t, client.Call(t.Context(), name, nil, nil), NotFound, name)
		}
		var n int
		require.NoError(t, client.Call(t.Context(), "T.Data", nil, &n))
		assert.Equal(t, 7, n)
		assert.NoError(t, client.Call(t.Context(), "T.Nil", nil, nil))
	})
}

// onlyByPointer has no method to publish without one.
type onlyByPointer struct{}

func (*onlyByPointer) Tick(int) error { return nil }

func TestRegister_ErrorsHaveACodeAndNameThePointer(t *testing.T) {
	srv := NewServer()
	for _, opts := range [][]MethodOption{nil, {SkipUnfit()}} {
		err := srv.Register("Clock", onlyByPointer{}, opts...)
		assert.EqualError(t, err, "rpc: register Clock: rpc.onlyByPointer has no method Tick; *rpc.onlyByPointer has: register a pointer")
		assert.ErrorIs(t, err, InvalidArgument)
	}
	require.NoError(t, srv.Register("Clock", &onlyByPointer{}))
	for want, errs := range map[Code][]error{
		AlreadyExists: {srv.Register("Clock", &onlyByPointer{}), srv.RegisterFunc("Clock.Tick", func() error { return nil })},
		InvalidArgument: {
			srv.Register("X", nil), srv.Register("X", struct{}{}), srv.Register("X", &onlyByPointer{}, nil),
			srv.RegisterFunc("X.Y", 7), srv.RegisterFunc("X.Y", func(int) {}), srv.RegisterFunc("X", func() error { return nil }),
			srv.RegisterFunc(strings.Repeat("x", 200)+".Y", func() error { return nil }), srv.RegisterFunc("X.Y", func(a, b int) error { return nil }),
			checkStock.Handle(srv, nil), srv.RegisterFunc("X.Y", func() error { return nil }, SkipUnfit()),
			NewServer(WithServerInterceptors(func(MethodInfo, Handler) Handler { return nil })).RegisterFunc("X.Y", func() error { return nil }),
		},
	} {
		for i, err := range errs {
			assert.Equal(t, want, CodeOf(err), "%d: %v", i, err)
		}
	}
}
