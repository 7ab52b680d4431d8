package cli

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/wire"
)

func newWire() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wire N",
		Short: "Print every message of a live connection",
		Long: "Wire passes messages on between a client and a server, and prints each one: direction, time since the connection began, bytes, meaning. " +
			"N is a step or checkpoint, such as 03 or 5a, or final.\n\n" +
			"Start the server first, then wire. Give the client the address that wire prints.",
		Example: "    go tool workshop wire 03\n    go tool workshop wire final -addr 127.0.0.1:9090 -hex",
		Args:    cobra.ExactArgs(1),
	}
	addr := cmd.Flags().String("addr", "127.0.0.1:8080", "the server's `address`")
	listen := cmd.Flags().String("listen", "127.0.0.1:0", "listen on this `address`; port 0 picks a free port")
	limit := cmd.Flags().Int("max", 1000, "show at most this many `bytes` of a message")
	dump := cmd.Flags().BoolP("hex", "x", false, "also show the bytes, in hexadecimal")
	untilEOF := cmd.Flags().Bool("until-eof", false, "end when standard input ends, so that a parent process can stop it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := wire.Find(args[0])
		if err != nil {
			return err
		}
		if *limit < 1 {
			return fmt.Errorf("-max %d: at least 1 byte of a message has to be shown", *limit)
		}
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if *untilEOF {
			go func() {
				io.Copy(io.Discard, cmd.InOrStdin())
				cancel()
			}()
		}
		ln, err := net.Listen("tcp", *listen)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "listening on %s, forwarding to %s\n", ln.Addr(), *addr)
		proxy := &wire.Proxy{Wire: w, Addr: *addr, Out: out, Max: *limit, Hex: *dump}
		return proxy.Serve(ctx, ln)
	}
	return cmd
}
