package rpccmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

func callCommand(o *options) *cobra.Command {
	compact := false
	cmd := &cobra.Command{
		Use:   "call ADDR METHOD [JSON]",
		Short: "Make one call",
		Long: `call sends params, given as JSON or, with -, read from standard input, and prints
the reply as JSON. Without JSON no params are sent.

call first asks the server for the method's types, if it has registered
introspection. It then refuses a field that they do not have, since the server would
ignore it; -allow-unknown sends it. -codec gob and protobuf need introspection.`,
		Example: `  rpc call 127.0.0.1:7000 Inventory.CheckStock '{"item":"item1"}'
  rpc call 127.0.0.1:7000 Inventory.CheckStock - < params.json
  rpc call -codec gob 127.0.0.1:7000 Math.Negate -- -5
  rpc call -token-file token.txt https://shop.example Inventory.Reset`,
		Args:              positional("ADDR", "METHOD", "[JSON]"),
		ValidArgsFunction: o.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := readParams(cmd.InOrStdin(), args[2:])
			if err != nil {
				return err
			}
			return o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
				text, err := o.call(ctx, c, args[1], params)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), text, compact)
			})
		},
	}
	o.addUnknownFlag(cmd.Flags())
	cmd.Flags().BoolVar(&compact, "compact", false, "print the reply on one line")
	return cmd
}

// readParams returns the JSON argument, or nil if there is none.
func readParams(stdin io.Reader, args []string) (json.RawMessage, error) {
	if len(args) == 0 {
		return nil, nil
	}
	text := []byte(args[0])
	if args[0] == "-" {
		var err error
		if text, err = readAll(stdin, mostParams); err != nil {
			return nil, failf("read params: %w", err)
		}
	}
	text, err := utf8Text("params", text)
	if err != nil {
		return nil, err
	}
	var checked json.RawMessage
	if err := json.Unmarshal(text, &checked); err != nil {
		return nil, usagef("params are not JSON: %w", err)
	}
	return checked, nil
}

// call makes one call with the chosen codec and returns the reply as JSON.
func (o *options) call(ctx context.Context, c rpc.Caller, method string, params json.RawMessage) ([]byte, error) {
	m, err := o.message(ctx, c, method, params)
	if err != nil {
		return nil, err
	}
	reply := m.newReply()
	if err := c.Call(ctx, method, m.params, reply); err != nil {
		return nil, explainCall(ctx, c, method, err)
	}
	text, err := m.text(reply)
	if err != nil {
		return nil, failf("the reply as JSON: %w", err)
	}
	return text, nil
}

// printJSON prints text, one line or indented. No result prints nothing.
func printJSON(w io.Writer, text []byte, compact bool) error {
	if len(text) == 0 {
		return nil
	}
	var out bytes.Buffer
	form := json.Compact
	if !compact {
		form = func(dst *bytes.Buffer, src []byte) error { return json.Indent(dst, src, "", "  ") }
	}
	if err := form(&out, text); err != nil {
		return failf("the reply as JSON: %w", err)
	}
	if _, err := fmt.Fprintln(w, plaintext.Lines(out.String())); err != nil {
		return failf("write: %w", err)
	}
	return nil
}
