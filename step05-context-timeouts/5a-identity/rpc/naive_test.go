package rpc

import (
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// naiveCall is a call with a timeout on a connection without ids: when the time
// is up it stops reading, and what it did not read waits for the next call.
func naiveCall(conn net.Conn, method string, timeout time.Duration) (string, error) {
	conn.SetDeadline(time.Now().Add(timeout))
	go io.WriteString(conn, request(method)) // a socket would take it at once, a pipe does not
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}

func TestNaive_ALateReplyAnswersTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			if req.Method == "Slow" {
				<-time.After(time.Second)
			}
			return echo(req)
		})}).connect(t)
		_, err := naiveCall(conn, "Slow", 50*time.Millisecond)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)

		got, err := naiveCall(conn, "Next", time.Minute)
		require.NoError(t, err)
		assert.Equal(t, answer("Slow"), got, "the wrong answer, and no error")
	})
}
