package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readRequestFrom reads the next request that a client has sent.
func readRequestFrom(t *testing.T, server net.Conn) Request {
	t.Helper()
	var req Request
	require.NoError(t, json.Unmarshal([]byte(read(t, server)), &req))
	return req
}

// echoTo answers req as an echo server would.
func echoTo(t *testing.T, server io.Writer, req Request) {
	t.Helper()
	resp := echo(req)
	resp.ID = req.ID
	require.NoError(t, writeResponse(server, resp))
}

// goEcho makes a call that an echo server will answer, and checks the answer.
func goEcho(t *testing.T, c *Client, method string) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		var result string
		assert.NoError(t, call(c, method, nil, &result))
		assert.Equal(t, "Echo: "+method, result)
	}()
	return done
}

func TestClient_RepliesMayComeInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		c, server := playServer(t)
		var done []chan struct{}
		for i := range calls {
			done = append(done, goEcho(t, c, fmt.Sprint("M", i)))
		}
		var requests []Request
		for range calls {
			requests = append(requests, readRequestFrom(t, server))
		}
		rand.Shuffle(calls, func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
		for _, req := range requests {
			echoTo(t, server, req)
		}
		for _, d := range done {
			<-d
		}
	})
}

// A slowResult takes a minute to be decoded.
type slowResult struct{}

func (*slowResult) UnmarshalJSON([]byte) error {
	<-time.After(time.Minute) // of the bubble's clock
	return nil
}

func TestClient_AResultThatIsSlowToDecodeHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		slow := goCall(c, "Slow", nil, &slowResult{})
		synctest.Wait() // it is being decoded
		start := time.Now()
		<-goEcho(t, c, "Next")
		assert.Zero(t, time.Since(start), "a result is decoded by its caller, not by the one reader")
		assert.NoError(t, <-slow)
	})
}

// A server may answer as soon as it has the request's last brace. Its caller is then
// still writing: the newline has not been read.
func TestClient_ACallThatIsBeingWrittenHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		first := goEcho(t, c, "First")
		waiting := readRequestFrom(t, server)
		second := goEcho(t, c, "Second")
		line, err := bufio.NewReaderSize(oneByteReader{server}, 16).ReadString('}')
		require.NoError(t, err)
		var written Request
		require.NoError(t, json.Unmarshal([]byte(line), &written))
		start := time.Now()
		time.AfterFunc(time.Minute, func() { server.Read(make([]byte, 1)) }) // the newline
		for _, req := range []Request{written, waiting} {
			echoTo(t, server, req)
		}
		<-first
		assert.Zero(t, time.Since(start), "an answer had to wait until another caller had written its request")
		<-second
	})
}

// heldByEach makes calls in four rounds. It returns how many bytes the program
// holds for each call of a round that has ended: the median of the last three
// rounds, for the runtime keeps something of its own now and then.
func heldByEach(calls int, call func()) int64 {
	var before int64
	var held []int64
	for range 4 { // the first warms up
		for range calls {
			call()
		}
		synctest.Wait()
		now := heap()
		held = append(held, (now-before)/int64(calls))
		before = now
	}
	held = held[1:]
	slices.Sort(held)
	return held[1]
}

// heap returns how many bytes the program holds.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestClient_ForgetsCallsThatWereAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		held := heldByEach(1000, func() { assert.NoError(t, call(c, "M", nil, nil)) })
		assert.Less(t, held, int64(100), "bytes that are held for each call that was answered")
		runtime.KeepAlive(c)
	})
}

func TestClient_ForgetsCallsThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := playServer(t)
		tooLong := strings.Repeat("x", maxLine)
		held := heldByEach(12, func() { assert.Error(t, call(c, tooLong, nil, nil)) })
		assert.Less(t, held, int64(100), "bytes that are held for each call that was not sent")
		runtime.KeepAlive(tooLong)
		runtime.KeepAlive(c)
	})
}

func TestClient_CloseEndsTheConnectionAndTellsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		require.NoError(t, c.Close())
		_, err := server.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		synctest.Wait() // the client's reader has failed, too
		assert.Equal(t, ErrClientClosed, call(c, "M", nil, nil), "not wrapped")
	})
}

func TestClient_ARequestThatCannotBeSentIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := playServer(t)
		assert.ErrorContains(t, call(c, "TooLong", strings.Repeat("x", maxLine), nil), "TooLong")
	})
}

func TestClient_BrokenConnectionFailsAllCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		var done []<-chan error
		for range 10 {
			done = append(done, goCall(c, "M", nil, nil))
			readRequestFrom(t, server)
		}
		server.Close()
		for _, d := range done {
			assertBroken(t, <-d, io.EOF)
		}
	})
}

func TestClient_CloseAmongCallsEndsThemAll(t *testing.T) {
	for range 50 { // the calls and Close meet in another order each time
		synctest.Test(t, func(t *testing.T) {
			c, server := playServer(t)
			go io.Copy(io.Discard, server)
			var done []<-chan error
			for range 10 {
				done = append(done, goCall(c, "M", nil, nil))
			}
			go c.Close()
			for _, d := range done {
				select {
				case err := <-d:
					require.ErrorIs(t, err, ErrClientClosed)
				case <-time.After(patience):
					require.FailNow(t, "a call waits for ever: it was noted after Close had ended all calls")
				}
			}
		})
	}
}

// A heldConn hands over what it has read once it is closed, as when Close is called
// while replies are on their way to the reader.
type heldConn struct {
	net.Conn
	closed chan struct{}
	close  func()
}

func (c heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	<-c.closed
	return n, err
}

func (c heldConn) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestClient_RepliesThatArriveAsItClosesDoNoHarm(t *testing.T) {
	for range 20 { // the callers and the reader meet in another order each time
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			closed := make(chan struct{})
			c := NewClient(heldConn{client, closed, sync.OnceFunc(func() { close(closed) })})
			var replies strings.Builder
			var done []<-chan error
			for range 10 {
				done = append(done, goCall(c, "M", nil, nil))
				fmt.Fprintf(&replies, `{"id":%d,"result":null}`+"\n", readRequestFrom(t, server).ID)
			}
			write(t, server, replies.String())
			require.NoError(t, c.Close())
			for _, d := range done {
				if err := endOf(t, d); err != nil {
					require.ErrorIs(t, err, ErrClientClosed)
				}
			}
		})
	}
}

func TestClient_CloseAmongRepliesEndsEachCallOnce(t *testing.T) {
	const calls = 50
	for i := range 50 { // Close comes at another reply each time
		synctest.Test(t, func(t *testing.T) {
			c, server := playServer(t)
			var replies strings.Builder
			var done []<-chan error
			for range calls {
				done = append(done, goCall(c, "M", nil, nil))
				fmt.Fprintf(&replies, `{"id":%d,"result":null}`+"\n", readRequestFrom(t, server).ID)
			}
			go io.WriteString(server, replies.String())
			for range i {
				runtime.Gosched()
			}
			require.NoError(t, c.Close())
			for _, d := range done {
				if err := endOf(t, d); err != nil {
					require.ErrorIs(t, err, ErrClientClosed)
				}
			}
		})
	}
}

func TestClient_ResponseWithoutIDBreaksTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCall(c, "M", nil, nil)
		readRequestFrom(t, server)
		io.WriteString(server, `{"error":"message is longer than 1048576 bytes"}`+"\n")
		assert.ErrorContains(t, <-done, "message is longer than 1048576 bytes", "what the server said")
		assert.Error(t, call(c, "M", nil, nil))
	})
}

func TestClient_ResponseToNobodyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goEcho(t, c, "M")
		req := readRequestFrom(t, server)
		var replies strings.Builder
		for _, id := range []uint64{999, req.ID, req.ID} { // the last comes once too often
			echoTo(t, &replies, Request{ID: id, Method: req.Method})
		}
		write(t, server, replies.String()) // one Read of the client may get them all
		<-done
	})
}

func TestServer_SaysWhichResultItCannotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Long", func() string { return strings.Repeat("x", maxLine) })
		register(t, srv, "Short", func() int { return 1 })
		c := newClient(t, srv)
		assert.ErrorAs(t, call(c, "Test.Long", nil, nil), new(*Error))
		assert.NoError(t, call(c, "Test.Short", nil, nil), "the connection goes on")
	})
}

func TestServer_AnswersRequestsWithoutIDInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			if req.Method == "Slow" {
				<-release
			}
			return echo(req)
		})}).connect(t)
		write(t, conn, request("Slow")+request("Quick"))
		synctest.Wait()
		close(release)
		assert.Equal(t, answer("Slow"), read(t, conn))
		assert.Equal(t, answer("Quick"), read(t, conn))
	})
}

func TestServer_ARequestWithoutIDIsAnsweredBeforeTheNextIsBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			begun.Add(1)
			return echo(req)
		})}).connect(t)
		write(t, conn, request("First")+request("Second"))
		synctest.Wait() // the first answer is being written, and its client does not read
		assert.EqualValues(t, 1, begun.Load(), "requests begun: the second answer could overtake the first")
		assert.Equal(t, answer("First"), read(t, conn))
		assert.Equal(t, answer("Second"), read(t, conn))
	})
}

// A soloConn fails a write while another is under way. A Conn may be written to
// concurrently, but an encoder in front of one may not.
type soloConn struct {
	net.Conn
	busy atomic.Bool
}

func (c *soloConn) Write(p []byte) (int, error) {
	if c.busy.Swap(true) {
		return 0, errors.New("two writes at a time")
	}
	defer c.busy.Store(false)
	return c.Conn.Write(p)
}

// settle lets the other goroutines go on until all of them wait. A synctest.Wait
// would not return while one of them waits for a mutex, and a server may hold a mutex
// while it writes. A goroutine that helps the garbage collector is shown without its
// bubble.
func settle() {
	busy := regexp.MustCompile(`(?m)^goroutine \d+ \[((running|runnable|preempted|copystack|GC assist)\b|semacquire\]|syscall\b.*synctest bubble)`)
	stacks := make([]byte, 1<<20)
	for len(busy.FindAll(stacks[:runtime.Stack(stacks, true)], 2)) > 1 { // one is this one
		runtime.Gosched()
	}
}

func TestServer_WritesOneResponseAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		newEchoServer(t).accept(t, &soloConn{Conn: server})
		write(t, client, `{"id":1,"method":"M"}`+"\n"+`{"id":2,"method":"M"}`+"\n")
		settle() // both have their results
		for range 2 {
			assert.Contains(t, read(t, client), `"result":"Echo: M"`)
		}
	})
}

func TestServer_EndsAConnectionThatItCannotWriteTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		broken := &soloConn{Conn: server}
		broken.busy.Store(true) // for ever
		newEchoServer(t).accept(t, broken)
		write(t, client, `{"id":1,"method":"M"}`+"\n")
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// checkRepliesAfterEnd checks what a client has read that sent the requests 1 to
// n for M and closed its own direction: one reply to each, with its result or, from
// the station on that takes such a client for gone, an error that says so.
func checkRepliesAfterEnd(t *testing.T, got string, n int) {
	t.Helper()
	replies := map[string]int{}
	for line := range strings.Lines(got) {
		replies[line]++
	}
	for id := 1; id <= n; id++ {
		own := 0
		for _, reply := range repliesAfterEnd(id) {
			own += replies[reply]
			delete(replies, reply)
		}
		assert.Equal(t, 1, own, "replies to request %d of %q", id, got)
	}
	assert.Empty(t, replies, "replies to no request")
}

// A client that has sent all it has to say may close its own direction, and
// reads on. A pipe cannot be closed by half.
func TestServer_AnswersAllRequestsOfAClientThatHasFinishedSending(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &Server{Handle: handle(echo)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	for range 20 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		for i := range 5 {
			write(t, conn, fmt.Sprintf(`{"id":%d,"method":"M"}`+"\n", i+1))
		}
		conn.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		checkRepliesAfterEnd(t, string(got), 5)
		conn.Close()
	}
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}
