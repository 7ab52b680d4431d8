package rpc

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"sync"
	"testing"
	"testing/synctest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_PanicIsAnInternalErrorAndALogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		srv := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)})
		register(t, srv, "Panic", func() int { panic("the secret reason") })
		c := newClient(t, srv)
		assert.EqualError(t, call(c, "Test.Panic", nil, nil), "internal error")
		assert.EqualError(t, call(c, "Test.Panic", nil, nil), "internal error", "the connection goes on")
		assert.Contains(t, logged.String(), "Test.Panic")
		assert.Contains(t, logged.String(), "the secret reason")
		assert.Contains(t, logged.String(), "registry_test.go", "the stack says where")
	})
}

// hostile tries to write a log line of its own, to give a terminal a command and
// to turn around the text behind it.
const hostile = "a peer's words\nrpc: forged \x1b[2J \u009b \u202e"

func TestServer_APanicsWordsForgeNoLogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		srv := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)})
		register(t, srv, "Panic", func(reason string) int { panic(reason) })
		assert.EqualError(t, call(newClient(t, srv), "Test.Panic", hostile, nil), "internal error")
		assertForgesNothing(t, logged.String())
	})
}

func TestServer_AMethodsNameForgesNoLogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		fail := handle(func(Request) Response { panic("the secret reason") })
		srv := newServer(t, &Server{Handle: fail, ErrorLog: log.New(&logged, "", 0)})
		assert.EqualError(t, call(newClient(t, srv), hostile, nil, nil), "internal error")
		assertForgesNothing(t, logged.String())
	})
}

// assertForgesNothing fails the test unless the log holds the hostile text, in a
// form that is harmless.
func assertForgesNothing(t *testing.T, logged string) {
	t.Helper()
	assert.Contains(t, logged, "a peer's words")
	assert.NotContains(t, logged, "\nrpc: forged")
	for _, r := range logged {
		if r != '\n' && r != '\t' { // the stack's own
			assert.True(t, unicode.IsPrint(r), "%q is in the log", r)
		}
	}
}

func TestServer_PanicNeedsNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Panic", func() int { panic("the secret reason") })
		assert.EqualError(t, call(newClient(t, srv), "Test.Panic", nil, nil), "internal error")
	})
}

func TestService_RefusesWhatCannotBeCalled(t *testing.T) {
	for _, test := range []struct {
		name string
		fn   any
	}{
		{"two parameters", func(a, b int) {}},
		{"variadic", func(...int) {}},
		{"three results", func() (a, b int, err error) { return }},
		{"second result", func() (a, b int) { return }},
		{"a channel", func(chan int) {}},
		{"a function", func(func()) {}},
		{"an interface", func(io.Reader) {}},
		{"two errors", func() (a, b error) { return }},
		{"a channel back", func() (c chan int) { return }},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.ErrorContains(t, NewService("Test").Register("Method", test.fn), "Test.Method")
		})
	}
}

func TestServer_RefusesATakenNameAndKeepsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		assert.ErrorContains(t, srv.Register("Inventory", stock{"item1": 5}), "Inventory.CheckStock")
		var quantity int
		require.NoError(t, call(newClient(t, srv), "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
	})
}

// A shelf has one method for the network. The others are declared or embedded for
// other reasons.
type shelf struct {
	sync.Mutex
	io.Reader
	base
	Next *shelf // not embedded, so its Count is not promoted
}

func (*shelf) Count(item string) int { return len(item) }

func (*shelf) Watch(item string, c chan int) int { return 0 }

func (*shelf) Clear(item string) {}

func (*shelf) Size() int { return 0 }

//lint:ignore U1000 not exported, so not published
func (*shelf) count(item string) (int, error) { return 0, nil }

type base struct{}

func (*base) Inherited(item string) int { return 0 }

func TestServer_PublishesOnlyWhatTheReceiverDeclares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		require.NoError(t, srv.Register("Shelf", &shelf{}))
		c := newClient(t, srv)
		assert.NoError(t, call(c, "Shelf.Count", "item1", nil))
		for _, method := range []string{"Watch", "Clear", "Size", "count", "Inherited", "Lock", "TryLock", "Unlock", "Read"} {
			assert.EqualError(t, call(c, "Shelf."+method, "item1", nil), "method not found: Shelf."+method)
		}
	})
}

func TestServer_SaysWhyAReceiverHasNoSuitableMethod(t *testing.T) {
	srv := &Server{}
	assert.ErrorContains(t, srv.Register("Base", &struct{ base }{}), "Base")
	assert.ErrorContains(t, srv.Register("Shelf", shelf{}), "Shelf")
	assert.ErrorContains(t, srv.Register("Nil", nil), "Nil")
	assert.Error(t, srv.Register("", stock{}))
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
