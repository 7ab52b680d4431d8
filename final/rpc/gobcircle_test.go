package rpc

import (
	"context"
	"encoding/gob"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/values"
)

// Values that contain themselves, which would overflow the stack of a goroutine that
// encodes them, and end the process.

type (
	circleTree struct {
		Name     string
		Parent   *circleTree
		Children []*circleTree
	}
	circleList []circleList
	circleMap  map[string]circleMap
	circleKeys map[circleKey]bool
	circleKey  struct{ In *circleKeys }
	circleAny  struct{ V any }
)

// A circleHidden has a circle that gob and JSON do not see.
type circleHidden struct {
	Name  string
	owner *circleHidden
	Done  func()         `json:"-"`
	Self  circleEncoded  // looks after itself
	Other *circleEncoded `json:",omitempty"`
}

// circleEncoded has a text of its own.
type circleEncoded struct{ Self *circleEncoded }

func (c circleEncoded) MarshalBinary() ([]byte, error)  { return []byte("own"), nil }
func (c *circleEncoded) UnmarshalBinary(b []byte) error { return nil }
func (c circleEncoded) MarshalText() ([]byte, error)    { return []byte("own"), nil }
func (c *circleEncoded) UnmarshalText(b []byte) error   { return nil }

func init() {
	gob.Register([]any{})
	gob.Register(map[string]any{})
	gob.Register(&circleAny{})
	gob.Register(circleList{})
}

// circles returns values that contain themselves, each in another way.
func circles() map[string]any {
	tree := &circleTree{Name: "root"}
	tree.Children = []*circleTree{{Name: "child", Parent: tree}}
	rec := &gobRec{}
	rec.Next = &gobRec{Next: &gobRec{Next: rec}}
	list := make(circleList, 1)
	list[0] = list
	keys := circleKeys{}
	keys[circleKey{&keys}] = true
	anys := make([]any, 1)
	anys[0] = anys
	object := map[string]any{}
	object["self"] = map[string]any{"object": object}
	pointer := &circleAny{}
	pointer.V = pointer
	maps := circleMap{}
	maps["self"] = maps
	return map[string]any{
		"a tree with parents": tree, "a tree's value": *tree, "a list": rec, "a slice": list, "a map": maps,
		"a map's key": keys, "[]any": anys, "map[string]any": object, "an interface": pointer, "a slice in an interface": circleAny{list},
	}
}

func TestCodecs_RefuseValuesThatContainThemselves(t *testing.T) {
	for name, circle := range circles() {
		for _, codec := range []Codec{Gob, JSON} {
			if codec == JSON && name == "a map's key" {
				continue // which has no text
			}
			t.Run(name+" by "+codec.Name(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv := newServer(t, WithCodecs(Gob, JSON))
					require.NoError(t, srv.RegisterFunc("Test.Give", func(context.Context) (any, error) { return circle, nil }))
					require.NoError(t, srv.RegisterFunc("Test.Length", func(s string) (int, error) { return len(s), nil }))
					client := pipe(t, srv, WithCodec(codec))
					err := client.Call(timeout(t, time.Minute), "Test.Length", circle, nil)
					assert.ErrorIs(t, err, InvalidArgument)
					assert.True(t, NeverRan(err))
					if codec == JSON {
						return
					}
					assert.ErrorIs(t, client.Go(timeout(t, time.Minute), "Test.Length", circle, nil).Wait(), InvalidArgument)
					err = client.Call(timeout(t, time.Minute), "Test.Give", nil, nil)
					assert.ErrorIs(t, err, Internal)
					assert.ErrorContains(t, err, "encode the result")
					_, err = srv.Invoke(t.Context(), Invocation{Method: "Test.Give", Codec: codec})
					assert.ErrorIs(t, err, Internal)
					var length int
					require.NoError(t, client.Call(timeout(t, time.Minute), "Test.Length", "four", &length))
					assert.Equal(t, 4, length)
				})
			})
		}
	}
}

func TestGob_SaysWhatContainsItself(t *testing.T) {
	_, err := Gob.Append(nil, circles()["a tree with parents"])
	assert.EqualError(t, err, "gob: cannot encode a *rpc.circleTree that contains itself")
}

func nestedGob(levels int) (list *gobRec) {
	for range levels {
		list = &gobRec{list}
	}
	return list
}

func TestGob_TakesValuesThatAreNestedDeep(t *testing.T) {
	body, err := Gob.Append(nil, nestedGob(100))
	require.NoError(t, err)
	var got gobRec
	require.NoError(t, Gob.Decode(body, &got))
	assert.Equal(t, nestedGob(100), &got)
	assert.NoError(t, checkGob(nestedGob(values.Deepest)))
	_, err = Gob.Append(nil, nestedGob(values.Deepest+1))
	assert.EqualError(t, err, fmt.Sprintf("gob: cannot encode a *rpc.gobRec that is nested deeper than %d levels", values.Deepest))
	shared := &circleTree{Name: "shared"}
	twice := circleTree{Children: []*circleTree{shared, shared, {Children: []*circleTree{shared}}}}
	_, err = Gob.Append(nil, twice)
	assert.NoError(t, err, "twice is not within itself")
}

func TestJSON_TakesWhatJSONCanRead(t *testing.T) {
	body, err := JSON.Append(nil, nestedGob(values.Deepest-1))
	require.NoError(t, err)
	assert.NoError(t, JSON.Decode(body, new(gobRec)))
	_, err = JSON.Append(nil, nestedGob(values.Deepest+1))
	assert.EqualError(t, err, "json: cannot encode a *rpc.gobRec that is nested deeper than 10000 levels")
	var list any = 1
	for range values.Deepest {
		list = []any{list}
	}
	body, err = JSON.Append(nil, list)
	require.NoError(t, err)
	assert.NoError(t, JSON.Decode(body, new(any)))
	_, err = JSON.Append(nil, []any{list})
	assert.EqualError(t, err, "json: cannot encode a []interface {} that is nested deeper than 10000 levels")
}

// circleByPointer encodes itself where it has an address.
type circleByPointer struct{ Self *circleByPointer }

func (c *circleByPointer) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

func TestJSON_TypesThatEncodeThemselvesLookAfterThemselves(t *testing.T) {
	c := circleByPointer{}
	c.Self = &c
	holder := struct{ C circleByPointer }{c}
	for _, v := range []any{&c, []circleByPointer{c}, &holder} {
		_, err := JSON.Append(nil, v)
		assert.NoError(t, err)
	}
	_, err := JSON.Append(nil, holder)
	assert.NoError(t, err, "its pointer encodes itself")
}

func TestCodecs_DoNotLookForCirclesInWhatTheyDoNotEncode(t *testing.T) {
	hidden := &circleHidden{Name: "a", Done: func() {}}
	hidden.owner = hidden
	hidden.Self.Self, hidden.Other = &hidden.Self, &hidden.Self
	body, err := Gob.Append(nil, hidden)
	require.NoError(t, err)
	var got circleHidden
	require.NoError(t, Gob.Decode(body, &got))
	assert.Equal(t, "a", got.Name)
	_, err = JSON.Append(nil, hidden)
	assert.NoError(t, err)
}
