package http2

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

type (
	watchRequest struct {
		Count, Size int
		Wait        bool // for the caller's end, after the items
	}
	item struct {
		N    int
		Text string
	}
)

var (
	watch   = rpc.ServerStream[watchRequest, item]("Test.Watch")
	imports = rpc.ClientStream[item, item]("Test.Import")
	syncing = rpc.BidiStream[item, item]("Test.Sync")
)

// serveStreams adds streams to srv.
func serveStreams(t *testing.T, s *service, srv *rpc.Server) *rpc.Server {
	t.Helper()
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *rpc.Sender[item]) error {
		text := strings.Repeat("x", req.Size)
		for n := range req.Count {
			if err := out.Send(ctx, &item{n, text}); err != nil {
				s.ended <- ctx.Err()
				return err
			}
		}
		if req.Wait {
			<-ctx.Done()
			s.ended <- ctx.Err()
			return ctx.Err()
		}
		return &rpc.Error{Code: rpc.NotFound, Message: "no more", Details: map[string]string{"item": "item1"}}
	}))
	require.NoError(t, imports.Handle(srv, func(_ context.Context, in *rpc.Receiver[item]) (*item, error) {
		sum := new(item)
		for i, err := range in.All() {
			if err != nil {
				return nil, err
			}
			sum.N++
			sum.Text = i.Text
		}
		return sum, nil
	}))
	require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[item], out *rpc.Sender[item]) error {
		for i, err := range in.All() {
			if err != nil {
				return err
			}
			if err := out.Send(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}))
	return srv
}

// eachWay runs f without and with TLS.
func eachWay(t *testing.T, f func(t *testing.T, s *service, client *rpc.Client)) {
	authority := newAuthority(t)
	for name, cfg := range map[string]struct{ server, client *tls.Config }{
		"h2c": {},
		"TLS": {&tls.Config{Certificates: []tls.Certificate{authority.issue("server")}}, &tls.Config{RootCAs: authority.pool}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			s := newService()
			site := serve(t, serveStreams(t, s, s.server(t)), cfg.server)
			f(t, s, connect(t, newDialer(t, cfg.client), site.addr))
		})
	}
}

func TestStreams_AllShapesAndSizes(t *testing.T) {
	eachWay(t, func(t *testing.T, _ *service, client *rpc.Client) {
		ctx := bounded(t)
		for _, size := range []int{0, 100, 300_000} { // the last one in parts
			const count = 5
			in, err := watch.Open(ctx, client, &watchRequest{Count: count, Size: size})
			require.NoError(t, err)
			n := 0
			for i, err := range in.All() {
				if err != nil {
					assert.ErrorIs(t, err, rpc.NotFound, "after the items")
					break
				}
				assert.Equal(t, n, i.N)
				assert.Len(t, i.Text, size)
				n++
			}
			assert.Equal(t, count, n)

			out, err := imports.Open(ctx, client)
			require.NoError(t, err)
			for n := range count {
				require.NoError(t, out.Send(ctx, &item{n, strings.Repeat("y", size)}))
			}
			sum, err := out.CloseAndReceive(ctx)
			require.NoError(t, err)
			assert.Equal(t, count, sum.N)
			assert.Len(t, sum.Text, size)

			both, err := syncing.Open(ctx, client)
			require.NoError(t, err)
			for n := range count {
				require.NoError(t, both.Send(ctx, &item{N: n, Text: strings.Repeat("z", size)}))
				back, err := both.Receive(ctx)
				require.NoError(t, err)
				assert.Equal(t, n, back.N)
				assert.Len(t, back.Text, size)
			}
			require.NoError(t, both.CloseSend())
			_, err = both.Receive(ctx)
			assert.ErrorContains(t, err, "EOF")
		}
	})
}

// A stream that nobody reads fills its own window, and not that of HTTP/2's stream, on
// which the connection is.
func TestStreams_AStalledOneStopsNothingElse(t *testing.T) {
	eachWay(t, func(t *testing.T, s *service, client *rpc.Client) {
		ctx := bounded(t)
		var stalled []*rpc.ReceiveStream[item]
		for range 10 {
			in, err := watch.Open(ctx, client, &watchRequest{Count: 10_000, Size: 5_000})
			require.NoError(t, err)
			stalled = append(stalled, in)
		}
		for range 20 {
			reply, err := echo.Call(ctx, client, &echoRequest{Size: 10_000})
			require.NoError(t, err)
			assert.Len(t, reply.Text, 10_000)
		}
		in, err := watch.Open(ctx, client, &watchRequest{Count: 3, Wait: true})
		require.NoError(t, err)
		for range 3 {
			_, err = in.Receive(ctx)
			require.NoError(t, err)
		}
		in.Close()
		assert.ErrorIs(t, <-s.ended, context.Canceled, "it has reached the handler")
		for _, in := range stalled {
			in.Close()
			assert.ErrorIs(t, <-s.ended, context.Canceled)
		}
	})
}
