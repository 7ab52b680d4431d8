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
	call := &serverCall{}
	child, cancel := context.WithTimeout(call, time.Hour)
	defer cancel()
	value := context.WithValue(child, callKey{}, nil)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	assert.NotContains(t, string(stacks), "context.(*cancelCtx).propagateCancel", "what would wait for a context that is not context's own")
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
		srv := NewServer()
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc("Keep.It", func(ctx context.Context) error {
			kept = ctx
			return nil
		}))
		client := pipe(t, srv)
		defer client.Close()
		require.NoError(t, client.Call(t.Context(), "Keep.It", nil, nil))
		synctest.Wait()
		<-kept.Done()
		assert.Equal(t, context.Canceled, kept.Err())
		assert.Equal(t, "Keep.It", MethodFrom(kept), "it is not used for another call")
	})
}
