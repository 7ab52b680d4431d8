package rpccmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/rpc"
)

func pingCommand(o *options) *cobra.Command {
	var times int
	cmd := &cobra.Command{
		Use:               "ping ADDR",
		Short:             "Check that a server answers",
		Long:              "ping sends a ping of the protocol, which calls no method: every server answers.",
		Example:           "  rpc ping 127.0.0.1:7000 -n 3",
		Args:              positional("ADDR"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if times < 1 {
				return usagef("-n %d: want at least 1", times)
			}
			return o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
				for n := range times {
					if err := pause(ctx, n); err != nil {
						return err
					}
					start := time.Now()
					if err := c.Ping(ctx); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "pong from %s in %v\n", args[0], readable(time.Since(start))); err != nil {
						return failf("write: %w", err)
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().IntVarP(&times, "count", "n", 1, "how often")
	return cmd
}

// pause waits before the n-th ping, if there were many: a server ends a connection that
// pings too often.
func pause(ctx context.Context, n int) error {
	if n < manyPings {
		return nil
	}
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const manyPings = 500

// readable rounds d to three digits.
func readable(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}
