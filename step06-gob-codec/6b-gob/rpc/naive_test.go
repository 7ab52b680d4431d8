package rpc

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// naiveEncode is the article's gob codec: a new encoder for each message, which
// describes the types all over again.
func naiveEncode(v any) []byte {
	var buf bytes.Buffer
	gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes()
}

func TestNaive_GobIsNotSmallerThanJSON(t *testing.T) {
	order := struct {
		Item     string
		Quantity int
	}{"item1", 2}
	text, err := json.Marshal(order)
	require.NoError(t, err)
	t.Logf("JSON has %d bytes, gob %d", len(text), len(naiveEncode(order)))
	assert.Greater(t, len(naiveEncode(order)), len(text))
}
