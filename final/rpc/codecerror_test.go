package rpc

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// fallible cannot be encoded, or decoded, because of fails, which is the test's.
type fallible struct{ A int }

var fails struct{ encode, decode error }

func (fallible) MarshalJSON() ([]byte, error) { return []byte("1"), fails.encode }
func (*fallible) UnmarshalJSON([]byte) error  { return fails.decode }
func (fallible) GobEncode() ([]byte, error)   { return []byte("1"), fails.encode }
func (*fallible) GobDecode([]byte) error      { return fails.decode }

// fallibleCodec fails as its values do.
type fallibleCodec struct{ Codec }

func (fallibleCodec) Name() string { return "fallible" }
func (c fallibleCodec) Append(dst []byte, v any) ([]byte, error) {
	if _, ok := v.(fallible); ok && fails.encode != nil {
		return nil, fails.encode
	}
	return c.Codec.Append(dst, v)
}
func (c fallibleCodec) Decode(data []byte, v any) error {
	if _, ok := v.(*fallible); ok && fails.decode != nil {
		return fails.decode
	}
	return c.Codec.Decode(data, v)
}

// An error of a marshaler is a user's as much as a handler's is.
func TestCodecs_OddErrorsOfMarshalersFailTheirCallsAlone(t *testing.T) {
	defer func() { fails.encode, fails.decode = nil, nil }()
	for _, codec := range []Codec{JSON, Gob, fallibleCodec{JSON}} {
		for name, failure := range unreadableErrors() {
			t.Run(codec.Name()+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) { callWithMarshalersThatFail(t, codec, failure) })
			})
		}
	}
}

func callWithMarshalersThatFail(t *testing.T, codec Codec, failure error) {
	var told error
	srv := newInventory().server(t, WithCodecs(Gob, fallibleCodec{JSON}),
		WithPanicHandler(func(context.Context, any, []byte) {}),
		WithCallErrorHandler(func(_ context.Context, err error) { told = err }))
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Take", func(fallible) error { return nil }))
	require.NoError(t, srv.RegisterFunc("Test.Give", func() (fallible, error) { return fallible{}, nil }))
	client := pipe(t, srv, WithCodec(codec))
	for _, c := range []struct {
		where          string
		method         string
		params, reply  any
		encode, decode error
		code           Code
	}{
		{"client, params", "Test.Take", fallible{}, nil, failure, nil, InvalidArgument},
		{"server, params", "Test.Take", fallible{}, nil, nil, failure, InvalidArgument},
		{"server, result", "Test.Give", nil, new(fallible), failure, nil, Internal},
		{"client, result", "Test.Give", nil, new(fallible), nil, failure, Internal},
	} {
		told = nil
		fails.encode, fails.decode = c.encode, c.decode
		err := client.Call(t.Context(), c.method, c.params, c.reply)
		assert.Equal(t, c.code, CodeOf(err), "%s: %v", c.where, err)
		if err != nil && remote(err) {
			assert.Equal(t, c.code, CodeOf(told), c.where)
		}
		assert.ErrorIs(t, client.Go(t.Context(), c.method, c.params, c.reply).Wait(), c.code, c.where)
		fails.encode, fails.decode = nil, nil
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err, "after %s", c.where)
	}
}

// unreadableErrors are errors whose methods panic or lie.
func unreadableErrors() map[string]error {
	found := map[string]error{
		"a nil net.Error":               (*net.OpError)(nil),
		"a panic in Timeout":            brokenTimeout{},
		"an error that says yes to all": allErrors{},
	}
	for _, odd := range oddErrors {
		if strings.Contains(odd.name, "panic") || strings.Contains(odd.name, "lies") || strings.Contains(odd.name, "nil") {
			found[odd.name] = odd.err
		}
	}
	return found
}

// allErrors says that it is every error.
type allErrors struct{}

func (allErrors) Error() string { return "all" }
func (allErrors) Is(error) bool { return true }

// brokenTimeout is a net.Error whose methods need something that is not there.
type brokenTimeout struct{ after *bool }

func (brokenTimeout) Error() string     { return "broken" }
func (b brokenTimeout) Timeout() bool   { return *b.after }
func (b brokenTimeout) Temporary() bool { return *b.after }

func TestConn_OddErrorsEndTheConnectionAlone(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for name, failure := range unreadableErrors() {
		for _, from := range []string{"hello", "a call"} {
			t.Run(fmt.Sprint(name, " in ", from), func(t *testing.T) {
				bubble(t, func(t *testing.T) { callOverConnsThatFail(t, failure, from == "hello") })
			})
		}
	}
}

// callOverConnsThatFail makes calls over connections that fail, at either end.
func callOverConnsThatFail(t *testing.T, failure error, inHello bool) {
	for _, method := range []string{"Read", "Write", "SetDeadline", "Close"} {
		for _, side := range []string{"client", "server"} {
			conn := &failingConn{fail: func(in string) error {
				if in == method {
					return failure
				}
				return nil
			}}
			near, far := net.Pipe()
			ends := map[string]net.Conn{"client": near, "server": far}
			conn.Conn = ends[side]
			ends[side] = conn
			conn.now.Store(inHello)
			srv := newInventory().server(t, WithErrorHandler(func(err error) { _ = err.Error() }))
			go srv.ServeConn(ends["server"])
			client := NewClient(ends["client"], WithHandshakeTimeout(time.Second))
			synctest.Wait()
			conn.now.Store(true)
			for range 2 {
				client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
			}
			assert.NoError(t, client.Close())
			assert.NoError(t, srv.Close())
		}
	}
}

// echoes fails with what the peer has sent.
type echoes struct{}

func (*echoes) UnmarshalJSON(data []byte) error { return fmt.Errorf("no such item: %s", data) }

// A hook may log the errors that it gets, which hold what a peer has sent: they are
// one line, as on the wire.
func TestCallErrorHandler_GetsOneLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		srv := newInventory().server(t, WithCodecs(fallibleCodec{rawCodec{}}),
			WithCallErrorHandler(func(_ context.Context, err error) { told = append(told, err.Error()) }))
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc("Test.Echo", func(echoes) error { return nil }))
		const evil = "a\x1b[2J\r\n2026/01/01 forged\u202e"
		client := pipe(t, srv, WithCodec(fallibleCodec{rawCodec{}}))
		assert.Error(t, client.Call(t.Context(), "Test."+evil, nil, nil))
		assert.Error(t, client.Call(t.Context(), "Test.Echo", evil, nil))
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test." + evil, Codec: JSON})
		assert.Error(t, err)
		_, err = srv.Invoke(t.Context(), Invocation{Method: "Test.Echo", Codec: rawCodec{}, Params: []byte(evil)})
		assert.Error(t, err)
		require.Len(t, told, 4)
		for _, text := range told {
			assert.Contains(t, text, "forged")
			assert.Equal(t, cleanText(text, wire.MaxErrorText), text)
		}
	})
}

// rawCodec sends texts as they are.
type rawCodec struct{}

func (rawCodec) Name() string                             { return "raw" }
func (rawCodec) Append(dst []byte, v any) ([]byte, error) { return append(dst, v.(string)...), nil }
func (rawCodec) Decode(data []byte, v any) error          { return v.(*echoes).UnmarshalJSON(data) }
