package rpc

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_SlowCallHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() string { <-release; return "slow" })
		register(t, srv, "Quick", func() string { return "quick" })
		c := newClient(t, srv)
		var slow, quick string
		done := goCall(c, "Test.Slow", nil, &slow)
		synctest.Wait() // it has reached its method
		require.NoError(t, call(c, "Test.Quick", nil, &quick))
		assert.Equal(t, "quick", quick)
		close(release)
		require.NoError(t, <-done)
		assert.Equal(t, "slow", slow)
	})
}

func TestServer_AnswersAThousandCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		arrived, release := make(chan struct{}, calls), make(chan struct{})
		srv := newServer(t, &Server{Handle: handle(func(req Request) Response {
			arrived <- struct{}{}
			<-release
			return echo(req)
		})})
		c := newClient(t, srv)
		var done []chan struct{}
		for i := range calls {
			done = append(done, goEcho(t, c, fmt.Sprint("M", i)))
		}
		for range calls { // all of them are in their methods at the same time
			<-arrived
		}
		close(release)
		for _, d := range done {
			<-d
		}
	})
}

func TestServer_DeafClientHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		deaf := srv.connect(t)
		for i := range 100 { // a client that sends and sends, and never reads
			write(t, deaf, fmt.Sprintf(`{"id":%d,"method":"M"}`+"\n", i+1))
		}
		<-goEcho(t, newClient(t, srv), "M")
		require.NoError(t, srv.Close(), "which ends the hundred")
	})
}

// A half is the server's end of a connection whose client has finished sending.
type half struct {
	net.Conn
	sent io.Reader
}

func (c half) Read(p []byte) (int, error) { return c.sent.Read(p) }

func TestServer_WaitsASecondForAClientThatHasFinishedSendingAndIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		sent, end := io.Pipe()
		newEchoServer(t).accept(t, half{server, sent})
		io.WriteString(end, `{"id":1,"method":"M"}`+"\n")
		synctest.Wait() // the response is being written
		start := time.Now()
		end.Close()
		_, err := client.Write([]byte("until the server hangs up"))
		assert.ErrorIs(t, err, io.ErrClosedPipe)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestServer_AnswersASlowCallOfAClientThatHasFinishedSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		newServer(t, &Server{Handle: handle(func(req Request) Response {
			<-time.After(time.Minute) // of the bubble's clock
			return echo(req)
		})}).accept(t, half{server, strings.NewReader(`{"id":1,"method":"M"}` + "\n")})
		checkRepliesAfterEnd(t, read(t, client), 1)
		<-time.After(time.Hour) // long enough for the method to return
	})
}

func TestServer_AnswersAlsoForAMethodThatCallsGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Exit", func() { runtime.Goexit() }) // as a require that fails in it would
		c := newClient(t, srv)
		assert.EqualError(t, call(c, "Test.Exit", nil, nil), "internal error")
		assert.EqualError(t, call(c, "Test.Exit", nil, nil), "internal error", "the connection goes on")
	})
}
