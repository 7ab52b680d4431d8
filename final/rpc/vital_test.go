package rpc

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A full server still says how it is, and not without a bound.
func TestVital_RunsOnAFullServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithMaxHandlers(2))
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		require.NoError(t, srv.RegisterFunc("Work.Do", wait))
		require.NoError(t, srv.RegisterFunc("Health.Check", wait, Vital()))
		client := pipe(t, srv, WithMaxAttempts(1))
		ctx, cancel := context.WithCancel(t.Context())
		fill := func(method string, n int) (calls []*Pending) {
			for range n {
				calls = append(calls, client.Go(ctx, method, nil, nil))
			}
			synctest.Wait()
			return calls
		}
		fill("Work.Do", 2)
		assert.ErrorIs(t, fill("Work.Do", 1)[0].Wait(), ResourceExhausted)
		fill("Health.Check", vitalHandlers)
		assert.EqualValues(t, 2+vitalHandlers, srv.handlerPlaces.now())
		err := fill("Health.Check", 1)[0].Wait()
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.True(t, NeverRan(err))
		_, err = srv.Invoke(ctx, Invocation{Method: "Health.Check", Codec: JSON, Peer: &Peer{}})
		assert.ErrorIs(t, err, ResourceExhausted)
		cancel()
		synctest.Wait()
		assert.Zero(t, srv.handlerPlaces.now())
	})
}

// Hooks learn of unknown methods. Only a limit makes a difference to the caller.
func TestAuthorize_IsAskedAboutUnknownMethods(t *testing.T) {
	for code, want := range map[Code]Code{
		OK: Unimplemented, PermissionDenied: Unimplemented, Unauthenticated: Unimplemented, Internal: Unimplemented,
		ResourceExhausted: ResourceExhausted, Unavailable: Unavailable,
	} {
		bubble(t, func(t *testing.T) {
			var asked []string
			srv := newInventory().server(t, WithAuthorize(func(ctx context.Context, method string) (Identity, error) {
				_, served := PeerFrom(ctx)
				assert.True(t, served)
				assert.Empty(t, MethodFrom(ctx))
				assert.Equal(t, Metadata{"k": "v"}, MetadataFrom(ctx))
				asked = append(asked, method)
				if code == OK {
					return Identity{}, nil
				}
				return Identity{}, Errorf(code, "as you wish")
			}))
			defer srv.Close()
			client := pipe(t, srv, WithMaxAttempts(1))
			ctx := AddMetadata(t.Context(), Metadata{"k": "v"})
			err := client.Call(ctx, "Inventory.Nope", nil, nil)
			assert.Equal(t, want, CodeOf(err))
			assert.True(t, NeverRan(err))
			_, err = srv.Invoke(ctx, Invocation{Method: "Inventory.Nope", Codec: JSON, Peer: &Peer{}, Metadata: Metadata{"k": "v"}})
			assert.Equal(t, want, CodeOf(err))
			assert.ErrorIs(t, client.Call(ctx, "Inventory."+string(make([]byte, 200)), nil, nil), map[bool]Code{true: InvalidArgument, false: want}[want == Unimplemented])
			assert.Equal(t, []string{"Inventory.Nope", "Inventory.Nope", ""}, asked)
		})
	}
}
