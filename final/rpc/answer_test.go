package rpc

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failsInGob cannot be encoded. Reading why is a user's code as well.
type failsInGob struct {
	A    int
	read func()
}

func (v failsInGob) GobEncode() ([]byte, error) { return nil, hookedError{v.read} }

// hookedError calls back when it is read.
type hookedError struct{ read func() }

func (e hookedError) Error() string { e.read(); return "read" }

// exitingAnswers are handlers after which a user's code ends the goroutine.
var exitingAnswers = map[string]func(context.Context) (any, error){
	"encoder":         func(context.Context) (any, error) { return exitsInGob{}, nil },
	"encoder's error": func(context.Context) (any, error) { return failsInGob{read: runtime.Goexit}, nil },
	"error":           func(context.Context) (any, error) { return nil, hookedError{runtime.Goexit} },
	"call-error hook": func(context.Context) (any, error) { return failsInGob{read: func() {}}, nil },
}

// Each call is answered, and Close does not wait for a goroutine that has ended.
func TestServer_GoexitOnTheWayToAReplyIsAnswered(t *testing.T) {
	for kind, opts := range map[string][]MethodOption{"goroutine": nil, "non-blocking": {NonBlocking()}} {
		for where, answer := range exitingAnswers {
			t.Run(kind+"/"+where, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv := NewServer(WithCodecs(Gob), WithCallErrorHandler(func(context.Context, error) {
						if where == "call-error hook" {
							runtime.Goexit()
						}
					}))
					defer srv.Close()
					require.NoError(t, srv.RegisterFunc("Test.Exit", answer, opts...))
					require.NoError(t, srv.RegisterFunc("Test.Give", func(context.Context) (gobBytes, error) { return gobBytes{1}, nil }))
					n := newNetwork()
					n.set("a", srv)
					client := dial(t, "a", WithDialer(n.dial), WithCodec(Gob))
					for range 3 {
						err := client.Call(timeout(t, time.Minute), "Test.Exit", nil, nil)
						assert.Error(t, err)
						assert.NotErrorIs(t, err, DeadlineExceeded)
						assert.False(t, NeverRan(err))
						var got gobBytes
						assert.NoError(t, client.Call(timeout(t, time.Minute), "Test.Give", nil, &got))
						assert.Equal(t, gobBytes{1}, got)
					}
				})
			})
		}
	}
}

// The methods of an error, of a handler or of a GobEncoder, may need the connection:
// no lock is held while they run.
func TestServer_ReadingAnErrorMayMakeACall(t *testing.T) {
	for kind, opts := range map[string][]MethodOption{"goroutine": nil, "non-blocking": {NonBlocking()}} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newServer(t, WithCodecs(Gob))
				var client *Client
				calls := 0
				read := func() {
					calls++
					assert.NoError(t, client.Call(timeout(t, time.Minute), "Test.Give", nil, nil))
				}
				require.NoError(t, srv.RegisterFunc("Test.Give", func() (int, error) { return 1, nil }))
				require.NoError(t, srv.RegisterFunc("Test.Fail", func() error { return hookedError{read} }, opts...))
				require.NoError(t, srv.RegisterFunc("Test.Encode", func() (failsInGob, error) { return failsInGob{read: read}, nil }))
				client = pipe(t, srv, WithCodec(Gob))
				assert.ErrorIs(t, client.Call(timeout(t, time.Minute), "Test.Fail", nil, nil), Unknown)
				assert.ErrorIs(t, client.Call(timeout(t, time.Minute), "Test.Encode", nil, nil), Internal)
				assert.Positive(t, calls)
			})
		})
	}
}
