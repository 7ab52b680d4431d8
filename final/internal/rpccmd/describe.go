package rpccmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

func describeCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "describe ADDR METHOD",
		Short: "Show what a method takes and returns",
		Long: `describe prints a method's params and reply, and a call to start from. For every
type in them it shows the fields, with their names in JSON and their types in Go. For
gob a field has its Go name, for protobuf its number. Of the fields of a oneof, a
message has one at most.`,
		Example:           "  rpc describe 127.0.0.1:7000 Inventory.CheckStock",
		Args:              positional("ADDR", "METHOD"),
		ValidArgsFunction: o.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd.Context(), args[0], func(ctx context.Context, c *rpc.Client) error {
				d, err := describe(ctx, c, args[1])
				if err != nil {
					return err
				}
				return printDescription(cmd.OutOrStdout(), args[0], d)
			})
		},
	}
}

// describe asks for a method's types.
func describe(ctx context.Context, c rpc.Caller, method string) (*introspect.DescribeReply, error) {
	d, err := introspect.Describe.Call(ctx, c, &introspect.DescribeRequest{Method: method})
	if rpc.CodeOf(err) == rpc.NotFound {
		return nil, suggest(ctx, c, method, err)
	}
	if err != nil {
		return nil, needIntrospection(err)
	}
	return d, nil
}

func printDescription(w io.Writer, addr string, d *introspect.DescribeReply) error {
	out := columns(w)
	m := d.GetMethod()
	plaintext.Fprintf(out, "%s\n", m.GetName())
	if m.GetKind() != "" {
		plaintext.Fprintf(out, "  kind\t%s\n", m.GetKind())
	}
	plaintext.Fprintf(out, "  params\t%s\n", orNothing(paramsOf(m)))
	plaintext.Fprintf(out, "  reply\t%s\n", orNothing(replyOf(m)))
	printTypes(out, d)
	fmt.Fprintf(out, "\n%s\n", commandLine(addr, d))
	if m.GetKind() == rpc.ClientStreaming.String() || m.GetKind() == rpc.BidiStreaming.String() {
		fmt.Fprintln(out, "With - in place of the JSON, call reads items from standard input, one a line.")
	}
	if err := out.Flush(); err != nil {
		return failf("write: %w", err)
	}
	return nil
}

// commandLine returns a line that can be copied into a shell, whatever the server
// has called its methods and fields.
func commandLine(addr string, d *introspect.DescribeReply) string {
	words := []string{"rpc", "call", addr, d.GetMethod().GetName()}
	if d.GetMethod().GetParams() != "" {
		// What is escaped in a JSON string means the same.
		words = append(words, plaintext.Line(sample(d)))
	}
	for _, word := range words {
		if !plaintext.IsLine(word) {
			return "No command line for it: its name has characters that cannot be typed."
		}
	}
	if strings.HasPrefix(words[3], "-") {
		words = slices.Insert(words, 3, "--")
	}
	return shellLine(words)
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}

// printTypes prints all types but those of which the name says it all, like []int, and
// the interfaces that Go has for the oneofs of messages.
func printTypes(w io.Writer, d *introspect.DescribeReply) {
	messages := newMessageChecker(d)
	table := describedMessages(messages, d.GetTypes())
	for _, t := range d.GetTypes() {
		switch {
		case table.oneofs[t.GetName()], t.GetPackage() == "" && t.GetKind() != "struct":
		case messages.find(t.GetMessage()) != nil:
			table.print(w, t)
		default:
			printType(w, t)
		}
	}
}

// printType prints a struct with its fields, or what another named type is.
func printType(w io.Writer, t *introspect.Type) {
	plaintext.Fprintf(w, "\n%s  %s\n", t.GetName(), underlying(t))
	for _, f := range t.GetFields() {
		name := f.GetName()
		switch {
		case f.GetInline():
			name = "(inline)"
		case name == "":
			name = "-"
		case name == "-":
			name = `"-"` // - alone says that JSON leaves the field out
		}
		plaintext.Fprintf(w, "  %s\t%s\t%s\n", name, f.GetType(), fieldNotes(f))
	}
}

// underlying says what a named type is made of and who encodes it.
func underlying(t *introspect.Type) string {
	text := t.GetKind()
	switch t.GetKind() {
	case "slice":
		text = "[]" + t.GetElem()
	case "array":
		text = fmt.Sprintf("[%d]%s", t.GetLen(), t.GetElem())
	case "map":
		text = fmt.Sprintf("map[%s]%s", t.GetKey(), t.GetElem())
	}
	switch t.GetJsonEncoding() {
	case "text":
		text += ", a string in JSON"
	case "own":
		text += ", its own encoding in JSON"
	}
	if t.GetGobEncoding() {
		text += ", its own encoding in gob"
	}
	return text
}

func fieldNotes(f *introspect.Field) string {
	var notes []string
	if f.GetGoName() != f.GetName() {
		notes = append(notes, "Go "+f.GetGoName())
	}
	if f.GetNumber() > 0 {
		notes = append(notes, fmt.Sprintf("protobuf %d", f.GetNumber()))
	}
	if f.GetOmitempty() {
		notes = append(notes, "left out when empty")
	}
	if f.GetQuoted() {
		notes = append(notes, "in a JSON string")
	}
	return strings.Join(notes, ", ")
}
