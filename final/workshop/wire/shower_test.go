package wire

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A function gets what a printer would print, in parts.
func TestProxy_ShowsMessagesToAFunction(t *testing.T) {
	addr := serve(t, func(conn *net.TCPConn) {
		buf := make([]byte, 1000)
		n, _ := conn.Read(buf)
		conn.Write(bytes.Replace(buf[:n], []byte(`"method":"Shop.Buy"`), []byte(`"result":true`), 1))
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w, err := Find("5a")
	require.NoError(t, err)
	got := make(chan Message, 100)
	p := &Proxy{Wire: w, Addr: addr, Max: 10, Show: func(m Message) { got <- m }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(`{"id":7,"method":"Shop.Buy"}` + "\n"))
	require.NoError(t, err)

	first, request, response := <-got, <-got, <-got
	assert.Contains(t, first.Event, "connected")
	assert.True(t, request.FromClient)
	assert.Equal(t, "request 7 Shop.Buy", request.Meaning)
	assert.Equal(t, "7", request.Call)
	assert.Equal(t, int64(29), request.Size)
	assert.Equal(t, []byte(`{"id":7,"m`), request.Head, "no more than was asked for")
	assert.Equal(t, []Field{{"id", "7"}, {"method", `"Shop.Buy"`}}, request.Fields)
	assert.False(t, response.FromClient)
	assert.Equal(t, "response 7, result true", response.Meaning)
	assert.Equal(t, "7", response.Call)
	cancel()
	require.NoError(t, <-ended)
}

func TestCallOf_IsTheNumberBehindTheKind(t *testing.T) {
	for text, want := range map[string]string{
		"request 7 Shop.Buy": "7", "response 7, result 1": "7", "cancel 12": "12", `error 3 "no"`: "3", "goaway after call 9 bye": "9",
		"request Shop.Buy": "", "response, result 1": "", `line "7 8"`: "", "": "",
	} {
		assert.Equal(t, want, callOf(text), text)
	}
}

// A value in gob has no id: it belongs to the message before it.
func TestShower_AValueBelongsToTheMessageBeforeIt(t *testing.T) {
	var calls []string
	s := &shower{show: func(m Message) { calls = append(calls, m.Call) }, calls: map[side]string{}}
	s.message(1, message{fromClient: true, text: "request 4 Shop.Buy"})
	s.message(1, message{text: "response 3"})
	s.message(1, message{fromClient: true, text: `  params "x"`})
	s.message(2, message{fromClient: true, text: `  params "y"`})
	assert.Equal(t, []string{"4", "3", "4", ""}, calls)
}
