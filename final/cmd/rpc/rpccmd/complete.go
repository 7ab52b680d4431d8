package rpccmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// completeMethod offers a shell the methods of the server that is named
// already. Whatever goes wrong, there is nothing to offer.
func (o *options) completeMethod(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 || checkAddr(args[0]) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	o.timeout = min(o.timeout, 3*time.Second) // somebody waits at a prompt
	var methods []cobra.Completion
	_ = o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
		reply, err := introspect.List.Call(ctx, c, &introspect.ListRequest{})
		for _, s := range reply.GetServices() {
			for _, m := range s.GetMethods() {
				if strings.HasPrefix(m.GetName(), typed) {
					methods = append(methods, cobra.CompletionWithDesc(m.GetName(), signature(m)))
				}
			}
		}
		return err
	})
	return methods, cobra.ShellCompDirectiveNoFileComp
}
