package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChangedDecls(t *testing.T) {
	const old = "package rpc\n\nfunc A() int { return 1 }\n\nfunc B() int { return 2 }\n\ntype T struct{}\n\nfunc (T) A() {}\n"
	for name, test := range map[string]struct {
		changed string
		want    []string
	}{
		"one is changed":      {"package rpc\n\nfunc A() int { return 2 }\n\nfunc B() int { return 2 }\n\ntype T struct{}\n\nfunc (T) A() {}\n", []string{"A"}},
		"one is gone":         {"package rpc\n\nfunc A() int { return 1 }\n\ntype T struct{}\n\nfunc (T) A() {}\n", []string{"B"}},
		"a method is changed": {"package rpc\n\nfunc A() int { return 1 }\n\nfunc B() int { return 2 }\n\ntype T struct{}\n\nfunc (T) A() { B() }\n", []string{"T.A"}},
		"they only moved":     {"package rpc\n\nfunc B() int { return 2 }\n\nfunc A() int { return 1 }\n\nfunc C() {}\n\ntype T struct{}\n\nfunc (T) A() {}\n", nil},
		"it is no longer Go":  {"package rpc\n\nfunc A() int {\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range changedDecls("rpc/a.go", []byte(old), []byte(test.changed)) {
				got = append(got, d.Name())
			}
			assert.Equal(t, test.want, got)
		})
	}
}
