package rpccmd

import (
	"context"
	"strings"

	"example.com/rpc-from-scratch/final/internal/spelling"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// explainCall adds what helps when the server does not know method, or knows it as a stream.
func explainCall(ctx context.Context, c rpc.Caller, method string, err error) error {
	if rpc.CodeOf(err) != rpc.Unimplemented || !rpc.NeverRan(err) {
		return err
	}
	for name, kind := range kinds {
		if strings.HasSuffix(err.Error(), method+" is a "+kind.String()) {
			return hint(err, "-stream %s opens it", name)
		}
	}
	return suggest(ctx, c, method, err)
}

// suggest adds the method that was probably meant. A server without
// introspection leaves err as it is.
func suggest(ctx context.Context, c rpc.Caller, method string, err error) error {
	reply, listErr := introspect.List.Call(ctx, c, &introspect.ListRequest{})
	if listErr != nil {
		return err
	}
	var names []string
	for _, s := range reply.GetServices() {
		for _, m := range s.GetMethods() {
			names = append(names, m.GetName())
		}
	}
	near := nearest(method, names)
	if near == method { // it is there, and something else is wrong
		return err
	}
	if near != "" {
		return hint(err, "did you mean %s?", near)
	}
	return hint(err, "rpc list shows the methods that there are")
}

// needIntrospection explains a server that has no introspection.
func needIntrospection(err error) error {
	if rpc.CodeOf(err) != rpc.Unimplemented || !rpc.NeverRan(err) {
		return err
	}
	return hint(err, "this server has no introspection; rpc call with -codec json works without")
}

// nearest returns the name that can be made of word with the fewest changes, ""
// if none is near. A missing service costs nothing: CheckStock is near
// Inventory.CheckStock.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, least := "", len(word)/2+1
	for _, name := range names {
		lower := strings.ToLower(name)
		d := spelling.Distance(word, lower)
		if !strings.Contains(word, ".") {
			d = min(d, spelling.Distance(word, lower[strings.LastIndexByte(lower, '.')+1:]))
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}
