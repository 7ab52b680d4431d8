package auth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"example.com/rpc-from-scratch/final/rpc"
)

// Rule says who may call a method. Make one with [Public], [Known], [Only] or
// [Nobody]; the zero value is Nobody.
type Rule struct {
	who  audience
	only []string
}

type audience int

const (
	nobody audience = iota
	listed
	known
	everybody
)

// Public lets everybody call, with a token or without. Who brings a valid one is
// known to the handler; one that is not valid is as good as none.
func Public() Rule { return Rule{who: everybody} }

// Known lets call who has a valid token. A client's certificate is none.
func Known() Rule { return Rule{who: known} }

// Only lets call who has a valid token of one of these identities.
func Only(identities ...string) Rule {
	return Rule{who: listed, only: slices.Clone(identities)}
}

// Nobody lets nobody call.
func Nobody() Rule { return Rule{} }

// allows reports whether a caller may call whose identity is known.
func (r Rule) allows(identity string) bool {
	return r.who >= known || r.who == listed && slices.Contains(r.only, identity)
}

// Rules are the rules of methods, by exact name ("Inventory.SetStock"), and of
// all methods of a service ("Inventory.*"), which are those whose name up to the
// last dot is exactly the service's. A method's own rule goes before its service's.
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
	case r.who == listed && len(r.only) == 0:
		return fmt.Errorf("rule %q: only whom? Nobody lets nobody call", name)
	case slices.Contains(r.only, ""):
		return fmt.Errorf("rule %q: an identity is empty", name)
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
