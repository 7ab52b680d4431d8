package rpccmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

func listCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:               "list ADDR [SERVICE]",
		Short:             "List a server's services and methods",
		Long:              "list prints each service with its status, and each method with its params and result.\nOf a stream, a side that sends many items has stream before their type.",
		Example:           "  rpc list 127.0.0.1:7000",
		Args:              positional("ADDR", "[SERVICE]"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &introspect.ListRequest{}
			if len(args) > 1 {
				req.Service = args[1]
			}
			return o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
				reply, err := introspect.List.Call(ctx, c, req)
				if err != nil {
					return needIntrospection(err)
				}
				return printServices(cmd.OutOrStdout(), reply.GetServices())
			})
		},
	}
}

func printServices(w io.Writer, services []*introspect.Service) error {
	out := columns(w)
	for _, s := range services {
		plaintext.Fprintf(out, "%s\t%s\n", s.GetName(), s.GetStatus())
		for _, m := range s.GetMethods() {
			plaintext.Fprintf(out, "  %s\n", signature(m))
		}
	}
	if err := out.Flush(); err != nil {
		return failf("write: %w", err)
	}
	return nil
}

// signature reads as in Go: Inventory.CheckStock(inventory.CheckStockRequest) inventory.CheckStockReply.
// A side that sends items has stream before their type.
func signature(m *introspect.Method) string {
	return strings.TrimRight(fmt.Sprintf("%s(%s) %s", m.GetName(), paramsOf(m), replyOf(m)), " ")
}

func paramsOf(m *introspect.Method) string {
	return itemsOf(m.GetParams(), m.GetKind(), rpc.ClientStreaming)
}

func replyOf(m *introspect.Method) string {
	return itemsOf(m.GetReply(), m.GetKind(), rpc.ServerStreaming)
}

// itemsOf returns what a side sends: items of the type name, if the method is a stream of one kind, or of both.
func itemsOf(name, kind string, one rpc.MethodKind) string {
	if kind == one.String() || kind == rpc.BidiStreaming.String() {
		return "stream " + name
	}
	return name
}

// columns sets what is printed with tabs in columns.
func columns(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
}
