package rpccmd

import (
	"context"
	"strings"

	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// explainCall adds what helps when the server does not know method.
func explainCall(ctx context.Context, c rpc.Caller, method string, err error) error {
	if rpc.CodeOf(err) != rpc.Unimplemented || !rpc.NeverRan(err) {
		return err
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
	if near := nearest(method, names); near != "" {
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
		d := distance(word, lower)
		if !strings.Contains(word, ".") {
			d = min(d, distance(word, lower[strings.LastIndexByte(lower, '.')+1:]))
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to get from a to b
// (Levenshtein's), a row of the table at a time.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
