package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"example.com/rpc-from-scratch/final/rpc"
)

// Rule says who may call a method. Make one with [Public], [Known], [Only],
// [Certified], [Certificate] or [Nobody], or combine others with [Any] and
// [All]. The zero value is Nobody.
type Rule struct {
	who   audience
	only  []string // identities, or names of certificates
	rules []Rule   // of Any and All
}

type audience int

const (
	nobody audience = iota
	listed
	known
	certified
	named
	anyOf
	allOf
	everybody
)

// Public allows every caller, with or without a token. The handler knows a
// caller with a valid token; a token that is not valid is ignored.
func Public() Rule { return Rule{who: everybody} }

// Known allows callers that have a valid token. A client's certificate does not
// count: see [Certified].
func Known() Rule { return Rule{who: known} }

// Only allows callers that have a valid token of one of these identities.
func Only(identities ...string) Rule {
	return Rule{who: listed, only: slices.Clone(identities)}
}

// Nobody closes a method: it allows no caller.
func Nobody() Rule { return Rule{} }

// verdict is what a rule says of a caller.
type verdict int

const (
	allowed verdict = iota
	unknown         // it has not said who it is in the way that the rule asks for
	denied
)

// caller is who makes a call, as far as it has proved it.
type caller struct {
	identity string            // of a valid token; else empty
	cert     *x509.Certificate // verified; nil if there is none
}

// judge says whether a caller may call.
func (r Rule) judge(c *caller) verdict {
	switch r.who {
	case everybody:
		return allowed
	case certified, named:
		return proven(c.cert != nil, r.who == certified || c.cert != nil && slices.ContainsFunc(r.only, func(name string) bool { return hasName(c.cert, name) }))
	case anyOf:
		return r.judgeAny(c)
	case allOf:
		return r.judgeAll(c)
	}
	return proven(c.identity != "", r.who == known || r.who == listed && slices.Contains(r.only, c.identity))
}

func proven(isKnown, may bool) verdict {
	switch {
	case !isKnown:
		return unknown
	case !may:
		return denied
	}
	return allowed
}

// judgeAny is the kindest verdict. A caller that one rule knows and does not
// allow is denied.
func (r Rule) judgeAny(c *caller) verdict {
	result := unknown
	for _, rule := range r.rules {
		switch rule.judge(c) {
		case allowed:
			return allowed
		case denied:
			result = denied
		}
	}
	return result
}

// judgeAll is the hardest verdict.
func (r Rule) judgeAll(c *caller) verdict {
	result := allowed
	for _, rule := range r.rules {
		result = max(result, rule.judge(c))
	}
	return result
}

// asksFor reports what can prove to the rule who calls.
func (r Rule) asksFor() (token, cert bool) {
	switch r.who {
	case certified, named:
		return false, true
	case anyOf, allOf:
		for _, rule := range r.rules {
			t, c := rule.asksFor()
			token, cert = token || t, cert || c
		}
		return token, cert
	}
	return r.who != everybody, false
}

// Rules has the rules of methods, by exact name ("Inventory.SetStock") or for
// all methods of a service ("Inventory.*"). A method's service is its name up
// to the last dot. A method's own rule takes precedence over its service's.
type Rules map[string]Rule

// anyMethod stands at the end of a service's rule.
const anyMethod = ".*"

// checkRule finds mistakes in a rule that would leave a method unguarded.
func checkRule(name string, r Rule) error {
	service, whole := strings.CutSuffix(name, anyMethod)
	switch {
	case strings.Contains(service, "*"):
		return fmt.Errorf("rule %q: a star stands for all methods of a service, as in Inventory.*, and for nothing else", name)
	case service == "" || !whole && !isMethod(name):
		return fmt.Errorf("rule %q: want Service.Method or Service.*", name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Errorf("rule %q: no method has white space in its name", name)
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("rule %q: %w", name, err)
	}
	return nil
}

func (r Rule) check() error {
	switch {
	case r.who == named:
		return checkNames(r.only)
	case r.who == listed && len(r.only) == 0:
		return errors.New("Only without identities: name at least one, or use Nobody to close the method")
	case slices.Contains(r.only, ""):
		return errors.New("an identity is empty")
	case (r.who == anyOf || r.who == allOf) && len(r.rules) == 0:
		return errors.New("Any and All want rules")
	}
	for _, rule := range r.rules {
		if err := rule.check(); err != nil {
			return err
		}
	}
	return nil
}

// isMethod reports whether name has a service and a method of it.
func isMethod(name string) bool {
	service, method, dotted := strings.Cut(name, ".")
	return dotted && service != "" && method != ""
}

// Unused returns the names of rules that no method is under, sorted. After all
// methods are registered it should return none: a rule with a misspelt name guards
// nothing.
//
//	if unused := guard.Unused(srv.Methods()); len(unused) > 0 { … }
func (g *Guard) Unused(methods []rpc.MethodInfo) []string {
	used := map[string]bool{}
	for _, m := range methods {
		used[g.ruleName(m.Name)] = true
	}
	var unused []string
	for name := range g.rules {
		if !used[name] {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	return unused
}
