package http2

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// dam passes TCP connections on to addr, until it is shut: then it reads nothing
// any more that comes from there.
type dam struct {
	net.Listener
	wg    sync.WaitGroup
	shut  chan struct{}
	ended chan struct{}
}

func newDam(t *testing.T, addr string) *dam {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &dam{Listener: ln, shut: make(chan struct{}), ended: make(chan struct{})}
	d.wg.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				near.Close()
				return
			}
			d.wg.Go(func() { io.Copy(far, near) })
			d.wg.Go(func() { d.pass(near, far) })
			d.wg.Go(func() {
				<-d.ended
				near.Close()
				far.Close()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		close(d.ended)
		d.wg.Wait()
	})
	return d
}

// pass moves bytes from the server until the dam is shut.
func (d *dam) pass(near, far net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := far.Read(buf)
		select {
		case <-d.shut:
			return
		default:
		}
		if err != nil {
			return
		}
		near.Write(buf[:n])
	}
}

// A TCP connection that takes no bytes, all windows and buffers full, holds up
// neither Shutdown nor Close, also if nothing gives it up. net/http can.
func TestStuckTCP_IsGivenUp(t *testing.T) {
	for name, givenUp := range map[string]bool{"given up": true, "stuck for ever": false} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			svc := newService()
			const large = 16
			ran := make(chan struct{}, large)
			srv := svc.server(t, rpc.WithWriteTimeout(0), // else Close might wait for that
				rpc.WithServerInterceptors(func(m rpc.MethodInfo, next rpc.Handler) rpc.Handler {
					if m.Name != echo.Name() {
						return next
					}
					return func(ctx context.Context, req any) (any, error) {
						defer func() { ran <- struct{}{} }()
						return next(ctx, req)
					}
				}))
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			gone := make(chan struct{})
			lost := sync.OnceFunc(func() { close(gone) })
			ln := NewListener()
			hs := &http.Server{
				Handler: ln,
				HTTP2:   &http.HTTP2Config{},
				ConnState: func(_ net.Conn, state http.ConnState) {
					if state == http.StateClosed {
						lost()
					}
				},
			}
			if givenUp {
				hs.HTTP2.WriteByteTimeout = 500 * time.Millisecond
			}
			Configure(hs)
			served := make(chan error, 2)
			go func() { served <- srv.Serve(ln) }()
			go func() { served <- hs.Serve(tcp) }()
			t.Cleanup(func() {
				hs.Close()
				<-served
				<-served
			})
			d := newDam(t, tcp.Addr().String())
			dialer := newDialer(t, nil)
			var clients []*rpc.Client
			for range large {
				clients = append(clients, connect(t, dialer, d.Addr().String(), rpc.WithMaxAttempts(1)))
			}
			var calls []<-chan error
			for _, client := range clients {
				calls = append(calls, start(t, client, hold, "x"))
			}
			for range calls {
				<-svc.began
			}
			close(d.shut)
			for _, client := range clients {
				ended := make(chan error, 1)
				calls = append(calls, ended)
				go func() {
					_, err := echo.Call(bounded(t), client, &echoRequest{Size: 3_500_000})
					ended <- err
				}()
			}
			for range large {
				<-ran
			}
			if givenUp {
				<-gone // 56 MB do not fit into what the kernel holds
			}
			require.NoError(t, srv.Close())
			for _, client := range clients {
				client.Close()
			}
			for _, ended := range calls {
				assert.Error(t, <-ended)
			}
		})
	}
}
