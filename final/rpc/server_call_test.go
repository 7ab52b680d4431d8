package rpc

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServerCall_IsAContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		call := &serverCall{deadline: time.Now().Add(time.Second)}
		assert.NoError(t, call.Err())
		done := call.Done()
		timer := time.NewTimer(time.Second)
		<-timer.C
		synctest.Wait()
		<-done
		assert.Equal(t, context.DeadlineExceeded, call.Err())
		call.end(context.Canceled)
		assert.Equal(t, context.DeadlineExceeded, call.Err(), "the first end counts")
	})
}

func TestServerCall_ErrAndDoneAgreeWithoutATimer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		call := &serverCall{deadline: time.Now().Add(time.Second)}
		timer := time.NewTimer(time.Second)
		<-timer.C
		assert.Equal(t, context.DeadlineExceeded, call.Err())
		<-call.Done()
	})
}

func TestServerCall_DerivedContextsEndWithItAndCostNoGoroutine(t *testing.T) {
	watched := func() bool { // by a goroutine that this one has started; another test may have left one
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		me, _, _ := strings.Cut(string(stacks), " [")
		return strings.Contains(string(stacks), "context.(*cancelCtx).propagateCancel in "+me+"\n")
	}
	call := &serverCall{}
	child, cancel := context.WithTimeout(call, time.Hour)
	defer cancel()
	value := context.WithValue(child, callKey{}, nil)
	assert.False(t, watched(), "as context does with one that is not its own")
	_, end := context.WithCancel(struct{ context.Context }{call})
	assert.True(t, watched(), "else this test could not fail")
	end()
	assert.NoError(t, value.Err())
	call.end(context.Canceled)
	<-value.Done()
	assert.Equal(t, context.Canceled, value.Err())
	late, cancel := context.WithCancel(call)
	defer cancel()
	<-late.Done()
}

func TestServerCall_StoppedAfterFuncDoesNotRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		call := &serverCall{}
		ran := 0
		stop := context.AfterFunc(call, func() { ran++ })
		assert.True(t, stop())
		assert.False(t, stop())
		call.end(context.Canceled)
		synctest.Wait()
		assert.Zero(t, ran)
		context.AfterFunc(call, func() { ran++ })
		synctest.Wait()
		assert.Equal(t, 1, ran)
	})
}

func TestServerCall_EndsWhenItsHandlerHasReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kept context.Context
		srv := newServer(t)
		require.NoError(t, srv.RegisterFunc("Keep.It", func(ctx context.Context) error {
			kept = ctx
			return nil
		}))
		client := pipe(t, srv)
		require.NoError(t, client.Call(t.Context(), "Keep.It", nil, nil))
		synctest.Wait()
		<-kept.Done()
		assert.Equal(t, context.Canceled, kept.Err())
		assert.Equal(t, "Keep.It", MethodFrom(kept), "it is not used for another call")
	})
}

// Calls are allocated several at a time. A handler that runs for long must not hold what
// the calls beside it have had.
func TestServerCall_ASlowOneHoldsNothingOfOthers(t *testing.T) {
	type claims [1 << 10]string
	for about, c := range map[string]struct {
		authorize bool
		metadata  Metadata
		batched   bool
	}{
		"params":   {batched: true},
		"metadata": {metadata: Metadata{"key": "value"}},
		"claims":   {authorize: true},
	} {
		for _, codec := range codecs() {
			bubble(t, func(t *testing.T) {
				var records []weak.Pointer[serverCall]
				var held []weak.Pointer[string]
				var known []weak.Pointer[claims]
				opts := []ServerOption{WithCodecs(Gob)}
				if c.authorize {
					opts = append(opts, WithAuthorize(func(context.Context, string) (Identity, error) {
						found := new(claims)
						known = append(known, weak.Make(found))
						return Identity{Claims: found}, nil
					}))
				}
				srv := newServer(t, opts...)
				require.NoError(t, echoWord.Handle(srv, func(ctx context.Context, text *string) (*string, error) {
					if *text == "slow" {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					records = append(records, weak.Make(ctx.(*serverCall)))
					held = append(held, weak.Make(text))
					return text, SetHeader(ctx, Metadata{"answered-by": "a"})
				}))
				client := pipe(t, srv, WithCodec(codec))
				const pairs = 2 * callsAtOnce
				for range pairs {
					client.Go(t.Context(), echoWord.Name(), "slow", nil)
					synctest.Wait()
					text := "quick"
					_, err := echoWord.Call(AddMetadata(t.Context(), c.metadata), client, &text)
					require.NoError(t, err)
				}
				synctest.Wait()
				runtime.GC()
				require.Len(t, held, pairs)
				for i := range pairs {
					assert.True(t, held[i].Value() == nil, "%s, %s: the params of quick call %d are held", about, codec.Name(), i+1)
					record := records[i].Value()
					assert.Equal(t, c.batched, record != nil, "%s, %s: quick call %d lies beside a slow one", about, codec.Name(), i+1)
					assert.True(t, record == nil || record.header.Load() == nil, "%s, %s: the header of quick call %d is held", about, codec.Name(), i+1)
				}
				living := 0
				for _, found := range known {
					if found.Value() != nil {
						living++
					}
				}
				if c.authorize {
					assert.Equal(t, pairs, living, "%s: those of the slow calls", codec.Name())
				}
			})
		}
	}
}

// Nor does a connection on which nothing is called any more.
func TestServerCall_AnIdleConnectionHoldsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		var calls []weak.Pointer[serverCall]
		require.NoError(t, echoWord.Handle(srv, func(ctx context.Context, text *string) (*string, error) {
			calls = append(calls, weak.Make(ctx.(*serverCall)))
			return text, nil
		}))
		client := pipe(t, srv)
		for range 2 {
			echoAtOnce(t, client, 1, 2<<10)
		}
		<-time.After(2 * shrinkAfter)
		runtime.GC()
		require.Len(t, calls, 2)
		for i, call := range calls {
			assert.True(t, call.Value() == nil, "call %d", i+1)
		}
	})
}
