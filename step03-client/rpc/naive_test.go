package rpc

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// naiveCall is the article's Client.Call: it treats one Read as one response,
// the result is whatever type JSON suggests, and every failure is a string.
func naiveCall(conn net.Conn, method string) (interface{}, error) {
	json.NewEncoder(conn).Encode(map[string]any{"method": method})
	buf := make([]byte, 1024)
	n, _ := conn.Read(buf)
	var resp struct {
		Result interface{}
		Error  string
	}
	if err := json.Unmarshal(buf[:n], &resp); err != nil {
		return nil, err
	}
	if resp.Error != "" {
		return nil, errors.New(resp.Error)
	}
	return resp.Result, nil
}

func naiveAnswer(t *testing.T, response string) (interface{}, error) {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	go func() {
		server.Read(make([]byte, 1024))
		io.WriteString(server, response)
	}()
	return naiveCall(client, "M")
}

func TestNaive_ALongResultIsCutOff(t *testing.T) {
	_, err := naiveAnswer(t, respond(`"result":"`+strings.Repeat("x", 1024)+`"`))
	assert.EqualError(t, err, "unexpected end of JSON input")
}

func TestNaive_AnIntBecomesAFloat(t *testing.T) {
	result, err := naiveAnswer(t, respond(`"result":9007199254740993`))
	require.NoError(t, err)
	t.Logf("the server sent 9007199254740993, the caller got %.0f", result)
	assert.Panics(t, func() { _ = result.(int) })
	assert.Equal(t, float64(9007199254740992), result, "and one has been lost")
}
