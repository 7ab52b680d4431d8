package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echoCaptures show what newEchoServer answers, callsCapture what calls send.
var (
	echoCaptures = []string{"json-lines.txt", "json-lines-bad.txt", "json-ids-bad.txt", "json-context-bad.txt"}
	callsCapture = "json-ids.txt"
)

// stockCaptures show what newStockServer answers.
var stockCaptures = []string{"json-registry.txt", "json-context.txt"}

// request returns what a client sends to be answered with answer(word). Tests
// use the two and lineOf instead of bytes of their own, so that the tests need
// no change when a later step changes what goes over the wire.
func request(word string) string { return `{"method":"` + word + `"}` + "\n" }

func answer(word string) string { return `{"result":"Echo: ` + word + `"}` + "\n" }

// lineOf returns a request of n bytes, its newline not counted, and its answer.
func lineOf(n int) (request, answer string) {
	const begin, end = `{"method":"long","params":"`, `"}`
	line := begin + strings.Repeat("x", n-len(begin+end)) + end + "\n"
	return line, `{"result":"Echo: long"}` + "\n"
}

// handle returns f as a Server's Handle.
func handle(f func(Request) Response) func(context.Context, Request) Response {
	return func(_ context.Context, req Request) Response { return f(req) }
}

// call makes a call as every step can make it.
func call(c *Client, method string, params, result any) error {
	return c.Call(context.Background(), method, params, result)
}

// dial connects as every step can do it.
func dial(addr string) (*Client, error) { return Dial(context.Background(), addr) }

// newClient returns a client of srv that is closed when the test ends.
func newClient(t *testing.T, srv *testServer) *Client {
	return clientOn(t, srv.connect(t))
}

// clientOn returns a client on conn that is closed when the test ends.
func clientOn(t *testing.T, conn net.Conn) *Client {
	c := NewClient(conn)
	t.Cleanup(func() { c.Close() })
	return c
}

// playServer returns a client, and the other end of its connection for the test
// to play the server.
func playServer(t *testing.T) (*Client, net.Conn) {
	client, server := net.Pipe()
	t.Cleanup(func() { server.Close() })
	return clientOn(t, client), server
}

// speakCompactly makes a test's clients speak in as few bytes as they can.
func speakCompactly(*testing.T) {}

// goCall makes a call in a goroutine and returns where its error will arrive.
func goCall(c *Client, method string, params, result any) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call(c, method, params, result) }()
	return done
}

// respond returns what a server sends as the response to a client's first call.
func respond(fields string) string { return strings.TrimSuffix(`{"id":1,`+fields, ",") + "}\n" }

// repliesAfterEnd returns what may answer the request for M with that id, once its
// client has closed its own direction.
func repliesAfterEnd(id int) []string {
	return []string{
		fmt.Sprintf(`{"id":%d,"result":"Echo: M"}`+"\n", id),
		fmt.Sprintf(`{"id":%d,"error":"canceled"}`+"\n", id),
	}
}

// newEchoServer returns a server that echoes and is closed when the test ends.
func newEchoServer(t *testing.T) *testServer {
	return newServer(t, &Server{Handle: handle(echo)})
}

// echo answers with the method's name, as the server did before it had methods.
func echo(req Request) Response {
	return newResponse("Echo: "+req.Method, nil)
}

// newStockServer returns a server that knows two methods: Inventory.CheckStock,
// and Test.Wait, which waits until its caller does not wait any more.
func newStockServer(t *testing.T) *testServer {
	srv := newServer(t, &Server{})
	require.NoError(t, srv.Register("Inventory", stock{"item1": 100}))
	register(t, srv, "Wait", func(ctx context.Context) { <-ctx.Done() })
	return srv
}

type stock map[string]int

func (s stock) CheckStock(itemID string) (int, error) {
	n, ok := s[itemID]
	if !ok {
		return 0, errors.New("unknown item: " + itemID)
	}
	return n, nil
}

// register publishes fn as Test.METHOD.
func register(t *testing.T, srv *testServer, method string, fn any) {
	t.Helper()
	svc := NewService("Test")
	require.NoError(t, svc.Register(method, fn))
	require.NoError(t, srv.RegisterService(svc))
}

// A testServer is a Server on a listener whose connections are net.Pipes:
// unlike sockets, they work inside a synctest bubble.
type testServer struct {
	*Server
	ln     *pipeListener
	served chan error // what Serve returned
}

func newServer(t *testing.T, srv *Server) *testServer {
	s := &testServer{srv, newPipeListener(), make(chan error, 1)}
	go func() { s.served <- srv.Serve(s.ln) }()
	t.Cleanup(func() { srv.Close() })
	return s
}

// connect returns the client's end of a new connection.
func (s *testServer) connect(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	s.accept(t, server)
	return client
}

// accept makes conn the server's end of a new connection.
func (s *testServer) accept(t *testing.T, conn net.Conn) {
	t.Helper()
	select {
	case s.ln.conns <- conn:
	case <-s.ln.closed:
		require.FailNow(t, "the listener is closed")
	case err := <-s.served:
		require.FailNow(t, "the server has stopped serving", "Serve returned: %v", err)
	case <-time.After(patience):
		require.FailNow(t, "the server accepts no connection")
	}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipeListener() *pipeListener {
	closed := make(chan struct{})
	return &pipeListener{make(chan net.Conn), closed, sync.OnceFunc(func() { close(closed) })}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.close(); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// patience is how long a test waits for the other end of a connection, in its
// bubble's clock. Without it, a missing answer would end the whole test program, not
// only this test: a bubble whose goroutines all wait for each other panics.
const patience = 7 * 24 * time.Hour

// write writes text to conn.
func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	conn.SetWriteDeadline(time.Now().Add(patience))
	defer conn.SetWriteDeadline(time.Time{})
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

// read reads a line from conn, byte by byte so that none is swallowed.
func read(t *testing.T, conn net.Conn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	defer conn.SetReadDeadline(time.Time{})
	line, err := bufio.NewReaderSize(oneByteReader{conn}, 16).ReadString('\n')
	require.NoError(t, err, "received before the error: %.100q", line)
	return line
}

type oneByteReader struct{ r io.Reader }

func (r oneByteReader) Read(p []byte) (int, error) { return r.r.Read(p[:1]) }

// exchange writes text to conn and returns the line that comes back.
func exchange(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	write(t, conn, text)
	return read(t, conn)
}

// A packet is one entry of a capture in testdata/wire.
type packet struct {
	fromClient bool
	data       string
}

// capture reads testdata/wire/name, which explains its own format.
func capture(t *testing.T, name string) []packet {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(workspace(t), "testdata", "wire", name))
	require.NoError(t, err)
	var packets []packet
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		from, quoted, _ := strings.Cut(line, " ")
		data, err := strconv.Unquote(quoted)
		require.NoError(t, err, line)
		packets = append(packets, packet{from == "C", data})
	}
	require.NotEmpty(t, packets)
	return packets
}

// workspace returns the folder above this module: the nearest with a testdata/wire.
func workspace(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "testdata", "wire")); err == nil {
			return dir
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no folder above has testdata/wire")
		dir = filepath.Dir(dir)
	}
}

// replay sends what the capture's client sent and checks that conn answers what
// its server answered, byte for byte, but for the words of a reason.
func replay(t *testing.T, conn net.Conn, packets []packet) {
	t.Helper()
	for _, p := range packets {
		if p.fromClient {
			write(t, conn, p.data)
			continue
		}
		require.Equal(t, withoutReason(p.data), withoutReason(read(t, conn)))
	}
}

// reason is why a request is refused, in words that each server may choose.
var reason = regexp.MustCompile(`("error":"invalid (request|params): )(\\.|[^"\\])+`)

func withoutReason(line string) string { return reason.ReplaceAllString(line, "${1}…") }

// replayCalls makes the calls of a capture, and plays its server: it checks the
// request's bytes, answers with the response's, and checks what the call returns.
func replayCalls(t *testing.T, c *Client, server net.Conn, packets []packet) {
	t.Helper()
	for len(packets) > 0 {
		request, response := packets[0].data, packets[1].data
		packets = packets[2:]
		var req Request
		require.NoError(t, json.Unmarshal([]byte(request), &req))
		var params any
		if req.Params != nil {
			params = req.Params
		}
		var result json.RawMessage
		done := goCall(c, req.Method, params, &result)
		require.Equal(t, request, read(t, server))
		write(t, server, response)

		var want Response
		require.NoError(t, json.Unmarshal([]byte(response), &want))
		if err := <-done; want.Error != "" {
			require.EqualError(t, err, want.Error)
			continue
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, string(want.Result), string(result))
	}
}

// jsonNumbers decodes into a value of any type, and keeps numbers exact.
type jsonNumbers struct{ v *any }

func (n *jsonNumbers) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(n.v)
}
