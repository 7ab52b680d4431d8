package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// unseen is what a call-error handler was told, and how often an interceptor ran.
type unseen struct {
	told []unseenCall
	ran  int
}

type unseenCall struct {
	method   string
	code     Code
	neverRan bool
	identity string
}

func (u *unseen) options() []ServerOption {
	return []ServerOption{
		WithCallErrorHandler(func(ctx context.Context, err error) {
			_, ok := PeerFrom(ctx)
			if ok {
				u.told = append(u.told, unseenCall{MethodFrom(ctx), CodeOf(err), NeverRan(err), IdentityFrom(ctx).Name})
			}
		}),
		WithServerInterceptors(func(_ MethodInfo, next Handler) Handler {
			return func(ctx context.Context, params any) (any, error) {
				u.ran++
				return next(ctx, params)
			}
		}),
	}
}

func TestCallErrorHandler_IsToldOfWhatNoInterceptorSees(t *testing.T) {
	name := checkStock.Name()
	for _, c := range []struct {
		about  string
		method string
		ctx    func(context.Context) context.Context
		params any
		opts   []ServerOption
		want   unseenCall
		ran    int
	}{
		{about: "no such method", method: "Inventory.Nope", want: unseenCall{code: Unimplemented, neverRan: true}},
		{about: "a long name", method: "Inventory." + string(make([]byte, 200)), want: unseenCall{code: InvalidArgument, neverRan: true}},
		{about: "much metadata", opts: []ServerOption{WithMaxMetadata(4)}, want: unseenCall{name, ResourceExhausted, true, ""},
			ctx: func(ctx context.Context) context.Context { return AddMetadata(ctx, Metadata{"key": "value"}) }},
		{about: "not authorized", want: unseenCall{name, PermissionDenied, true, "mallory"},
			opts: []ServerOption{WithAuthorize(func(context.Context, string) (Identity, error) { return Identity{Name: "mallory"}, PermissionDenied })}},
		{about: "params", params: []int{1}, want: unseenCall{name, InvalidArgument, true, ""}},
		{about: "a large reply", params: stockRequest{Item: "huge"}, want: unseenCall{name, ResourceExhausted, false, ""}, ran: 1},
	} {
		for _, codec := range codecs() {
			t.Run(c.about+"/"+codec.Name(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var u unseen
					srv := newInventory().server(t, append(append(u.options(), WithCodecs(Gob)), c.opts...)...)
					client := pipe(t, srv, WithCodec(codec), WithMaxMessage(4096))
					ctx, method := t.Context(), c.method
					if c.ctx != nil {
						ctx = c.ctx(ctx)
					}
					if method == "" {
						method = name
					}
					err := client.Call(ctx, method, c.params, nil)
					synctest.Wait()
					assert.Equal(t, c.want.code, CodeOf(err))
					assert.Equal(t, []unseenCall{c.want}, u.told)
					assert.Equal(t, c.ran, u.ran)
				})
			})
		}
	}
}

func TestCallErrorHandler_IsToldOfFullServers(t *testing.T) {
	for about, opt := range map[string]ServerOption{"connection": WithMaxInFlight(1), "server": WithMaxHandlers(1)} {
		t.Run(about, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var u unseen
				inv := newInventory()
				srv := inv.server(t, append(u.options(), opt)...)
				raw := rawClient(t, srv, "json") // a client of ours keeps to the bound
				raw.request(1, checkStock.Name(), `{"Item":"held"}`)
				raw.request(2, checkStock.Name(), `{}`)
				assert.Equal(t, ResourceExhausted, raw.readError(2).Code)
				assert.Equal(t, []unseenCall{{checkStock.Name(), ResourceExhausted, true, ""}}, u.told)
				close(inv.hold)
				assert.Equal(t, wire.KindResponse, raw.read().Kind)
				assert.Equal(t, 1, u.ran)
			})
		})
	}
}

func TestCallErrorHandler_IsNotToldOfWhatInterceptorsSee(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var u unseen
		srv := newInventory().server(t, u.options()...)
		client := pipe(t, srv)
		for _, item := range []string{"item1", "no", "plain", "panic", "goexit"} {
			checkStock.Call(t.Context(), client, &stockRequest{Item: item})
		}
		synctest.Wait()
		assert.Empty(t, u.told)
		assert.Equal(t, 5, u.ran)
	})
}

func TestCallErrorHandler_IsToldOfResultsThatDoNotEncode(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var u unseen
				srv := newServer(t, append(u.options(), WithCodecs(Gob))...)
				require.NoError(t, srv.RegisterFunc("Test.Bad", func() badValue { return badValue{} }))
				err := pipe(t, srv, WithCodec(codec)).Call(t.Context(), "Test.Bad", nil, nil)
				synctest.Wait()
				assert.Equal(t, Internal, CodeOf(err))
				assert.Equal(t, []unseenCall{{"Test.Bad", Internal, false, ""}}, u.told)
			})
		})
	}
}

// badValue refuses to be encoded.
type badValue struct{ X int }

func (badValue) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }
func (badValue) GobEncode() ([]byte, error)   { return nil, errors.New("no") }

func TestCallErrorHandler_IsToldOfGatewaysCalls(t *testing.T) {
	var u unseen
	deny := error(nil)
	srv := newInventory().server(t, append(u.options(), WithAuthorize(func(context.Context, string) (Identity, error) { return Identity{}, deny }))...)
	require.NoError(t, srv.RegisterFunc("Test.Bad", func() badValue { return badValue{} }))
	invoke := func(method, body string) {
		srv.Invoke(t.Context(), Invocation{Method: method, Codec: JSON, Params: []byte(body), Peer: &Peer{}})
	}
	invoke("Inventory.Nope", "")
	invoke(checkStock.Name(), "[")
	invoke(checkStock.Name(), "{}")
	invoke("Test.Bad", "")
	deny = Unauthenticated
	invoke(checkStock.Name(), "{}")
	assert.Equal(t, []unseenCall{
		{"", Unimplemented, true, ""},
		{checkStock.Name(), InvalidArgument, true, ""},
		{"Test.Bad", Internal, false, ""},
		{checkStock.Name(), Unauthenticated, true, ""},
	}, u.told)
	assert.Equal(t, 2, u.ran)
}

func TestCallErrorHandler_SeveralAreToldAndAPanicEndsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		srv := newInventory().server(t,
			WithCallErrorHandler(func(context.Context, error) { told = append(told, "first") }),
			WithCallErrorHandler(func(context.Context, error) { panic("second") }),
			WithPanicHandler(func(_ context.Context, value any, _ []byte) { told = append(told, value.(string)) }))
		defer srv.Close()
		client := pipe(t, srv)
		err := client.Call(t.Context(), "Inventory.Nope", nil, nil)
		assert.ErrorIs(t, err, Unimplemented)
		assert.Equal(t, []string{"first", "second"}, told)
		assert.NoError(t, client.Ping(t.Context()))
	})
}
