package rpc

import (
	"reflect"
	"testing"
)

// The values are looked through before they are encoded: see gobcircle.go.
func BenchmarkGob_ValuesThatMayHaveNoEnd(b *testing.B) {
	tree := &circleTree{Name: "root"}
	for range 1000 {
		tree.Children = append(tree.Children, &circleTree{Name: "child"})
	}
	object := map[string]any{}
	for _, key := range []string{"a", "b", "c", "d"} {
		object[key] = []any{key, 1, 2.5, map[string]any{"x": key}}
	}
	for name, v := range map[string]any{"list": nestedGob(1000), "tree": tree, "object": object, "flat": &stockRequest{Item: "item1"}} {
		b.Run(name+"/encode", func(b *testing.B) {
			g := newGobBodies(nil)
			b.ReportAllocs()
			for b.Loop() {
				if reachesInterface(reflect.TypeOf(v)) {
					if _, err := encodeWith(Gob, nil, v); err != nil {
						b.Fatal(err)
					}
					continue
				}
				if _, _, err := g.enc.append(nil, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/check", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := checkGob(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
