package rpccmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

func callCommand(o *options) *cobra.Command {
	compact, show := false, false
	cmd := &cobra.Command{
		Use:   "call ADDR METHOD [JSON]",
		Short: "Make one call, or open a stream",
		Long: `call sends params, given as JSON or, with -, read from standard input, and prints
the reply as JSON. Without JSON no params are sent.

If the method is a stream, call prints each item that arrives, one a line. To a client
or bidi stream it sends the JSON as the only item. With - it sends each line of standard
input as an item, while it prints what arrives. A line that is no item ends what is sent:
call prints the reply to the items before it, says how many they were, and fails. An
interrupt cancels the stream.

call first asks the server for the method's types, if it has registered
introspection. It then refuses a field that they do not have, and a name that an
enum of protobuf's does not have, since the server would ignore them; -allow-unknown
sends them. -codec gob and protobuf need introspection. Without introspection, -stream says
that the method is a stream.`,
		Example: `  rpc call 127.0.0.1:7000 Inventory.CheckStock '{"item":"item1"}'
  rpc call 127.0.0.1:7000 Inventory.CheckStock - < params.json
  rpc call 127.0.0.1:7000 Orders.Import - < orders.ndjson
  rpc call -codec gob 127.0.0.1:7000 Math.Negate -- -5
  rpc call -token-file token.txt https://shop.example Inventory.Reset`,
		Args:              positional("ADDR", "METHOD", "[JSON]"),
		ValidArgsFunction: o.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			call := &calling{options: o, cmd: cmd, method: args[1], compact: compact, show: show}
			if slices.Equal(args[2:], []string{"-"}) {
				call.stdin = cmd.InOrStdin()
			} else if len(args) > 2 {
				var err error
				if call.params, err = checkedJSON([]byte(args[2])); err != nil {
					return err
				}
			}
			return o.connected(cmd.Context(), args[0], call.run)
		},
	}
	o.addStreamFlag(cmd)
	o.addUnknownFlag(cmd.Flags())
	cmd.Flags().BoolVar(&compact, "compact", false, "print the reply on one line; items of a stream always are")
	cmd.Flags().BoolVar(&show, "show-metadata", false, "print the metadata of the reply, or of the error, to standard error; of a stream, header and trailer")
	return cmd
}

// calling is what call does.
type calling struct {
	*options
	cmd           *cobra.Command
	method        string
	params        json.RawMessage
	stdin         io.Reader // where params or items are read; nil: they are not
	compact, show bool
}

// run makes the call, within the time of bounded, or opens the stream, which has no bound
// but an explicit one.
func (o *calling) run(ctx, bounded context.Context, c *rpc.Client) error {
	m, err := o.message(bounded, c, o.method, o.params)
	if err != nil {
		return err
	}
	takesItems := m.kind == rpc.ClientStreaming || m.kind == rpc.BidiStreaming
	if takesItems && o.stdin == nil && o.params == nil {
		return usagef("%s is a %s: want an item as JSON, or - to read items from standard input, one a line", o.method, m.kind)
	}
	if o.cmd.Flags().Changed("timeout") && o.timeout > 0 {
		ctx = bounded
	}
	if o.stdin != nil && !takesItems {
		if o.params, err = readParams(o.stdin); err != nil {
			return err
		}
		if m.params, err = m.encode(o.params); err != nil {
			return err
		}
	}
	out := o.cmd.OutOrStdout()
	if m.kind != rpc.Unary {
		compact := o.compact || m.kind != rpc.ClientStreaming
		p := printer{item: func(text []byte) error { return printJSON(out, text, compact) }}
		if o.show {
			p.metadata = func(md rpc.Metadata) { printMetadata(o.cmd.ErrOrStderr(), md) }
		}
		return callStream(ctx, c, o.method, m, o.stdin, p)
	}
	var md rpc.Metadata
	text, err := callOnce(bounded, c, o.method, m, &md)
	if o.show {
		printMetadata(o.cmd.ErrOrStderr(), md)
	}
	if err != nil {
		return err
	}
	return printJSON(out, text, o.compact)
}

// readParams returns the JSON that is all of standard input.
func readParams(stdin io.Reader) (json.RawMessage, error) {
	text, err := readAll(stdin, mostParams)
	if err != nil {
		return nil, failf("read params: %w", err)
	}
	return checkedJSON(text)
}

// checkedJSON returns text, if it is JSON.
func checkedJSON(text []byte) (json.RawMessage, error) {
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

// callOnce makes one call and returns the reply as JSON. It sets md to the reply's metadata.
func callOnce(ctx context.Context, c rpc.Caller, method string, m *message, md *rpc.Metadata) ([]byte, error) {
	reply := m.newReply()
	if err := c.Call(rpc.ReceiveHeader(ctx, md), method, m.params, reply); err != nil {
		return nil, explainCall(ctx, c, method, err)
	}
	text, err := m.text(reply)
	if err != nil {
		return nil, failf("the reply as JSON: %w", err)
	}
	return text, nil
}

// printMetadata prints pairs, one a line, as -H takes them.
func printMetadata(w io.Writer, md rpc.Metadata) {
	for _, key := range slices.Sorted(maps.Keys(md)) {
		plaintext.Fprintf(w, "%s=%s\n", key, md[key])
	}
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
