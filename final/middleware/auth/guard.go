package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// Guard decides who may call what. Make one with [New]. It does not change, and
// may be used by many goroutines at once.
type Guard struct {
	verify   Verify
	fallback Rule
	rules    Rules
}

// New returns a guard that identifies callers by verify, most often
// [Tokens.Verify], and by their certificates where a rule asks for them
// ([Certified], [Certificate]). For certificates alone, give [NoTokens]; nil is
// refused. Methods without a rule are under fallback: with Nobody, a method
// that you forgot is closed. New fails on rules that would not guard what they
// seem to: a star in the wrong place, a name that is no method's, an empty list
// of names.
func New(verify Verify, fallback Rule, rules Rules) (*Guard, error) {
	if verify == nil {
		return nil, errors.New("auth: verify is nil")
	}
	for name, r := range rules {
		if err := checkRule(name, r); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	if err := checkRule("methods.without.a.rule", fallback); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return &Guard{verify: verify, fallback: fallback, rules: maps.Clone(rules)}, nil
}

// Authorize is an [rpc.AuthorizeFunc]. It returns the identity of a valid
// token. Without a valid token it returns none, and [rpc.IdentityFrom] then
// returns the certificate's name. It does not refuse calls of methods that do
// not exist: the server does that.
func (g *Guard) Authorize(ctx context.Context, method string) (identity rpc.Identity, err error) {
	rule := g.rule(method)
	if _, served := rpc.PeerFrom(ctx); served && rpc.MethodFrom(ctx) == "" {
		rule = Public()
	}
	token, found := bearer(rpc.MetadataFrom(ctx)[MetadataKey])
	if found && len(token) <= maxToken {
		var ok bool
		if identity, ok = g.verify(ctx, token); !ok {
			identity = rpc.Identity{} // whatever verify has said besides
		}
	}
	c := caller{identity: identity.Name, cert: certificateOf(ctx)}
	switch rule.judge(&c) {
	case unknown:
		return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "%s", whatIsMissing(rule, found))
	case denied:
		return rpc.Identity{}, rpc.Errorf(rpc.PermissionDenied, "%s may not call %s", c.name(ctx), method)
	}
	return identity, nil
}

// whatIsMissing says what a caller could have proved itself by.
func whatIsMissing(rule Rule, token bool) string {
	switch wantsToken, wantsCert := rule.asksFor(); {
	case wantsToken && token:
		return "the token is not valid"
	case wantsToken && wantsCert:
		return "no token, and no verified client certificate"
	case wantsCert:
		return "no verified client certificate"
	}
	return "no token: want the metadata " + MetadataKey + ": Bearer TOKEN"
}

// name is what a caller is called in its refusal.
func (c *caller) name(ctx context.Context) string {
	if c.identity != "" {
		return c.identity
	}
	if peer, ok := rpc.PeerFrom(ctx); ok && peer != nil && peer.Identity != "" {
		return peer.Identity
	}
	return "this caller"
}

// rule returns a registered method's rule.
func (g *Guard) rule(method string) Rule {
	if r, ok := g.rules[g.ruleName(method)]; ok {
		return r
	}
	return g.fallback
}

// ruleName returns the name of the rule that a method is under, if there is one.
func (g *Guard) ruleName(method string) string {
	if _, own := g.rules[method]; own {
		return method
	}
	return method[:strings.LastIndexByte(method, '.')+1] + "*"
}

// bearer takes the token out of a value of the form "Bearer TOKEN" (RFC 6750).
// The scheme's case does not matter (RFC 9110, section 11.1).
func bearer(credentials string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(credentials, " ")
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}
