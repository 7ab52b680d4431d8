package values

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
)

type (
	tree   struct{ Children []tree }
	handle *handle
	plain  struct {
		Name string
		Next *[3]map[string][]byte
		Up   *tree `codec:"-"`
	}
)

// all is what an encoder follows that knows no methods.
func all() *Nesting {
	return &Nesting{
		Follows: func(f reflect.StructField) bool { return f.IsExported() && f.Tag == "" },
		Opaque:  func(reflect.Type) bool { return false },
		Keys:    true,
	}
}

func TestNesting_TypesWhoseValuesHaveAnEndAreNotLookedAt(t *testing.T) {
	n := all()
	for _, v := range []any{1, "x", []byte{}, plain{}, &plain{}, map[plain][]*plain{}} {
		assert.Nil(t, n.shapeOf(reflect.TypeOf(v)), "%T", v)
	}
	for _, v := range []any{tree{}, handle(nil), []any{}, map[string]*tree{}} {
		assert.NotNil(t, n.shapeOf(reflect.TypeOf(v)), "%T", v)
	}
	assert.Len(t, n.shapeOf(reflect.TypeFor[struct {
		A plain
		B tree
		C int
	}]()).fields, 1)
}

func TestNesting_FindsCirclesAndDepth(t *testing.T) {
	n := all()
	ring := tree{Children: make([]tree, 3)}
	ring.Children[2] = ring
	var self handle
	self = &self
	deep := tree{}
	for range Deepest {
		deep = tree{Children: []tree{{}, deep}}
	}
	wide := tree{Children: make([]tree, 100_000)}
	assert.EqualError(t, n.Check(ring), "cannot encode a values.tree that contains itself")
	assert.EqualError(t, n.Check(self), "cannot encode a values.handle that contains itself")
	assert.EqualError(t, n.Check(deep), "cannot encode a values.tree that is nested deeper than 10000 levels")
	assert.NoError(t, n.Check(wide))
	assert.NoError(t, n.Check(nil))
	assert.NoError(t, n.Check([]any{nil, wide, &wide, map[string]any{"a": &wide}}))
}
