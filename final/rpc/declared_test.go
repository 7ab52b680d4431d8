package rpc

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onceUnavailable is a service whose every other call asks for a pause after it ran.
func onceUnavailable(t *testing.T, runs *int) (*Server, IdempotentMethod[string, string], Method[string, string]) {
	t.Helper()
	srv := newServer(t)
	safe := IdempotentMethod[string, string]("Shop.Read")
	once := Method[string, string]("Shop.Pay")
	fn := func(_ context.Context, text *string) (*string, error) {
		if *runs++; *runs%2 == 1 {
			return nil, Errorf(Unavailable, "a pause").WithDetail(RetryAfterDetail, "1")
		}
		return text, nil
	}
	require.NoError(t, safe.Handle(srv, fn))
	require.NoError(t, once.Handle(srv, fn))
	return srv, safe, once
}

func TestIdempotentMethod_IsRepeatedAndNoOtherMethod(t *testing.T) {
	bubble(t, func(t *testing.T) {
		runs, text := 0, "a"
		srv, safe, once := onceUnavailable(t, &runs)
		client := pipe(t, srv)
		_, err := safe.Call(t.Context(), client, &text)
		assert.NoError(t, err)
		assert.Equal(t, 2, runs)

		runs = 0
		ctx := MarkIdempotent(t.Context(), safe.Name())
		_, err = once.Call(ctx, client, &text)
		assert.ErrorIs(t, err, Unavailable, "the mark names another method")
		assert.Equal(t, 1, runs)

		runs = 0
		_, err = once.Call(MarkIdempotent(ctx, once.Name()), client, &text)
		assert.NoError(t, err)
		assert.Equal(t, 2, runs)
	})
}

// An interceptor that calls another method, as one that fetches a token does, has the
// context of the call.
func TestIdempotentMethod_DoesNotSpreadToCallsOfInterceptors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		runs, text := 0, "a"
		srv, safe, once := onceUnavailable(t, &runs)
		inner := pipe(t, srv)
		client := pipe(t, srv, WithClientInterceptors(func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				_, err := once.Call(ctx, inner, &text)
				return err
			})
		}))
		_, err := safe.Call(t.Context(), client, &text)
		assert.ErrorIs(t, err, Unavailable)
		assert.Equal(t, 1, runs)
	})
}

func TestMethodInfo_SaysWhatWasDeclared(t *testing.T) {
	runs := 0
	srv, safe, once := onceUnavailable(t, &runs)
	infos := map[string]MethodInfo{}
	for _, info := range srv.Methods() {
		infos[info.Name] = info
		assert.Equal(t, Unary, info.Kind)
		assert.Equal(t, "unary", info.Kind.String())
	}
	assert.True(t, infos[safe.Name()].Idempotent)
	assert.False(t, infos[once.Name()].Idempotent)
}

func TestRegister_AnOptionWithoutEffectIsRefused(t *testing.T) {
	srv := newServer(t)
	err := srv.RegisterFunc("A.B", func() error { return nil }, SkipUnfit())
	assert.EqualError(t, err, "rpc: invalid_argument: register A.B: SkipUnfit has no effect: it is for Register")
	assert.Empty(t, srv.Methods())
}

func TestAuthorize_HandsClaimsToTheHandler(t *testing.T) {
	type claims struct{ scopes []string }
	bubble(t, func(t *testing.T) {
		var got []Identity
		inv := newInventory()
		inv.saw = func(ctx context.Context) { got = append(got, IdentityFrom(ctx)) }
		named := func(context.Context, string) (Identity, error) { return Identity{Name: "ann"}, nil }
		claimed := func(ctx context.Context, _ string) (Identity, error) {
			return Identity{Claims: claims{[]string{IdentityFrom(ctx).Name}}}, nil
		}
		silent := func(context.Context, string) (Identity, error) { return Identity{}, nil }
		srv := inv.server(t, WithAuthorize(named), WithAuthorize(claimed), WithAuthorize(silent))
		_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "item1"})
		require.NoError(t, err)
		_, err = srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte("{}")})
		require.NoError(t, err)
		want := Identity{Name: "ann", Claims: claims{[]string{"ann"}}}
		assert.Equal(t, []Identity{want, want}, got)
	})
	assert.Zero(t, IdentityFrom(t.Context()))
}

func TestError_WithDetailKeepsCauseAndOriginal(t *testing.T) {
	cause := errors.New("the shelf is empty")
	first := Errorf(NotFound, "item1: %w", cause)
	second := first.WithDetail("item", "item1")
	third := second.WithDetail("item", "item2").WithDetail("shelf", "7")
	assert.Empty(t, first.Details)
	assert.Equal(t, map[string]string{"item": "item1"}, second.Details)
	assert.Equal(t, map[string]string{"item": "item2", "shelf": "7"}, third.Details)
	assert.ErrorIs(t, third, cause)
	assert.ErrorIs(t, third, NotFound)
	assert.EqualError(t, third, "rpc: not_found: item1: the shelf is empty")

	var none *Error
	assert.ErrorIs(t, none.WithDetail("a", "b"), Internal)
}

func TestState_HasAName(t *testing.T) {
	assert.Equal(t, []string{"serving", "draining", "closed", "state(9)"}, []string{Serving.String(), Draining.String(), Closed.String(), State(9).String()})
}

func TestHelloMetadata_AreThoseOfTheOption(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		var got Metadata
		inv.saw = func(ctx context.Context) {
			peer, _ := PeerFrom(ctx)
			got = peer.Metadata
		}
		srv := inv.server(t)
		md := Metadata{"app": "shop"}
		opt := WithHelloMetadata(md)
		md["app"] = "changed"
		_, err := checkStock.Call(t.Context(), pipe(t, srv, opt), &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, Metadata{"app": "shop"}, got)
	})
}

// Details beyond what the wire has room for do not travel; the error does.
func TestError_DetailsTravelUpTo16KiB(t *testing.T) {
	for size, arrives := range map[int]bool{16<<10 - 4 - 3: true, 16<<10 - 4 - 2: false} {
		bubble(t, func(t *testing.T) {
			srv := newServer(t)
			require.NoError(t, srv.RegisterFunc("Test.Fail", func() error {
				return Errorf(NotFound, "no item").WithDetail("key", strings.Repeat("x", size))
			}))
			err := pipe(t, srv).Call(t.Context(), "Test.Fail", nil, nil)
			assert.EqualError(t, err, "not_found: no item")
			assert.Equal(t, arrives, toError(err).Details["key"] != "", "%d bytes", size)
			assert.Equal(t, arrives, len(toError(err).Details) == 1)
		})
	}
}
