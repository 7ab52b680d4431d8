package rpc

import (
	"errors"
	"fmt"
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

// soldOut is a result, although it implements error: its type is not error.
type soldOut int

func (soldOut) Error() string { return "sold out" }

// anyWords is an error of the server's in words of its own.
const anyWords = "any words"

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
		{"a type of its own that implements error", func() soldOut { return 2 }, nil, "2", ""},
		{"an error with a result", func() (int, error) { return 1, errors.New("no") }, nil, "", "no"},
		{"an error without a text", func() error { return errors.New("") }, nil, "", anyWords},
		{"a result that is no JSON", func() any { return func() {} }, nil, "", anyWords},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &Server{})
				register(t, srv, "Method", test.fn)
				var result any
				raw := jsonNumbers{&result}
				err := call(newClient(t, srv), "Test.Method", test.params, &raw)
				switch test.errors {
				case "":
					require.NoError(t, err)
					assert.Equal(t, test.want, fmt.Sprint(result))
				case anyWords:
					assert.ErrorAs(t, err, new(*Error))
				default:
					assert.EqualError(t, err, test.errors)
				}
			})
		})
	}
}

func TestServer_RefusesParamsThatDoNotFit(t *testing.T) {
	for _, test := range []struct {
		name   string
		fn     any
		params any
	}{
		{"a string for an int", func(int) {}, "x"},
		{"a fraction for an int", func(int) {}, 1.5},
		{"a field of a wrong type", func(line) {}, map[string]any{"quantity": "2"}},
		{"missing", func(int) {}, nil},
		{"null", func(string) {}, (*string)(nil)},
		{"too many", func() int { return 1 }, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &Server{})
				register(t, srv, "Method", test.fn)
				err := call(newClient(t, srv), "Test.Method", test.params, nil)
				assert.ErrorContains(t, err, "invalid params: ")
				assert.ErrorAs(t, err, new(*Error))
			})
		})
	}
}

func TestService_RefusesWhatIsNoFunction(t *testing.T) {
	for _, fn := range []any{nil, (func())(nil), 5} {
		assert.Error(t, NewService("Test").Register("M", fn), "%T", fn)
	}
	assert.ErrorContains(t, NewService("Test").Register("M", line{}), "line", "the type that it got")
}

func TestService_RefusesNamesThatNobodyCouldCall(t *testing.T) {
	fn := func() {}
	assert.Error(t, NewService("").Register("M", fn))
	svc := NewService("Test")
	assert.Error(t, svc.Register("", fn))
	assert.ErrorContains(t, svc.Register("A.B", fn), "A.B")
	noFunction := svc.Register("M", 5)
	require.Error(t, noFunction)
	require.NoError(t, svc.Register("M", fn))
	taken := svc.Register("M", fn)
	require.ErrorContains(t, taken, "Test.M", "the name is taken")
	assert.NotContains(t, noFunction.Error(), taken.Error(), "each error has the name and its own reason")
}

// Without a lock, the race detector notices: go test -race.
func TestServer_RegistersAServiceWhileItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		c := newClient(t, srv)
		var registering sync.WaitGroup
		for i := range 20 {
			registering.Go(func() {
				svc := NewService(fmt.Sprint("Test", i))
				assert.NoError(t, svc.Register("M", func() {}))
				assert.NoError(t, srv.RegisterService(svc))
			})
			require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
		}
		registering.Wait()
		assert.NoError(t, call(c, "Test19.M", nil, nil))
	})
}

func TestServer_RegistersAllOfAServiceOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		for _, name := range []string{"Test", "Other"} {
			svc := NewService(name)
			require.NoError(t, svc.Register("M", func() {}))
			require.NoError(t, srv.RegisterService(svc))
		}
		again := NewService("Test")
		for i := range 20 {
			require.NoError(t, again.Register(fmt.Sprint("New", i), func() {}))
		}
		require.NoError(t, again.Register("M", func() {}))
		assert.ErrorContains(t, srv.RegisterService(again), "Test.M", "the name that is taken")
		c := newClient(t, srv)
		for i := range 20 {
			assert.ErrorContains(t, call(c, fmt.Sprint("Test.New", i), nil, nil), "method not found")
		}
		assert.NoError(t, call(c, "Test.M", nil, nil))
		assert.NoError(t, call(c, "Other.M", nil, nil))
	})
}

func TestServer_LeavesTheServiceUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newServer(t, &Server{}), newServer(t, &Server{})
		both, other := NewService("Both"), NewService("Other")
		require.NoError(t, both.Register("M", func() {}))
		require.NoError(t, other.Register("M", func() {}))
		require.NoError(t, one.RegisterService(both))
		require.NoError(t, one.RegisterService(other))
		require.NoError(t, two.RegisterService(both))
		c := newClient(t, two)
		assert.NoError(t, call(c, "Both.M", nil, nil))
		assert.ErrorContains(t, call(c, "Other.M", nil, nil), "method not found")
	})
}
