package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errorIn returns the error of a response that has no result. Its words are free,
// unless the lesson gives them.
func errorIn(t *testing.T, line string) string {
	t.Helper()
	var resp Response
	require.NoError(t, json.Unmarshal([]byte(line), &resp), "%.100q", line)
	assert.Nil(t, resp.Result)
	assert.NotEmpty(t, resp.Error, "%.100q", line)
	return resp.Error
}

func TestServer_RefusesWhatIsNotARequest(t *testing.T) {
	for _, test := range []struct{ name, line string }{
		{"not JSON", `hello`},
		{"cut off", `{"method":"M"`},
		{"two values", `{"method":"M"} {}`},
		{"not an object", `[1]`},
		{"wrong type", `{"method":5}`},
		{"no method", `{"params":"item1"}`},
		{"empty method", `{"method":""}`},
		{"null", `null`},
		{"invalid UTF-8", "{\"method\":\"\xff\"}"},
		{"nested too deep", `{"method":"M","params":` + strings.Repeat("[", 20_000) + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newEchoServer(t).connect(t)
				assert.Contains(t, errorIn(t, exchange(t, conn, test.line+"\n")), "invalid request: ")
				assert.Equal(t, answer("hello"), exchange(t, conn, request("hello")), "the next line is served")
			})
		})
	}
}

func TestServer_AcceptsCarriageReturnsAndEmptyLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		crlf := strings.TrimSuffix(request("hello"), "\n") + "\r\n"
		assert.Equal(t, answer("hello"), exchange(t, conn, crlf))
		assert.Equal(t, answer("hello"), exchange(t, conn, "\n\r\n  \n"+request("hello")))
	})
}

func TestServer_PassesOverFieldsThatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		line := strings.TrimSuffix(request("hello"), "}\n") + `,"trace":{"on":true}}` + "\n" // of another version
		assert.Equal(t, answer("hello"), exchange(t, conn, line))
	})
}

func TestServer_EchoesWhatHasToBeEscaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		const word = `say \"hi\" \\o/`
		assert.JSONEq(t, answer(word), exchange(t, conn, request(word)))
	})
}

// A writesConn keeps what each Write was given.
type writesConn struct {
	net.Conn
	writes chan string
}

func (c writesConn) Write(p []byte) (int, error) {
	c.writes <- string(p)
	return c.Conn.Write(p)
}

func TestServer_WritesAnAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		writes := make(chan string, 10)
		newEchoServer(t).accept(t, writesConn{server, writes})
		got := exchange(t, client, request("hello"))
		require.Equal(t, answer("hello"), got)
		assert.Equal(t, got, <-writes, "the first Write has to hold the whole answer")
	})
}

func TestServer_SaysThatALineIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		line, _ := lineOf(maxLine + 1)
		go io.WriteString(conn, line+request("never served"))
		conn.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(conn)
		require.NoError(t, err, "the server has to close the connection")
		errorIn(t, string(got)) // which is one response, and no second
	})
}

// shortOfMemory is a listener whose connections take little that is not read.
type shortOfMemory struct{ net.Listener }

func (l shortOfMemory) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetReadBuffer(64 << 10)
	}
	return conn, err
}

func TestServer_ALineThatIsTooLongIsAnsweredAndNotReset(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a pipe has no reset
	require.NoError(t, err)
	srv := &Server{}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(shortOfMemory{ln}) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	conn.(*net.TCPConn).SetWriteBuffer(64 << 10) // for a write that waits until the server reads
	write(t, conn, strings.Repeat("x", 2*maxLine)+"\n")
	conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	require.NoError(t, err, "an end, not a reset")
	errorIn(t, string(got))
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

// writesOn reports whether a client that has read to the end of what the server at
// addr sends can still write: the server has ended its own direction alone.
func writesOn(t *testing.T, addr string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	line, _ := lineOf(maxLine + 1)
	write(t, conn, line)
	conn.SetDeadline(time.Now().Add(20 * time.Second)) // for a server that ends nothing
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	for range 1000 { // the first goes out even to a server that has closed, which resets then
		if _, err := io.WriteString(conn, "x"); err != nil {
			return false
		}
	}
	return true
}

func TestServer_AClientLearnsAtOnceThatNoMoreAnswersCome(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a pipe has no CloseWrite
	require.NoError(t, err)
	srv := &Server{}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	addr := ln.Addr().String()
	for attempt := 0; !writesOn(t, addr); attempt++ { // a second may pass on a busy machine
		require.True(t, attempt < 4, "the answers ended only when the server closed the connection: it has to end its own direction first")
	}
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

func TestServer_AnswersWithWhatHandleReturns(t *testing.T) {
	for _, test := range []struct {
		name string
		resp Response
		want string // empty: an error
	}{
		{"a result", Response{Result: json.RawMessage(`{"n": 1}`)}, `{"result":{"n":1}}`},
		{"an error", Response{Error: "no such\nitem"}, `{"error":"no such\nitem"}`},
		{"nothing is null", Response{}, `{"result":null}`},
		{"an empty result is null", Response{Result: json.RawMessage{}}, `{"result":null}`},
		{"a result that is not JSON", Response{Result: json.RawMessage(`{`)}, ""},
		{"a result that is too long", Response{Result: json.RawMessage(`"` + strings.Repeat("x", maxLine) + `"`)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, &Server{Handle: handle(func(Request) Response { return test.resp })})
				conn := srv.connect(t)
				for range 2 { // the connection goes on
					got := exchange(t, conn, request("any"))
					if test.want == "" {
						errorIn(t, got)
						continue
					}
					assert.JSONEq(t, test.want, got)
				}
			})
		})
	}
}

func TestServer_HandsTheParamsToHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{Handle: handle(func(req Request) Response {
			return Response{Result: req.Params}
		})})
		conn := srv.connect(t)
		assert.Equal(t, `{"result":{"big":12345678901234567890}}`+"\n",
			exchange(t, conn, `{"method":"M","params":{"big":12345678901234567890}}`+"\n"))
	})
}

// FuzzReadRequest proves that no line, however odd, disturbs the line after it.
func FuzzReadRequest(f *testing.F) {
	for _, seed := range []string{
		`{"method":"Inventory.CheckStock","params":"item1"}`,
		`{"method":"M","params":{"a":[1,2,{"b":null}]}}`,
		`{"method":5}`, `{"method":"M"`, `{"method":"\ud800"}`, "{\"method\":\"\xff\"}",
		`null`, `[]`, ``, "\r", "\n\n", `{"METHOD":"M"}`, `{"method":"M","method":""}`,
		// Fields of later steps: unknown ones are passed over.
		`{"id":1,"method":"M","timeout_ms":-1}`, `{"id":18446744073709551616,"cancel":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bufio.NewReader(strings.NewReader(string(input) + "\n" + request("last")))
		for {
			req, err := readRequest(r)
			if errors.Is(err, errInvalidRequest) {
				continue
			}
			require.NoError(t, err, "the last request is never reached")
			if req.Method == "last" && r.Buffered() == 0 {
				return
			}
			line, err := marshalLine(req)
			require.NoError(t, err)
			again, err := readRequest(bufio.NewReader(strings.NewReader(string(line))))
			require.NoError(t, err)
			assert.Equal(t, req.Method, again.Method)
			assert.Equal(t, req.Params == nil, again.Params == nil)
		}
	})
}
