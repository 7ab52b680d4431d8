package rpc

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

// naiveCallMethod is the article's Service.Call: params of whatever type JSON
// suggests, and only the first result is read.
func naiveCallMethod(fn any, params string) interface{} {
	var arg interface{}
	json.Unmarshal([]byte(params), &arg)
	results := reflect.ValueOf(fn).Call([]reflect.Value{reflect.ValueOf(arg)})
	return results[0].Interface()
}

func TestNaive_AnIntParameterPanics(t *testing.T) {
	double := func(n int) int { return 2 * n }
	assert.PanicsWithValue(t, "reflect: Call using float64 as type int",
		func() { naiveCallMethod(double, "21") })
}

func TestNaive_AnErrorVanishes(t *testing.T) {
	checkStock := func(item string) (int, error) { return 0, errors.New("unknown item: " + item) }
	assert.Equal(t, 0, naiveCallMethod(checkStock, `"item9"`), "sold out, or never heard of?")
}

func TestNaive_APanicInAMethodReachesTheServer(t *testing.T) {
	// Nothing recovers the panic: in a goroutine of the server, it ends the process.
	assert.Panics(t, func() { naiveCallMethod(func(string) int { panic("bug") }, `"x"`) })
}

// A naiveServer has methods, as the article's has; naiveStart makes one of its
// own, and the one with the registered method is never asked.
type naiveServer struct{ methods map[string]any }

func naiveStart() func(method string) bool {
	server := &naiveServer{methods: map[string]any{}}
	return func(method string) bool { return server.methods[method] != nil }
}

func TestNaive_TheServerNeverSeesTheRegisteredMethod(t *testing.T) {
	server := &naiveServer{methods: map[string]any{}}
	server.methods["Inventory.CheckStock"] = func(item string) int { return 100 }
	knows := naiveStart()
	assert.False(t, knows("Inventory.CheckStock"))
}
