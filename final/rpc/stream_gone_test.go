package rpc

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lostConn is a connection whose Read or Write fails as a network's does.
type lostConn struct {
	net.Conn
	failure error
	writes  bool
	lost    chan struct{}
}

func (c *lostConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !c.writes {
		err = c.failure
	}
	return n, err
}

func (c *lostConn) Write(p []byte) (int, error) {
	select {
	case <-c.lost:
		if c.writes {
			return 0, c.failure
		}
	default:
	}
	return c.Conn.Write(p)
}

// However the client goes, the handler is told the same in the same words, by the cause of
// its context, and by Receive and Send with that context and with another one.
func TestStream_AHandlerIsToldThatItsClientHasLeft(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	pipe := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	for name, c := range map[string]struct {
		failure error // of the connection; nil: io.EOF
		writes  bool
		words   string
	}{
		"closed":        {words: "rpc: canceled: the client has left: the connection was closed"},
		"reset":         {failure: reset, words: "rpc: canceled: the client has left: read tcp: read: connection reset by peer"},
		"write failure": {failure: pipe, writes: true, words: "rpc: canceled: the client has left: write: write tcp: write: broken pipe"},
		"closed here":   {failure: net.ErrClosed, words: "rpc: canceled: the client has left: the connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				told := make(chan error, 5)
				lost := make(chan struct{})
				srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
					if _, err := in.Receive(ctx); err != nil {
						return err
					}
					if c.writes {
						<-lost
						for ctx.Err() == nil {
							_ = out.Send(ctx, &change{})
							<-ctx.Done()
						}
					}
					_, waited := in.Receive(ctx)
					_, again := in.Receive(context.Background())
					told <- waited
					told <- again
					told <- out.Send(ctx, &change{})
					told <- out.Send(context.Background(), &change{})
					told <- context.Cause(ctx)
					return again
				})
				defer srv.Close()
				here, there := net.Pipe()
				conn := there
				if c.failure != nil {
					conn = &lostConn{Conn: there, failure: c.failure, writes: c.writes, lost: lost}
				}
				go srv.ServeConn(conn)
				client := NewClient(here)
				s, err := syncing.Open(t.Context(), client)
				require.NoError(t, err)
				require.NoError(t, s.Send(t.Context(), &change{}))
				synctest.Wait() // the handler has the item
				if c.writes {
					close(lost)
				} else {
					client.Close()
				}
				for range 5 {
					err := <-told
					assert.EqualError(t, err, c.words)
					assert.ErrorIs(t, err, Canceled)
					assert.ErrorIs(t, err, context.Canceled)
					assert.NotErrorIs(t, err, io.EOF, "which would be a good end")
					if c.failure != nil && c.failure != net.ErrClosed {
						assert.ErrorIs(t, err, c.failure)
					}
				}
				client.Close()
			})
		})
	}
}

// A caller who cancels a stream is told apart by the words alone.
func TestStream_TheCauseOfACallerWhoLeavesHasACode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := make(chan error, 2)
		srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
			_, err := in.Receive(ctx)
			told <- err
			told <- context.Cause(ctx)
			return err
		})
		s, err := syncing.Open(t.Context(), pipe(t, srv))
		require.NoError(t, err)
		s.Close()
		for range 2 {
			err := <-told
			assert.EqualError(t, err, "rpc: canceled: the caller has left")
			assert.ErrorIs(t, err, Canceled)
		}
	})
}
