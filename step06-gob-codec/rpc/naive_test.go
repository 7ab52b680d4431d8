package rpc

import (
	"encoding/json"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	err := json.NewDecoder(server).Decode(&req)
	t.Logf("the hello asks for %s, and after it comes: %v", hello.Codec, err)
	assert.ErrorIs(t, err, io.EOF, "where are First and Second?")
}
