package rpc

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"io"
	"net"
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
	order := newBenchOrder(1)
	text, err := json.Marshal(order)
	require.NoError(t, err)
	assert.Greater(t, len(naiveEncode(order)), len(text))
}

// A decoder that is made for the hello alone reads ahead, and what it has read
// is lost to the decoder that comes after.
func TestNaive_ReadingTheHelloAheadLosesTheFirstRequest(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		io.WriteString(client, `{"codec":"json"}`+` {"method":"First"}`+` {"method":"Second"}`)
		client.Close()
	}()
	var hello struct{ Codec string }
	require.NoError(t, json.NewDecoder(server).Decode(&hello))
	var req Request
	assert.ErrorIs(t, json.NewDecoder(server).Decode(&req), io.EOF, "where are First and Second?")
}
