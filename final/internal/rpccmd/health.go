package rpccmd

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

func healthCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "health ADDR [SERVICE]",
		Short: "Show the status of a server and its services",
		Long: `health prints the status of the server and of each service, or of one service
alone: serving, draining or not_serving. It exits with 0 if the server, or the
one service, is serving, else with 1.`,
		Example:           "  rpc health 127.0.0.1:7000 Inventory",
		Args:              positional("ADDR", "[SERVICE]"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &health.CheckRequest{}
			if len(args) > 1 {
				req.Service = args[1]
			}
			return o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
				return checkHealth(ctx, cmd, c, req)
			})
		},
	}
}

func checkHealth(ctx context.Context, cmd *cobra.Command, c rpc.Caller, req *health.CheckRequest) error {
	reply, err := health.Check.Call(ctx, c, req)
	if rpc.CodeOf(err) == rpc.Unimplemented && rpc.NeverRan(err) {
		return hint(err, "this server has not registered its health; rpc ping works without")
	}
	if err != nil {
		return err
	}
	name := req.GetService()
	if name == "" {
		name = "server"
	}
	out := columns(cmd.OutOrStdout())
	plaintext.Fprintf(out, "%s\t%s\n", name, reply.GetStatus())
	for _, service := range slices.Sorted(maps.Keys(reply.GetServices())) {
		plaintext.Fprintf(out, "%s\t%s\n", service, reply.GetServices()[service])
	}
	if err := out.Flush(); err != nil {
		return failf("write: %w", err)
	}
	if reply.GetStatus() != string(health.Serving) {
		return failf("%s is %s", name, reply.GetStatus())
	}
	return nil
}
