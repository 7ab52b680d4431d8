package rpc

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// golang/go #27777: in net/rpc a panic ends the process.
func TestServer_PanicIsInternalWithoutTextOrStack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var value any
		var stack []byte
		srv := newInventory().server(t, WithPanicHandler(func(_ context.Context, v any, s []byte) { value, stack = v, s }))
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "panic"})
		assert.EqualError(t, err, "internal: the handler of Inventory.CheckStock panicked")
		assert.Equal(t, "secret", value)
		assert.Contains(t, string(stack), "helpers_test.go")
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "goexit"})
		assert.ErrorIs(t, err, Internal)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err, "the server goes on")
	})
}

func TestServer_PanicInAuthorizeRefusesTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithAuthorize(func(context.Context, string) (Identity, error) { panic("secret") }))
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.EqualError(t, err, "internal: authorization failed")
		assert.Zero(t, inv.runs("item1"))
	})
}

func TestServer_AuthorizeRunsBeforeParamsAreDecoded(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := NewServer(WithCodecs(Gob), WithAuthorize(func(_ context.Context, method string) (Identity, error) {
					if method == "Vault.Open" {
						return Identity{}, Errorf(PermissionDenied, "not for you")
					}
					return Identity{}, nil
				}))
				defer srv.Close()
				require.NoError(t, srv.RegisterFunc("Vault.Open", func(stockReply) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Vault.Look", func(r stockReply) string { return r.Item }))
				client := pipe(t, srv, WithCodec(codec))
				for range 3 {
					err := client.Call(t.Context(), "Vault.Open", stockReply{Item: "x"}, nil)
					assert.EqualError(t, err, "permission_denied: not for you", "though the params would not fit")
					assert.True(t, NeverRan(err))
				}
				var item string
				require.NoError(t, client.Call(t.Context(), "Vault.Look", stockReply{Item: "x"}, &item))
				assert.Equal(t, "x", item, "with gob, the refused bodies kept the types in step")
			})
		})
	}
}

// CVE-2026-33186: "/Service/Method" passed an auth check meant for "Service/Method".
func TestServer_MethodNamesMatchExactly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		var asked []string
		srv := inv.server(t, WithAuthorize(func(_ context.Context, method string) (Identity, error) {
			asked = append(asked, method)
			return Identity{}, nil
		}))
		defer srv.Close()
		client := pipe(t, srv)
		for _, name := range []string{
			"/Inventory.CheckStock", "Inventory/CheckStock", "inventory.checkstock", "Inventory.CheckStock ",
			" Inventory.CheckStock", "Inventory..CheckStock", "Inventory.CheckStock\x00", "Inventory%2eCheckStock", "",
		} {
			err := client.Call(t.Context(), name, stockRequest{Item: "item1"}, nil)
			assert.ErrorIs(t, err, Unimplemented, "%q", name)
		}
		assert.NotContains(t, asked, checkStock.Name())
		assert.Zero(t, inv.runs("item1"))
	})
}

func TestServer_UnknownMethodDoesNotDesynchroniseTheStream(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				for range 2 {
					err := client.Call(t.Context(), "Inventory.Nope", stockRequest{Item: "x"}, nil)
					assert.EqualError(t, err, "unimplemented: method not found: Inventory.Nope")
				}
				reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				assert.Equal(t, "item1", reply.Item)
			})
		})
	}
}

func TestServer_ParamsThatDoNotDecodeFailOneCall(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				err := client.Call(t.Context(), checkStock.Name(), []int{1}, nil)
				assert.ErrorIs(t, err, InvalidArgument)
				assert.ErrorContains(t, err, "decode params of Inventory.CheckStock")
				err = client.Call(t.Context(), checkStock.Name(), stockRequest{}, new(chan int))
				assert.Error(t, err, "a reply that does not decode fails one call")
				_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				assert.NoError(t, err)
			})
		})
	}
}

func TestServer_BoundsHandlersOfAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(2))
		client := pipe(t, srv)
		var calls []*Pending
		for range 5 {
			calls = append(calls, client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
		}
		synctest.Wait()
		assert.Equal(t, 2, inv.runs("held"), "the client keeps to the announced bound")
		_, err := checkStock.Call(timeout(t, time.Second), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, DeadlineExceeded, "a call that waits for a slot keeps its deadline")
		assert.True(t, NeverRan(err))
		close(inv.hold)
		for _, call := range calls {
			assert.NoError(t, call.Wait())
		}
		assert.Equal(t, 5, inv.runs("held"))
	})
}

func TestServer_ClientThatIgnoresTheBoundIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(2))
		raw := rawClient(t, srv, "json")
		defer raw.conn.Close()
		for id := range uint64(3) {
			raw.request(id+1, checkStock.Name(), `{"Item":"held"}`)
		}
		e := raw.readError(3)
		assert.Equal(t, ResourceExhausted, e.Code)
		assert.True(t, e.neverRan)
		synctest.Wait()
		assert.Equal(t, 2, inv.runs("held"))
	})
}

// CVE-2023-44487 as RPC: call, cancel, call, cancel …, each leaving a handler behind.
func TestServer_CallAndCancelFloodGainsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(4))
		raw := rawClient(t, srv, "json")
		go func() { // reads what it is sent
			for {
				if _, err := raw.in.next(); err != nil {
					return
				}
			}
		}()
		for id := range uint64(100) {
			raw.request(id+1, checkStock.Name(), `{"Item":"deaf"}`)
			raw.write(wire.AppendHeader(nil, wire.KindCancel, 0, id+1, 0))
		}
		synctest.Wait()
		assert.Equal(t, 4, inv.runs("deaf"))
		close(inv.hold)
		raw.conn.Close()
		srv.Close()
	})
}

func TestServer_BoundsHandlersOfAllConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxHandlers(1))
		one, two := pipe(t, srv), pipe(t, srv)
		held := one.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		_, err := checkStock.Call(t.Context(), two, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.True(t, NeverRan(err))
		close(inv.hold)
		require.NoError(t, held.Wait())
		_, err = checkStock.Call(t.Context(), two, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}

func TestServer_BoundsConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithMaxConns(1))
		one := pipe(t, srv)
		require.NoError(t, one.Ping(t.Context()))
		two := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), two, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Unavailable)
		assert.True(t, NeverRan(err))
		require.NoError(t, one.Ping(t.Context()))
	})
}

func TestServer_MessageSizesAreBoundedBothWays(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(Gob), WithMaxMessage(2048))
				client := pipe(t, srv, WithCodec(codec), WithMaxMessage(4096))
				big := stockRequest{Item: string(make([]byte, 3000))}
				_, err := checkStock.Call(t.Context(), client, &big)
				assert.ErrorIs(t, err, ResourceExhausted)
				assert.True(t, NeverRan(err))
				_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "huge"})
				assert.ErrorIs(t, err, ResourceExhausted)
				assert.ErrorContains(t, err, "the client reads at most 4096")
				reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				require.NoError(t, err, "the connection goes on")
				assert.Equal(t, "item1", reply.Item)
			})
		})
	}
}

func TestServer_MetadataIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxMetadata(100))
		client := pipe(t, srv)
		ctx := AddMetadata(t.Context(), Metadata{"k": string(make([]byte, 0, 1)) + longText(100)})
		_, err := checkStock.Call(ctx, client, &stockRequest{Item: "item1"})
		assert.EqualError(t, err, "resource_exhausted: metadata of 105 bytes: at most 100 are allowed")
		assert.Zero(t, inv.runs("item1"))
	})
}

func longText(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

func TestServer_GobOnlyWhenAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv, WithCodec(Gob))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.EqualError(t, err, `unimplemented: unknown codec "gob": this server offers json`)
		assert.True(t, NeverRan(err))
	})
}

func TestServer_VanishedClientCancelsItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.ended = make(chan error, 1)
		inv.started = make(chan string, 1)
		srv := inv.server(t)
		client := pipe(t, srv)
		call := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		<-inv.started
		client.Close()
		assert.ErrorIs(t, call.Wait(), ErrClientClosed)
		assert.Equal(t, context.Canceled, <-inv.ended)
	})
}

func TestServer_SlowLorisIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithReadFrameTimeout(5*time.Second))
		raw := rawClient(t, srv, "json")
		begun := time.Now()
		frame := (&wire.RequestHead{Method: checkStock.Name()}).Append(nil, 0, 1, 100)
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for _, b := range frame { // a byte a second keeps any idle timeout away
				if _, err := raw.conn.Write([]byte{b}); err != nil {
					return
				}
				<-tick.C
			}
		}()
		_, e := raw.readGoAway()
		assert.Equal(t, DeadlineExceeded, e.Code)
		assert.Equal(t, 5*time.Second, time.Since(begun))
		raw.conn.Close()
		<-dripped
	})
}

func TestServer_IdleConnectionIsClosedUnlessACallIsInFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithIdleTimeout(time.Minute))
		raw := rawClient(t, srv, "json")
		begun := time.Now()
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		time.AfterFunc(150*time.Second, func() { close(inv.hold) })
		assert.Equal(t, wire.KindResponse, raw.read().Kind)
		assert.Equal(t, 150*time.Second, time.Since(begun))
		_, e := raw.readGoAway()
		assert.Equal(t, Unavailable, e.Code)
		assert.Contains(t, e.Message, "idle")
		assert.Equal(t, 3*time.Minute, time.Since(begun))
		raw.conn.Close()
	})
}

func TestServer_HandshakeTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reason error
		srv := newInventory().server(t, WithHandshakeTimeout(3*time.Second), WithErrorHandler(func(err error) { reason = err }))
		near, far := net.Pipe()
		defer near.Close()
		begun := time.Now()
		srv.ServeConn(far)
		assert.Equal(t, 3*time.Second, time.Since(begun))
		assert.ErrorIs(t, reason, os.ErrDeadlineExceeded)
	})
}

func TestServer_StuckClientIsCutOffAfterTheWriteTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithWriteTimeout(7*time.Second))
		raw := rawClient(t, srv, "json")
		begun := time.Now()
		raw.request(1, checkStock.Name(), `{"Item":"item1"}`)
		raw.conn.SetDeadline(time.Time{})
		one := make([]byte, 1)
		raw.conn.Read(one) // the reply begins, and then nobody reads
		synctest.Wait()
		timer := time.NewTimer(8 * time.Second)
		<-timer.C
		_, err := raw.conn.Write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
		assert.Error(t, err, "the server has closed the connection")
		assert.GreaterOrEqual(t, time.Since(begun), 7*time.Second)
		srv.Close()
	})
}

func TestShutdown_AnswersWhatRunsAndRefusesWhatComes(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				held := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
				synctest.Wait()
				down := make(chan error)
				go func() { down <- srv.Shutdown(t.Context()) }()
				synctest.Wait()
				assert.Equal(t, Draining, srv.State())
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				assert.ErrorIs(t, err, Unavailable)
				assert.True(t, NeverRan(err))
				close(inv.hold)
				assert.NoError(t, held.Wait())
				assert.NoError(t, <-down)
				assert.Equal(t, Closed, srv.State())
				assert.Zero(t, inv.runs("item1"))
			})
		})
	}
}

// A closed connection with unread input sends a reset, which can destroy the
// replies that were just written.
func TestShutdown_RepliesSurviveUnreadInput(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	inv.started = make(chan string, 1)
	srv := inv.server(t)
	conn, err := net.Dial("tcp", listen(t, srv))
	require.NoError(t, err)
	raw := rawOn(t, conn)
	raw.write((&wire.ClientHello{Codec: "json", MaxMessage: 1 << 20}).Append(nil))
	_, err = wire.ReadHello(conn, wire.MaxHello)
	require.NoError(t, err)
	raw.request(1, checkStock.Name(), `{"Item":"held"}`)
	<-inv.started
	down := make(chan error)
	go func() { down <- srv.Shutdown(context.Background()) }()
	last, e := raw.readGoAway()
	assert.Equal(t, uint64(1), last)
	assert.Equal(t, Unavailable, e.Code)
	for id := range uint64(100) { // a client that has not seen the go-away yet
		raw.request(id+2, checkStock.Name(), `{"Item":"item1"}`)
	}
	close(inv.hold)
	assert.JSONEq(t, `{"Item":"held","Count":100}`, string(raw.read().Payload))
	_, err = raw.in.next()
	assert.Equal(t, io.EOF, err, "an end, not a reset")
	conn.Close()
	assert.NoError(t, <-down)
	assert.Zero(t, inv.runs("item1"))
}

func TestShutdown_AndCloseWhileCallsHangInWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		raw := rawClient(t, srv, "json")
		for id := range uint64(20) {
			raw.request(id+1, checkStock.Name(), `{"Item":"huge"}`) // and nothing is read
		}
		synctest.Wait()
		begun := time.Now()
		assert.ErrorIs(t, srv.Shutdown(timeout(t, time.Second)), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begun))
		assert.NoError(t, srv.Close())
	})
}

func TestShutdown_EndsWithItsContextWhenAHandlerDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		deaf := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "deaf"}, nil)
		synctest.Wait()
		begun := time.Now()
		assert.ErrorIs(t, srv.Shutdown(timeout(t, 2*time.Second)), context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(begun))
		err := deaf.Wait()
		assert.ErrorIs(t, err, Unavailable)
		assert.False(t, NeverRan(err))
		close(inv.hold)
	})
}

// grpc-go #6921: handlers outlived Stop.
func TestClose_WaitsForHandlers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "deaf"}, nil)
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			srv.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a handler was running")
		default:
		}
		close(inv.hold)
		<-closed
	})
}

// grpc-go #9393 and relatives: in any order and any number of times.
func TestServer_EndsInAnyOrder(t *testing.T) {
	steps := map[string]func(t *testing.T, srv *Server){
		"Shutdown": func(t *testing.T, srv *Server) { assert.NoError(t, srv.Shutdown(t.Context())) },
		"Close":    func(t *testing.T, srv *Server) { assert.NoError(t, srv.Close()) },
		"Serve":    func(t *testing.T, srv *Server) { serveAndEnd(t, srv) },
	}
	for a := range steps {
		for b := range steps {
			for c := range steps {
				t.Run(a+b+c, func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						srv := newInventory().server(t)
						for _, name := range []string{a, b, c} {
							steps[name](t, srv)
						}
						srv.Close()
						assert.Equal(t, Closed, srv.State())
					})
				})
			}
		}
	}
}

// serveAndEnd serves on two listeners and ends both ways at once.
func serveAndEnd(t *testing.T, srv *Server) {
	one, two := newPipeListener(), newPipeListener()
	served := make(chan error)
	go func() { served <- srv.Serve(one) }()
	go func() { served <- srv.Serve(two) }()
	if srv.State() == Serving {
		client := NewClient(one.dial())
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
		client.Close()
	}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Shutdown(t.Context()) })
	wg.Go(func() { srv.Close() })
	wg.Go(func() { srv.Shutdown(t.Context()) })
	wg.Wait()
	assert.ErrorIs(t, <-served, ErrServerClosed)
	assert.ErrorIs(t, <-served, ErrServerClosed)
	_, err := one.Accept()
	assert.ErrorIs(t, err, net.ErrClosed, "Serve closes its listener")
}

// pipeListener is a net.Listener of pipes, for bubbles.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	fail   chan error // what Accept returns next, if anything
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{}), fail: make(chan error, 10)}
}

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
	case <-l.closed:
		near.Close()
	}
	return near
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.fail:
		return nil, err
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func TestServe_TriesAgainWhenAcceptFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var failures int
		srv := newInventory().server(t, WithErrorHandler(func(error) { failures++ }))
		ln := newPipeListener()
		for range 3 {
			ln.fail <- syscall.EMFILE
		}
		go srv.Serve(ln)
		client := NewClient(ln.dial())
		defer client.Close()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, 3, failures)
	})
}

func TestServe_ReturnsWhenItsListenerIsClosedByOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		ln := newPipeListener()
		ln.Close()
		err := srv.Serve(ln)
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.NotErrorIs(t, err, ErrServerClosed)
	})
}

func TestServe_UnixSockets(t *testing.T) {
	noLeaks(t)
	srv := newInventory().server(t)
	addr := "unix:" + filepath.Join(t.TempDir(), "s")
	ln, err := Listen(addr)
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()
	client := dial(t, addr)
	reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
	require.NoError(t, err)
	assert.Equal(t, 100, reply.Count)
	client.Close()
	require.NoError(t, srv.Shutdown(t.Context()))
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

func TestServer_MethodsMayBeRegisteredWhileServing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		assert.ErrorIs(t, client.Call(t.Context(), "Late.Comer", nil, nil), Unimplemented)
		require.NoError(t, srv.RegisterFunc("Late.Comer", func() error { return nil }))
		assert.NoError(t, client.Call(t.Context(), "Late.Comer", nil, nil))
	})
}

func TestInvoke_RunsAMethodWithoutAConnection(t *testing.T) {
	inv := newInventory()
	inv.saw = func(ctx context.Context) {
		peer, _ := PeerFrom(ctx)
		assert.Equal(t, "curl", peer.Identity)
		assert.Equal(t, "curl", IdentityFrom(ctx).Name)
		assert.Equal(t, Metadata{"k": "v"}, MetadataFrom(ctx))
	}
	srv := inv.server(t)
	peer := &Peer{Identity: "curl"}
	out, err := srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{"Item":"item1"}`), Peer: peer, Metadata: Metadata{"k": "v"}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"Item":"item1","Count":100}`, string(out))
	_, err = srv.Invoke(t.Context(), Invocation{Method: "Inventory.Nope", Codec: JSON, Peer: peer})
	assert.ErrorIs(t, err, Unimplemented)
	_, err = srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`[`), Peer: peer, Metadata: Metadata{"k": "v"}})
	assert.ErrorIs(t, err, InvalidArgument)
	srv.Close()
	_, err = srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Peer: peer})
	assert.ErrorIs(t, err, Unavailable)
}

type countingObserver struct {
	mu                  sync.Mutex
	open, in, out, ever int
}

func (o *countingObserver) add(p *int, n int)  { o.mu.Lock(); *p += n; o.mu.Unlock() }
func (o *countingObserver) ConnOpened()        { o.add(&o.open, 1); o.add(&o.ever, 1) }
func (o *countingObserver) ConnClosed()        { o.add(&o.open, -1) }
func (o *countingObserver) BytesRead(n int)    { o.add(&o.in, n) }
func (o *countingObserver) BytesWritten(n int) { o.add(&o.out, n) }

func TestObserver_CountsConnectionsAndBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ours, theirs countingObserver
		srv := newInventory().server(t, WithObserver(observe(&theirs)))
		client := pipe(t, srv, WithObserver(observe(&ours)))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, 1, theirs.open)
		assert.Equal(t, ours.out, theirs.in)
		assert.Equal(t, theirs.out, ours.in)
		assert.Positive(t, ours.out)
		client.Close()
		srv.Close()
		synctest.Wait()
		assert.Equal(t, 0, theirs.open)
		assert.Equal(t, 0, ours.open)
		assert.Equal(t, 1, ours.ever)
	})
}
