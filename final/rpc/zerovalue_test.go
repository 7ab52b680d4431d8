package rpc

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A value that was not made by its function says so; it does not panic with a nil map.
func TestZeroValues_SayHowTheyAreMade(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	assert.NoError(t, err)
	for _, srv := range []*Server{new(Server), nil} {
		_, invoked := srv.Invoke(t.Context(), Invocation{Method: "A.B", Codec: JSON})
		streamed := srv.InvokeStream(t.Context(), Invocation{Method: "A.B", Codec: JSON}, func(context.Context, []byte) error { return nil })
		_, authorized := srv.Authorize(t.Context(), Invocation{Method: "A.B", Codec: JSON})
		for what, err := range map[string]error{
			"InvokeStream": streamed, "Authorize": authorized,
			"Serve": srv.Serve(ln), "Register": srv.Register("Inventory", new(nilReceiver)), "Close": srv.Close(),
			"RegisterFunc": srv.RegisterFunc("A.B", func(int) error { return nil }), "Shutdown": srv.Shutdown(t.Context()), "Invoke": invoked,
			"ListenAndServe": srv.ListenAndServe("127.0.0.1:0"),
		} {
			assert.ErrorContains(t, err, "NewServer", what)
		}
		near, far := net.Pipe()
		defer near.Close()
		assert.Contains(t, panicText(func() { srv.ServeConn(far) }), "NewServer")
	}
	for _, c := range []*Client{new(Client), nil} {
		for what, err := range map[string]error{
			"Call": c.Call(t.Context(), "A.B", 1, nil), "Go": c.Go(t.Context(), "A.B", 1, nil).Wait(), "Ping": c.Ping(t.Context()), "Close": c.Close(),
		} {
			assert.ErrorContains(t, err, "a Client is made by Dial or NewClient", what)
		}
	}
	for _, p := range []*Pool{new(Pool), nil} {
		for what, err := range map[string]error{
			"Call": p.Call(t.Context(), "A.B", 1, nil), "Go": p.Go(t.Context(), "A.B", 1, nil).Wait(), "Close": p.Close(),
		} {
			assert.ErrorContains(t, err, "a Pool is made by NewPool", what)
		}
		assert.Empty(t, p.Members())
	}
}

// A variable that was never set, or a field of a struct, is the usual nil Caller.
func TestCalls_OfNoCallerSayWhatIsMissing(t *testing.T) {
	_, called := checkStock.Call(t.Context(), nil, &stockRequest{})
	_, idempotent := IdempotentMethod[int, int]("A.B").Call(t.Context(), nil, nil)
	_, server := ServerStream[int, int]("A.B").Open(t.Context(), nil, nil)
	_, client := ClientStream[int, int]("A.B").Open(t.Context(), nil)
	_, both := BidiStream[int, int]("A.B").Open(t.Context(), nil)
	_, opened := OpenStream(t.Context(), nil, BidiStreaming, "A.B", nil)
	for what, err := range map[string]error{
		"Method": called, "IdempotentMethod": idempotent, "ServerStream": server, "ClientStream": client, "BidiStream": both, "OpenStream": opened,
	} {
		assert.ErrorIs(t, err, InvalidArgument, what)
		assert.ErrorContains(t, err, "the Caller is nil: want a Client or a Pool", what)
		assert.True(t, NeverRan(err), what)
	}
}
