package rpc

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A test's FailNow, in code that the framework calls, ends the goroutine that runs
// it. These tests are about what that may not do: let others wait for ever.

// exitingGob ends its goroutine when it is decoded.
type exitingGob [1]byte

func (b exitingGob) GobEncode() ([]byte, error) { return b[:], nil }
func (*exitingGob) GobDecode([]byte) error      { runtime.Goexit(); return nil }

// apart runs f in a goroutine, which f may end, and waits for it.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func gobServer(t *testing.T) *Server {
	srv := NewServer(WithCodecs(Gob))
	require.NoError(t, srv.RegisterFunc("Test.Give", func(context.Context) (gobBytes, error) { return gobBytes{1}, nil }))
	require.NoError(t, srv.RegisterFunc("Test.Take", func(*exitingGob) error { return nil }))
	require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
	t.Cleanup(func() { srv.Close() })
	return srv
}

func TestClient_GoexitInADecoderEndsTheConnection(t *testing.T) {
	for _, alone := range []bool{true, false} { // else the connection's own goroutine reads
		bubble(t, func(t *testing.T) {
			n := newNetwork()
			n.set("a", gobServer(t))
			client := dial(t, "a", WithDialer(n.dial), WithCodec(Gob))
			<-time.After(time.Second) // nobody reads
			var waits *Pending
			if !alone {
				waits = client.Go(t.Context(), "Test.Wait", nil, nil)
				synctest.Wait()
			}
			for range 3 {
				reply := exitingGob{7}
				failed := error(nil)
				apart(func() { failed = client.Call(timeout(t, time.Minute), "Test.Give", nil, &reply) })
				assert.NotErrorIs(t, failed, DeadlineExceeded)
				assert.Equal(t, exitingGob{7}, reply, "a reply that was not decoded is as it was")
				if waits != nil {
					assert.ErrorIs(t, failed, Internal)
					assert.ErrorIs(t, waits.Wait(), Unavailable)
				}
				var got gobBytes
				begun := time.Now()
				assert.NoError(t, client.Call(timeout(t, time.Minute), "Test.Give", nil, &got))
				assert.Less(t, time.Since(begun), 10*time.Second, "over a new connection")
				assert.Equal(t, gobBytes{1}, got)
				waits = nil
			}
		})
	}
}

func TestServer_GoexitInAGobDecoderEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client := pipe(t, gobServer(t), WithCodec(Gob))
		waits := client.Go(t.Context(), "Test.Wait", nil, nil)
		err := client.Call(timeout(t, time.Minute), "Test.Take", gobBytes{1}, nil)
		assert.ErrorIs(t, err, Internal)
		assert.True(t, NeverRan(err))
		assert.Error(t, waits.Wait(), "a canceled one is answered, or lost")
	})
}

// exitingResolver ends its goroutine before it has found a server, once.
type exitingResolver struct{ hookResolver }

func (r exitingResolver) Resolve(ctx context.Context, update func([]string)) error {
	r.at("Resolve first")
	return r.hookResolver.Resolve(ctx, update)
}

// Each hook ends its goroutine once. Calls may fail for that, but none waits for
// ever, and those that follow succeed.
func TestHooks_GoexitEndsNoMoreThanItMust(t *testing.T) {
	for _, hook := range append([]string{"Resolve first"}, hooks...) {
		t.Run(hook, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a := &atHook{hook: hook, f: runtime.Goexit, done: make(chan struct{})}
				inv := newInventory()
				inv.saw = func(context.Context) { a.at("handler") }
				srv := inv.server(t, a.serverOptions()...)
				go srv.Serve(newHookListener(a))
				n := newNetwork()
				n.set("a", srv)
				opts := a.clientOptions(n.dial)
				s := &surroundings{t: t, srv: srv, pool: NewPool(exitingResolver{hookResolver{a}}, WithClientOptions(opts...)), client: newClient(mustOptions(t, opts))}
				s.client.addr = "a"
				for _, item := range []string{"item1", "panic", "item2"} {
					apart(func() { s.pool.Call(s.deadline(), checkStock.Name(), stockRequest{Item: item}, nil) })
					apart(func() { s.client.Call(s.deadline(), checkStock.Name(), stockRequest{Item: item}, nil) })
					apart(func() { s.client.Call(s.deadline(), "No.Such", nil, nil) })
				}
				apart(func() {
					if conn, err := n.dial(s.deadline(), "a"); err == nil {
						conn.Write([]byte("not this protocol, but long enough"))
						conn.Close()
					}
				})
				s.callsSucceed()
				apart(func() { srv.Close() }) // first: the clients are told of lost connections
				<-time.After(time.Second)
				apart(func() { s.pool.Close() })
				apart(func() { s.client.Close() })
				srv.Close()
				synctest.Wait()
				assert.True(t, a.ran.Load())
			})
		})
	}
}

func (s *surroundings) callsSucceed() {
	for _, c := range []Caller{s.pool, s.client} {
		var err error
		apart(func() {
			err = c.Call(timeout(s.t, 5*time.Second), checkStock.Name(), stockRequest{Item: "item1"}, nil)
		})
		assert.NoError(s.t, err)
	}
}

// A handler that ends its goroutine has not panicked: there is no value, and no stack
// that would lead to it.
func TestServer_GoexitOfAHandlerIsNotCalledAPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		panics, ends := 0, make(chan error, 1)
		srv := newInventory().server(t,
			WithPanicHandler(func(context.Context, any, []byte) { panics++ }), WithErrorHandler(func(err error) { ends <- err }))
		defer srv.Close()
		exit := func(context.Context) error { runtime.Goexit(); return nil }
		require.NoError(t, srv.RegisterFunc("Test.Exit", exit))
		require.NoError(t, srv.RegisterFunc("Test.Inline", exit, NonBlocking()))
		require.NoError(t, srv.RegisterFunc("Test.Give", func(context.Context) (exitsInJSON, error) { return exitsInJSON{}, nil }))
		require.NoError(t, watch.Handle(srv, func(context.Context, *watchRequest, *Sender[change]) error { runtime.Goexit(); return nil }))
		client := pipe(t, srv)
		for _, method := range []string{"Test.Exit", "Test.Inline", "Test.Give"} {
			err := client.Call(t.Context(), method, nil, nil)
			assert.EqualError(t, err, "internal: the handler of "+method+" ended its goroutine (runtime.Goexit)")
			if method == "Test.Inline" { // it ended the goroutine that read the connection
				assert.ErrorContains(t, <-ends, "the handler of Test.Inline ended its goroutine (runtime.Goexit)")
				client = pipe(t, srv)
			}
		}
		in, err := watch.Open(t.Context(), client, &watchRequest{})
		require.NoError(t, err)
		_, err = in.Receive(t.Context())
		assert.EqualError(t, err, "internal: the handler of Inventory.Watch ended its goroutine (runtime.Goexit)")
		assert.Zero(t, panics)
	})
}
