package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

// items are what the streams of the tests carry.
type items struct{ Text string }

var (
	oddWatch  = rpc.ServerStream[items, items]("Odd.Watch")
	oddImport = rpc.ClientStream[items, items]("Odd.Import")
	oddSync   = rpc.BidiStream[items, items]("Odd.Sync")
)

// endAs is how a handler ends that was told text.
func endAs(ctx context.Context, text string) error {
	switch text {
	case "error":
		return &rpc.Error{Code: rpc.Aborted, Message: "at the shelf", Details: map[string]string{"shelf": "7"}}
	case "panic":
		panic("odd")
	case "wait":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func registerStreams(t *testing.T, srv *rpc.Server) {
	t.Helper()
	require.NoError(t, oddWatch.Handle(srv, func(ctx context.Context, req *items, out *rpc.Sender[items]) error {
		for range 40 {
			if err := out.Send(ctx, req); err != nil {
				return err
			}
		}
		return endAs(ctx, req.Text)
	}))
	require.NoError(t, oddImport.Handle(srv, func(ctx context.Context, in *rpc.Receiver[items]) (*items, error) {
		all := ""
		for i, err := range in.All() {
			if err != nil {
				return nil, err
			}
			all += i.Text + " "
			if err := endAs(ctx, i.Text); err != nil {
				return nil, err
			}
		}
		return &items{all}, nil
	}))
	require.NoError(t, oddSync.Handle(srv, func(ctx context.Context, in *rpc.Receiver[items], out *rpc.Sender[items]) error {
		for i, err := range in.All() {
			if err != nil {
				return err
			}
			if err := out.Send(ctx, i); err != nil {
				return err
			}
			if err := endAs(ctx, i.Text); err != nil {
				return err
			}
		}
		return nil
	}))
}

// streamed is all that a caller can see of a stream.
type streamed struct {
	received []string
	code     rpc.Code
	text     string
	details  string
	neverRan bool
}

func (s *streamed) end(err error) streamed {
	s.code, s.neverRan = rpc.CodeOf(err), rpc.NeverRan(err)
	var e *rpc.Error
	if errors.As(err, &e) {
		s.text, s.details = e.Message, fmt.Sprint(e.Details)
	}
	return *s
}

func (s *streamed) receive(in *rpc.Receiver[items]) error {
	for i, err := range in.All() {
		if err != nil {
			return err
		}
		s.received = append(s.received, i.Text)
	}
	return nil
}

func watchOdd(t *testing.T, c rpc.Caller, text string) (got streamed) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, err := oddWatch.Open(ctx, c, &items{text})
	require.NoError(t, err)
	return got.end(got.receive(&in.Receiver))
}

func importOdd(t *testing.T, c rpc.Caller, text string) (got streamed) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := oddImport.Open(ctx, c)
	require.NoError(t, err)
	out.Send(ctx, &items{"first"})
	out.Send(ctx, &items{text})
	reply, err := out.CloseAndReceive(ctx)
	if err == nil {
		got.received = []string{reply.Text}
	}
	return got.end(err)
}

func syncOdd(t *testing.T, c rpc.Caller, text string) (got streamed) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	both, err := oddSync.Open(ctx, c)
	require.NoError(t, err)
	both.Send(ctx, &items{"first"})
	both.Send(ctx, &items{text})
	both.CloseSend()
	return got.end(got.receive(&both.Receiver))
}

// streams opens each kind of stream, and lets it end in each way.
func streams(t *testing.T, c rpc.Caller) map[string]streamed {
	t.Helper()
	all := map[string]streamed{}
	for _, text := range []string{"fine", "error", "panic", "wait"} {
		all["watch "+text] = watchOdd(t, c, text)
		all["import "+text] = importOdd(t, c, text)
		all["sync "+text] = syncOdd(t, c, text)
	}
	var got streamed
	none, err := rpc.BidiStream[items, items]("Odd.Unknown").Open(t.Context(), c)
	if err == nil {
		err = got.receive(&none.Receiver)
	}
	all["no such method"] = got.end(err)
	left, err := oddSync.Open(t.Context(), c)
	require.NoError(t, err)
	left.Close()
	all["left"] = new(streamed).end(got.receive(&left.Receiver))
	return all
}

// Each middleware alone, and all of them in any order, change nothing of a stream.
func TestCompose_StreamsAreWhatTheyArePlain(t *testing.T) {
	quiet := rpc.WithPanicHandler(func(context.Context, any, []byte) {})
	run := func(t *testing.T, codec rpc.Codec, server []rpc.ServerOption, client []rpc.ClientOption) (all map[string]streamed) {
		synctest.Test(t, func(t *testing.T) {
			srv := rpc.NewServer(append(server, rpc.WithCodecs(rpc.Gob), quiet)...)
			defer srv.Close()
			registerStreams(t, srv)
			c := rpctest.NewClient(t, srv, append(client, rpc.WithCodec(codec))...)
			all = streams(t, c)
		})
		return all
	}
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
		plain := run(t, codec, nil, nil)
		assert.Len(t, plain["watch error"].received, 40)
		assert.Equal(t, "map[shelf:7]", plain["watch error"].details)
		assert.Equal(t, rpc.DeadlineExceeded, plain["sync wait"].code)
		assert.Equal(t, []string{"first fine "}, plain["import fine"].received)
		assert.Equal(t, rpc.Canceled, plain["left"].code)
		assert.True(t, plain["no such method"].neverRan)
		compare := func(what string, server []rpc.ServerOption, client []rpc.ClientOption) {
			assert.Equal(t, plain, run(t, codec, server, client), "%s, %s", what, codec.Name())
		}
		for _, order := range permutations() {
			compare(fmt.Sprint("order ", order), chosen(serverSide(t, 0), order), append(clientToken(), chosen(clientSide(t, codec, 0), order)...))
		}
		for i := range 4 {
			compare(fmt.Sprint("alone ", i), serverSide(t, 0)[i:i+1], append(clientToken(), clientSide(t, codec, 0)[i]))
		}
	}
}

// clientToken sends what the guard wants, also without its middleware at the client.
func clientToken() []rpc.ClientOption {
	return []rpc.ClientOption{auth.OverAnything(auth.Static("2YotnFZFEjr1zCsicMWpAA"))}
}

func chosen[T any](all []T, order [4]int) (list []T) {
	for _, i := range order {
		list = append(list, all[i])
	}
	return list
}

// permutations are all orders of four.
func permutations() (all [][4]int) {
	for n := range 4 * 4 * 4 * 4 {
		order := [4]int{n % 4, n / 4 % 4, n / 16 % 4, n / 64}
		seen := map[int]bool{}
		for _, i := range order {
			seen[i] = true
		}
		if len(seen) == 4 {
			all = append(all, order)
		}
	}
	return all
}
