package rpccmd

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// completeMethod offers a shell the methods of the server that is named
// already. Whatever goes wrong, there is nothing to offer.
func (o *options) completeMethod(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 || checkAddr(args[0]) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	o.timeout = atPrompt(o.timeout)
	var methods []cobra.Completion
	_ = o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
		reply, err := introspect.List.Call(ctx, c, &introspect.ListRequest{})
		for _, s := range reply.GetServices() {
			for _, m := range s.GetMethods() {
				if strings.HasPrefix(m.GetName(), typed) && isWord(m.GetName()) {
					methods = append(methods, cobra.CompletionWithDesc(m.GetName(), plaintext.Line(signature(m))))
				}
			}
		}
		return err
	})
	return methods, cobra.ShellCompDirectiveNoFileComp
}

// atPrompt returns how long a user waits at a prompt whose commands have a timeout.
// One of 0 or less is none.
func atPrompt(timeout time.Duration) time.Duration {
	const longest = 3 * time.Second
	if timeout <= 0 {
		return longest
	}
	return min(timeout, longest)
}

// isWord reports whether no shell sees more in name than a word: some completion
// scripts let the shell expand what they are given.
func isWord(name string) bool {
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-/", r)
	}
	return name != "" && name[0] != '-' && !strings.ContainsFunc(name, odd)
}
