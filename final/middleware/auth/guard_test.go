package auth

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

var decoded atomic.Int64

// guarded returns a server whose methods answer with who calls.
func guarded(t *testing.T, g *Guard, methods ...string) (*rpc.Server, *atomic.Int64) {
	t.Helper()
	srv := rpc.NewServer(rpc.WithAuthorize(g.Authorize))
	runs := new(atomic.Int64)
	for _, m := range methods {
		require.NoError(t, srv.RegisterFunc(m, func(ctx context.Context, _ item) string {
			runs.Add(1)
			return rpc.IdentityFrom(ctx).Name
		}))
	}
	t.Cleanup(func() { srv.Close() })
	return srv, runs
}

func TestNew_RefusesRulesThatGuardNothing(t *testing.T) {
	verify := new(Tokens).Verify
	for _, name := range []string{"", "*", ".*", "Inventory", "Inventory*", "Inventory.Check*", "*.Check", "In*.Check", "*.*", "Inventory.**", "Inventory.Check ", " Inventory.*", "Inventory.\n", "Inventory.", ".Check"} {
		_, err := New(verify, Nobody(), Rules{name: Known()})
		assert.ErrorContains(t, err, "auth: rule", "%q", name)
	}
	for name, rule := range map[string]Rule{"only nobody": Only(), "an empty name": Only("ann", "")} {
		_, err := New(verify, Nobody(), Rules{"A.B": rule})
		assert.ErrorContains(t, err, "auth: ", name)
		_, err = New(verify, rule, nil)
		assert.ErrorContains(t, err, "auth: ", name)
	}
	_, err := New(nil, Nobody(), nil)
	assert.EqualError(t, err, "auth: verify is nil")
}

func TestGuard_EachRuleForEachCaller(t *testing.T) {
	stranger, wrong, ann, bob := "", "Bearer wrong-but-long-enough", "Bearer "+annsToken, "Bearer "+bobsToken
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, Nobody(), Rules{"A.Public": Public(), "A.Known": Known(), "A.Only": Only("ann"), "A.Nobody": Nobody(), "A.Zero": {}})
		srv, _ := guarded(t, g, "A.Public", "A.Known", "A.Only", "A.Nobody", "A.Zero", "A.Other")
		conn := dialRaw(t, srv)
		for method, want := range map[string][4]rpc.Code{
			"A.Public": {rpc.OK, rpc.OK, rpc.OK, rpc.OK},
			"A.Known":  {rpc.Unauthenticated, rpc.Unauthenticated, rpc.OK, rpc.OK},
			"A.Only":   {rpc.Unauthenticated, rpc.Unauthenticated, rpc.OK, rpc.PermissionDenied},
			"A.Nobody": {rpc.Unauthenticated, rpc.Unauthenticated, rpc.PermissionDenied, rpc.PermissionDenied},
			"A.Zero":   {rpc.Unauthenticated, rpc.Unauthenticated, rpc.PermissionDenied, rpc.PermissionDenied},
			"A.Other":  {rpc.Unauthenticated, rpc.Unauthenticated, rpc.PermissionDenied, rpc.PermissionDenied},
		} {
			for i, credentials := range []string{stranger, wrong, ann, bob} {
				code, neverRan, answer := conn.call(method, MetadataKey, credentials)
				assert.Equal(t, want[i], code, "%s by %d", method, i)
				assert.Equal(t, code != rpc.OK, neverRan, "%s by %d", method, i)
				if code == rpc.OK {
					assert.True(t, strings.HasSuffix(answer, fmt.Sprintf("%q", []string{"", "", "ann", "bob"}[i])), "identity in %q", answer)
				}
			}
		}
	})
}

func TestGuard_FallbackIsForMethodsWithoutARule(t *testing.T) {
	for _, fallback := range []Rule{Public(), Known()} {
		g := newGuard(t, fallback, rules)
		srv, _ := guarded(t, g, "Orders.Place", "Inventory.SetStock")
		invoke := func(method, token string) error {
			_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: method, Codec: rpc.JSON, Peer: &rpc.Peer{}, Metadata: rpc.Metadata{MetadataKey: "Bearer " + token}})
			return err
		}
		assert.NoError(t, invoke("Orders.Place", bobsToken))
		assert.ErrorIs(t, invoke("Inventory.SetStock", bobsToken), rpc.PermissionDenied, "its own rule goes before its service's")
		assert.NoError(t, invoke("Inventory.SetStock", annsToken))
	}
}

// A service is what is before the last dot, exactly.
func TestGuard_ServicesAreExact(t *testing.T) {
	methods := []string{"Inventory.CheckStock", "Inventory.Admin.Reset", "Inventory2.Reset", "inventory.Reset", "Inventory..Reset", "My.Inventory.Reset", "Inventory.*"}
	srv, _ := guarded(t, newGuard(t, Nobody(), rules), methods...)
	for i, m := range methods {
		_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: m, Codec: rpc.JSON, Peer: &rpc.Peer{}, Metadata: rpc.Metadata{MetadataKey: "Bearer " + bobsToken}})
		if want := i == 0 || m == "Inventory.*"; want {
			assert.NoError(t, err, m)
		} else {
			assert.ErrorIs(t, err, rpc.PermissionDenied, m)
		}
	}
}

func TestGuard_AnotherSpellingIsNoMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fallback := range []Rule{Nobody(), Public()} { // even if everything else is open
			srv, runs := guarded(t, newGuard(t, fallback, Rules{"Inventory.SetStock": Only("ann")}), "Inventory.SetStock")
			conn := dialRaw(t, srv)
			for _, name := range []string{
				"inventory.setstock", "INVENTORY.SETSTOCK", "Inventory.Setstock", "Inventory.SetStock ", " Inventory.SetStock",
				"Inventory .SetStock", "Inventory. SetStock", "Inventory..SetStock", ".Inventory.SetStock", "Inventory.SetStock.",
				"Inventory/SetStock", "/Inventory/SetStock", "/Inventory.SetStock", "./Inventory.SetStock", "Inventory.SetStock/",
				"Inventory%2ESetStock", "Inventory.Set%53tock", "Inventory.SetStock\x00", "\x00Inventory.SetStock", "Inventory.SetStock\n",
				"Inventory.SetStock\r\n", "Inventory.SetStock\t", "Inventory．SetStock", "Inventory.Ѕetstock", "Inventory.SetStock\u200b",
				"\ufeffInventory.SetStock", "Inventory.SetStock?x=1", "Inventory.SetStock#", "Inventory.*", "*", "*.SetStock", "Inventory.", "",
				"Inventory.SetStock,Health.Check", "Health.Check;Inventory.SetStock", "Inventory.SetStock\xff", strings.Repeat("Inventory.SetStock", 100),
			} {
				for _, credentials := range []string{"", "Bearer " + bobsToken, "Bearer " + annsToken} {
					code, neverRan, _ := conn.call(name, MetadataKey, credentials)
					assert.Contains(t, []rpc.Code{rpc.Unimplemented, rpc.InvalidArgument}, code, "%q", name)
					assert.True(t, neverRan, "%q", name)
				}
			}
			code, _, _ := conn.call("Inventory.SetStock", MetadataKey, "Bearer "+bobsToken)
			assert.Equal(t, rpc.PermissionDenied, code)
			assert.Zero(t, runs.Load())
		}
	})
}

func TestGuard_AnotherSpellingOfATokenIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, runs := guarded(t, newGuard(t, Nobody(), Rules{"Inventory.SetStock": Only("ann")}), "Inventory.SetStock")
		conn := dialRaw(t, srv)
		for _, credentials := range []string{
			"", "Bearer", "Bearer ", "Bearer   ", annsToken, "Bearer" + annsToken, "Bearer\u00a0" + annsToken, "Basic " + annsToken,
			"Bearer " + annsToken + " ", "Bearer " + annsToken + "=", "Bearer " + annsToken + "A", "Bearer " + annsToken[:21],
			"Bearer " + strings.ToLower(annsToken), "Bearer " + strings.ToUpper(annsToken), "Bearer \"" + annsToken + "\"",
			"Bearer " + annsToken + "," + bobsToken, "Bearer x " + annsToken, "Bearer ann", "Bearer *", "Bearer " + strings.Repeat("A", 7000),
			" Bearer " + annsToken, "Bearer Bearer " + annsToken, "Bearer " + annsToken + "\u200b",
		} {
			code, neverRan, answer := conn.call("Inventory.SetStock", MetadataKey, credentials)
			assert.Equal(t, rpc.Unauthenticated, code, "%q", credentials)
			assert.True(t, neverRan)
			assert.NotContains(t, answer, annsToken[:8])
		}
		for _, pairs := range [][]string{
			{"Authorization", "Bearer " + annsToken}, {"AUTHORIZATION", "Bearer " + annsToken}, {"authorization ", "Bearer " + annsToken},
			{MetadataKey, "Bearer " + annsToken + "\x00"}, {MetadataKey, "Bearer " + annsToken + "\n"}, {MetadataKey, "\tBearer " + annsToken}, {MetadataKey},
		} {
			code, neverRan, answer := conn.call("Inventory.SetStock", pairs...)
			assert.Equal(t, rpc.InvalidArgument, code, "%q", pairs)
			assert.True(t, neverRan)
			assert.NotContains(t, answer, annsToken[:8])
		}
		for _, key := range []string{"authorisation", "x-authorization", "proxy-authorization", "authorization.", "identity", "peer"} {
			code, _, _ := conn.call("Inventory.SetStock", key, "Bearer "+annsToken)
			assert.Equal(t, rpc.Unauthenticated, code, key)
		}
		assert.Zero(t, runs.Load())

		for _, credentials := range []string{"Bearer " + annsToken, "bearer " + annsToken, "BEARER  " + annsToken} {
			code, _, _ := conn.call("Inventory.SetStock", MetadataKey, credentials)
			assert.Equal(t, rpc.OK, code, "%q: RFC 9110", credentials)
		}
		code, _, _ := conn.call("Inventory.SetStock", MetadataKey, "Bearer "+annsToken, MetadataKey, "Bearer "+bobsToken)
		assert.Equal(t, rpc.PermissionDenied, code, "of two, the last counts, in PROTOCOL.md as here")
	})
}

func TestGuard_ParamsOfRefusedCallsAreNotDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, runs := guarded(t, newGuard(t, Nobody(), rules), "Inventory.SetStock")
		conn := dialRaw(t, srv)
		before := decoded.Load()
		conn.call("Inventory.SetStock")
		conn.call("Inventory.SetStock", MetadataKey, "Bearer "+bobsToken)
		assert.Equal(t, before, decoded.Load())
		conn.call("Inventory.SetStock", MetadataKey, "Bearer "+annsToken)
		assert.Equal(t, before+1, decoded.Load())
		assert.Equal(t, int64(1), runs.Load())
	})
}

// What a stranger can find out is which names are methods.
func TestGuard_UnknownMethodsAreUnknownToEveryone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := guarded(t, newGuard(t, Nobody(), rules), "Inventory.SetStock")
		conn := dialRaw(t, srv)
		code, _, _ := conn.call("Inventory.Nope")
		assert.Equal(t, rpc.Unimplemented, code)
		code, _, _ = conn.call("Inventory.SetStock")
		assert.Equal(t, rpc.Unauthenticated, code)
	})
}

func TestGuard_VerifierWithoutAnIdentityVerifiesNobody(t *testing.T) {
	for name, verify := range map[string]Verify{
		"ok, and nobody":   func(context.Context, string) (rpc.Identity, bool) { return rpc.Identity{}, true },
		"ann, and not ok":  func(context.Context, string) (rpc.Identity, bool) { return rpc.Identity{Name: "ann"}, false },
		"a verifier fails": func(context.Context, string) (rpc.Identity, bool) { panic("verify") },
	} {
		g, err := New(verify, Known(), Rules{"A.Public": Public()})
		require.NoError(t, err)
		srv, runs := guarded(t, g, "A.B", "A.Public")
		md := rpc.Metadata{MetadataKey: "Bearer " + annsToken}
		_, err = srv.Invoke(t.Context(), rpc.Invocation{Method: "A.B", Codec: rpc.JSON, Peer: &rpc.Peer{}, Metadata: md})
		assert.Contains(t, []rpc.Code{rpc.Unauthenticated, rpc.Internal}, rpc.CodeOf(err), name)
		assert.Zero(t, runs.Load(), name)
		if out, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "A.Public", Codec: rpc.JSON, Peer: &rpc.Peer{}, Metadata: md}); err == nil {
			assert.Equal(t, `""`, string(out), name)
		}
	}
}

func TestGuard_HugeTokensAreNotLookedAt(t *testing.T) {
	longest := 0
	g, err := New(func(_ context.Context, token string) (rpc.Identity, bool) {
		longest = max(longest, len(token))
		return rpc.Identity{Name: "ann"}, true
	}, Known(), nil)
	require.NoError(t, err)
	srv, _ := guarded(t, g, "A.B")
	for size, want := range map[int]rpc.Code{4096: rpc.OK, 4097: rpc.Unauthenticated, 60_000: rpc.Unauthenticated} {
		_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "A.B", Codec: rpc.JSON, Peer: &rpc.Peer{}, Metadata: rpc.Metadata{MetadataKey: "Bearer " + strings.Repeat("A", size)}})
		assert.Equal(t, want, rpc.CodeOf(err), "%d bytes", size)
	}
	assert.Equal(t, 4096, longest)
}

func TestGuard_RulesDoNotChangeAfterwards(t *testing.T) {
	mine, names := Rules{"A.B": Only("ann")}, []string{"ann"}
	mine["A.C"] = Only(names...)
	g := newGuard(t, Nobody(), mine)
	mine["A.B"], names[0] = Public(), "bob"
	assert.Equal(t, denied, g.rule("A.B").judge(&caller{identity: "bob"}))
	assert.Equal(t, denied, g.rule("A.C").judge(&caller{identity: "bob"}))
}

func TestUnused_FindsMisspeltRules(t *testing.T) {
	g := newGuard(t, Public(), Rules{"Inventory.SetStok": Nobody(), "Inventory.*": Known(), "Inventory.Check": Known(), "Order.*": Known()})
	srv, _ := guarded(t, g, "Inventory.SetStock", "Inventory.Check", "Orders.Place")
	assert.Equal(t, []string{"Inventory.SetStok", "Order.*"}, g.Unused(srv.Methods()))
}
