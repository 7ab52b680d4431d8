package rpc

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// naiveHandle is the article's handleConnection with JSON: one Read is taken
// for one request, and after one answer the connection is closed.
func naiveHandle(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1024)
	n, _ := conn.Read(buf)
	var req struct {
		Method string
		Params interface{}
	}
	if err := json.Unmarshal(buf[:n], &req); err != nil {
		io.WriteString(conn, err.Error())
		return
	}
	json.NewEncoder(conn).Encode(map[string]any{"result": "Echo: " + req.Method})
}

func TestNaive_OneReadIsNotOneRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"a request in two writes", []string{`{"method":`, `"M"}`}, "unexpected end of JSON input"},
		{"two requests in one write", []string{request("one") + request("two")}, "invalid character '{' after top-level value"},
		{"a request over 1024 bytes", []string{request(strings.Repeat("M", 1024))}, "unexpected end of JSON input"},
		{"the second request", []string{request("one"), request("two")}, answer("one")},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := net.Pipe()
			go naiveHandle(server)
			go io.WriteString(client, test.writes[0])
			if len(test.writes) > 1 {
				defer io.WriteString(client, test.writes[1]) // the server no longer reads
			}
			got, _ := io.ReadAll(client)
			t.Logf("sent %#.60q, got %#.60q", test.writes, got)
			assert.Equal(t, test.want, string(got))
		})
	}
}
