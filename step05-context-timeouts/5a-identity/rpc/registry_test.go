package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_CallsARegisteredMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		var quantity int
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
		assert.EqualError(t, call(c, "Inventory.CheckStock", "item9", nil), "unknown item: item9")
	})
}

func TestServer_RefusesUnknownMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		for _, method := range []string{"Nobody.WroteThis", "Inventory", "Inventory.", ".CheckStock",
			"inventory.CheckStock", "Inventory.checkStock", "/Inventory.CheckStock", "Inventory.CheckStock "} {
			assert.EqualError(t, call(c, method, "item1", nil), "method not found: "+method)
		}
	})
}

type line struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

func TestServer_CallsEveryShapeOfFunction(t *testing.T) {
	for _, test := range []struct {
		name         string
		fn           any
		params       any
		want, errors string // the result as Go prints it, or the error
	}{
		{"an int stays an int", func(n int) int { return n }, 9007199254740993, "9007199254740993", ""},
		{"a struct", func(l line) line { return l }, line{"item1", 2}, "map[item:item1 quantity:2]", ""},
		{"a pointer", func(l *line) string { return l.Item }, line{"item1", 2}, "item1", ""},
		{"a slice", func(n []int) int { return len(n) }, []int{1, 2}, "2", ""},
		{"anything", func(v any) any { return v }, "x", "x", ""},
		{"no parameter", func() string { return "none" }, nil, "none", ""},
		{"no parameter and an empty object", func() string { return "none" }, struct{}{}, "none", ""},
		{"no result", func(string) {}, "x", "<nil>", ""},
		{"no error", func() (int, error) { return 1, nil }, nil, "1", ""},
		{"only an error", func() error { return errors.New("no") }, nil, "", "no"},
		{"only an error, nil", func() error { return nil }, nil, "<nil>", ""},
		{"an error with a result", func() (int, error) { return 1, errors.New("no") }, nil, "", "no"},
		{"an error without a text", func() error { return errors.New("") }, nil, "", "unknown error"},
		{"a result that is no JSON", func() any { return func() {} }, nil, "", "cannot send: json: unsupported type: func()"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &Server{})
				register(t, srv, "Method", test.fn)
				var result any
				raw := jsonNumbers{&result}
				err := call(newClient(t, srv), "Test.Method", test.params, &raw)
				if test.errors != "" {
					assert.EqualError(t, err, test.errors)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, test.want, fmt.Sprint(result))
			})
		})
	}
}

func TestServer_RefusesParamsThatDoNotFit(t *testing.T) {
	for _, test := range []struct {
		name   string
		fn     any
		params any
		want   string
	}{
		{"a string for an int", func(int) {}, "x", "invalid params: json: cannot unmarshal string"},
		{"a fraction for an int", func(int) {}, 1.5, "invalid params: json: cannot unmarshal number 1.5"},
		{"a field of a wrong type", func(line) {}, map[string]any{"quantity": "2"}, "invalid params: json: cannot unmarshal string"},
		{"missing", func(int) {}, nil, "invalid params: missing"},
		{"null", func(string) {}, (*string)(nil), "invalid params: missing"},
		{"too many", func() int { return 1 }, 5, "invalid params: json: cannot unmarshal number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &Server{})
				register(t, srv, "Method", test.fn)
				err := call(newClient(t, srv), "Test.Method", test.params, nil)
				assert.ErrorContains(t, err, test.want)
				assert.ErrorAs(t, err, new(*Error))
			})
		})
	}
}

func TestServer_PanicIsAnInternalErrorAndALogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		srv := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)})
		register(t, srv, "Panic", func() int { panic("the secret reason") })
		c := newClient(t, srv)
		assert.EqualError(t, call(c, "Test.Panic", nil, nil), "internal error")
		assert.EqualError(t, call(c, "Test.Panic", nil, nil), "internal error", "the connection goes on")
		assert.Contains(t, logged.String(), "rpc: panic in Test.Panic: the secret reason\n")
		assert.Contains(t, logged.String(), "registry_test.go", "the stack says where")
	})
}

func TestService_RefusesWhatCannotBeCalled(t *testing.T) {
	for _, test := range []struct {
		name string
		fn   any
		want string
	}{
		{"nil", nil, "<nil> is nil or not a function: want func("},
		{"a nil function", (func())(nil), "func() is nil or not a function"},
		{"a number", 5, "int is nil or not a function"},
		{"two parameters", func(a, b int) {}, "func(int, int) has too many parameters: want one, a struct if need be"},
		{"variadic", func(...int) {}, "func(...int) has too many parameters"},
		{"three results", func() (a, b int, err error) { return }, "has too many results: want a result and an error"},
		{"second result", func() (a, b int) { return }, "func() (int, int) has int as second result: want error"},
		{"a channel", func(chan int) {}, "func(chan int) has chan int as parameter: want data"},
		{"a function", func(func()) {}, "has func() as parameter: want data"},
		{"an interface", func(io.Reader) {}, "has io.Reader as parameter: want data"},
		{"two errors", func() (a, b error) { return }, "has error as result: want data"},
		{"a channel back", func() (c chan int) { return }, "has chan int as result: want data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := NewService("Test").Register("Method", test.fn)
			assert.ErrorContains(t, err, `rpc: register "Test.Method": `)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestService_RefusesNamesThatNobodyCouldCall(t *testing.T) {
	fn := func() {}
	assert.EqualError(t, NewService("").Register("M", fn),
		`rpc: register ".M": want a service name, and a method name without dots`)
	svc := NewService("Test")
	assert.ErrorContains(t, svc.Register("", fn), "want a service name, and a method name")
	assert.ErrorContains(t, svc.Register("A.B", fn), "without dots")
	require.NoError(t, svc.Register("M", fn))
	assert.EqualError(t, svc.Register("M", fn),
		`rpc: register "Test.M": the name is taken: want another for each function`)
}

func TestServer_RefusesATakenNameAndKeepsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		assert.EqualError(t, srv.Register("Inventory", stock{"item1": 5}),
			`rpc: register "Inventory.CheckStock": the name is taken: want another for each function`)
		var quantity int
		require.NoError(t, call(newClient(t, srv), "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
	})
}

// A shelf has one method for the network, and five that are not.
type shelf struct {
	sync.Mutex
	io.Closer
	base
}

func (*shelf) Count(item string) int         { return len(item) }
func (*shelf) Watch(item string, c chan int) {}
func (*shelf) Clear(item string)             {}
func (*shelf) Size() int                     { return 0 }

//lint:ignore U1000 not exported, so not published
func (*shelf) count(item string) (int, error) { return 0, nil }

type base struct{}

func (*base) Inherited(item string) int { return 0 }

func TestServer_PublishesOnlyWhatTheReceiverDeclares(t *testing.T) {
	srv := &Server{}
	require.NoError(t, srv.Register("Shelf", &shelf{}))
	var names []string
	for name := range srv.methods {
		names = append(names, name)
	}
	assert.Equal(t, []string{"Shelf.Count"}, names)
}

func TestServer_SaysWhyAReceiverHasNoSuitableMethod(t *testing.T) {
	srv := &Server{}
	assert.ErrorContains(t, srv.Register("Base", &struct{ base }{}),
		`rpc: register "Base": *struct { rpc.base } has no suitable method: want an exported method with a parameter `)
	assert.EqualError(t, srv.Register("Shelf", shelf{}),
		`rpc: register "Shelf": rpc.shelf has no suitable method: want a pointer to it, which has`)
	assert.ErrorContains(t, srv.Register("Nil", nil), `rpc: register "Nil": <nil> has no suitable method: `)
	assert.ErrorContains(t, srv.Register("", stock{}), "want a service name")
}

func TestServer_RegistersWhileItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		c := newClient(t, srv)
		var registering sync.WaitGroup
		for i := range 20 {
			registering.Go(func() {
				assert.NoError(t, srv.Register(fmt.Sprint("Inventory", i), stock{}))
			})
			require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
		}
		registering.Wait()
		assert.EqualError(t, call(c, "Inventory19.CheckStock", "item1", nil), "unknown item: item1")
	})
}
