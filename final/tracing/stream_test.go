package tracing_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

var (
	watch   = rpc.ServerStream[string, string]("Test.Watch")
	syncing = rpc.BidiStream[string, string]("Test.Sync")
)

// streams serves Test.Watch, which sends two items and ends as it is told to, and
// Test.Sync, an echo, with spans on both sides.
func streams(t *testing.T, story func(t *testing.T, s *spans, c *rpc.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSpans(t)
		srv := rpc.NewServer(s.server(), rpc.WithPanicHandler(func(context.Context, any, []byte) {}))
		defer srv.Close()
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, what *string, out *rpc.Sender[string]) error {
			assert.True(t, trace.SpanFromContext(ctx).IsRecording())
			for range 2 {
				if err := out.Send(ctx, what); err != nil {
					return err
				}
			}
			switch *what {
			case "missing":
				return rpc.Errorf(rpc.NotFound, "no such thing")
			case "panic":
				panic("mine")
			case "goexit":
				runtime.Goexit()
			case "wait":
				<-ctx.Done()
				return ctx.Err()
			}
			<-time.After(time.Second)
			return nil
		}))
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[string], out *rpc.Sender[string]) error {
			for text, err := range in.All() {
				if err != nil {
					return err
				}
				if err := out.Send(ctx, text); err != nil {
					return err
				}
			}
			return nil
		}))
		story(t, s, rpctest.NewClient(t, srv, s.client()))
	})
}

func TestStream_OneSpanOnEachSideUntilItHasEnded(t *testing.T) {
	for what, want := range map[string]struct {
		code                       string
		clientStatus, serverStatus codes.Code
		text                       string // of the server's status
	}{
		"":        {"ok", codes.Unset, codes.Unset, ""},
		"missing": {"not_found", codes.Error, codes.Unset, ""},
		"panic":   {"internal", codes.Error, codes.Error, "panicked"},
		"goexit":  {"internal", codes.Error, codes.Error, "the goroutine was ended by runtime.Goexit"},
	} {
		streams(t, func(t *testing.T, s *spans, c *rpc.Client) {
			in, err := watch.Open(t.Context(), c, &what)
			require.NoError(t, err)
			for range in.All() {
			}
			synctest.Wait()
			there, here := s.one(t, "Test.Watch", trace.SpanKindServer), s.one(t, "Test.Watch", trace.SpanKindClient)
			assert.Equal(t, here.SpanContext.SpanID(), there.Parent.SpanID(), "the trace travels")
			assert.Equal(t, here.SpanContext.TraceID(), there.SpanContext.TraceID())
			assert.Equal(t, want.clientStatus, here.Status.Code, what)
			assert.Equal(t, want.serverStatus, there.Status.Code, what)
			assert.Equal(t, want.text, there.Status.Description)
			of := attributes(there)
			assert.Equal(t, want.code, of["rpc.response.status_code"])
			assert.Equal(t, [2]string{"2", "0"}, [2]string{of["rpc.message.sent"], of["rpc.message.received"]})
			of = attributes(here)
			assert.Equal(t, want.code, of["rpc.response.status_code"])
			assert.Equal(t, [2]string{"0", "2"}, [2]string{of["rpc.message.sent"], of["rpc.message.received"]})
			assert.Equal(t, "Test.Watch", of["rpc.method"])
			if what == "" {
				assert.Equal(t, time.Second, here.EndTime.Sub(here.StartTime))
			}
		})
	}
}

func TestStream_SpanEndsWhenItsCallerLeaves(t *testing.T) {
	streams(t, func(t *testing.T, s *spans, c *rpc.Client) {
		what := "wait"
		in, err := watch.Open(t.Context(), c, &what)
		require.NoError(t, err)
		for range in.All() {
			assert.Empty(t, s.GetSpans(), "it goes on")
			break
		}
		in.Close()
		synctest.Wait()
		assert.Equal(t, "canceled", attributes(s.one(t, "Test.Watch", trace.SpanKindServer))["rpc.response.status_code"])
		assert.Equal(t, "canceled", attributes(s.one(t, "Test.Watch", trace.SpanKindClient))["rpc.response.status_code"])
	})
}

func TestStream_SpanOfOneThatWasNotOpened(t *testing.T) {
	streams(t, func(t *testing.T, s *spans, c *rpc.Client) {
		c.Close()
		_, err := syncing.Open(t.Context(), c)
		require.Error(t, err)
		of := attributes(s.one(t, "Test.Sync", trace.SpanKindClient))
		assert.Equal(t, "canceled", of["rpc.response.status_code"])
		assert.NotContains(t, of, "rpc.message.sent")
	})
}

func TestStream_SpanEndsAlsoByAPanic(t *testing.T) {
	s := newSpans(t)
	c := rpctest.NewClient(t, rpc.NewServer(), s.client(), rpc.WithClientInterceptors(func(rpc.Caller) rpc.Caller {
		return rpc.CallerFuncs{OpenFunc: func(context.Context, rpc.MethodKind, string, any) (rpc.OpenedStream, error) { panic("mine") }}
	}))
	assert.PanicsWithValue(t, "mine", func() { syncing.Open(t.Context(), c) })
	assert.Equal(t, "internal", attributes(s.one(t, "Test.Sync", trace.SpanKindClient))["rpc.response.status_code"])
}

func TestStream_BothDirectionsCount(t *testing.T) {
	streams(t, func(t *testing.T, s *spans, c *rpc.Client) {
		both, err := syncing.Open(t.Context(), c)
		require.NoError(t, err)
		text := "a"
		for range 3 {
			require.NoError(t, both.Send(t.Context(), &text))
		}
		require.NoError(t, both.CloseSend())
		for _, err := range both.All() {
			require.NoError(t, err)
		}
		synctest.Wait()
		for _, kind := range []trace.SpanKind{trace.SpanKindServer, trace.SpanKindClient} {
			of := attributes(s.one(t, "Test.Sync", kind))
			assert.Equal(t, [2]string{"3", "3"}, [2]string{of["rpc.message.sent"], of["rpc.message.received"]})
		}
	})
}
