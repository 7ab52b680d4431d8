package rpccmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const rootHelp = `rpc asks servers what they can do, calls them and measures them.

ADDR is host:port or unix:path. For a server behind HTTP/2 it is http://host:port/path
or https://…; without a path, it is /rpc.v1. Flags may be anywhere, and begin with one
or two dashes. There are no flags after --, so that JSON may begin with a minus.

Secrets do not belong on the command line, which all users of a machine can read:
a bearer token comes from -token-file or the variable RPC_TOKEN, other metadata
from -H @FILE.

list, describe and health, and call with gob or protobuf, need a server that has
registered introspection and health.

Exit codes: 0 success, 1 a call failed, 2 wrong usage.`

// rootCommand makes the program's tree of commands. It is made anew for every
// run: commands keep their flags' values.
func rootCommand() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "rpc",
		Short:         "Ask, call and measure RPC servers",
		Long:          rootHelp,
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("which command? %s", strings.Join(names(cmd.Commands()), ", "))
		},
	}
	o.addFlags(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return o.check(cmd.Flags()) }
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		listCommand(o), describeCommand(o), callCommand(o),
		pingCommand(o), healthCommand(o), benchCommand(o),
	)
	return root
}

// flagError makes what pflag says a usage error. A number that begins with a minus
// looks like flags.
func flagError(_ *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && strings.ContainsAny(unknown.GetSpecifiedName()[:1], "0123456789") {
		return hint(&usageError{err}, "params that begin with a minus go after --")
	}
	return &usageError{err}
}

func names(commands []*cobra.Command) []string {
	var names []string
	for _, c := range commands {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// positional checks the arguments that are no flags against their names; those
// in brackets may be missing. The first is an address.
func positional(want ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > len(want) {
			return usagef("%q is one argument too many", args[len(want)])
		}
		if len(args) < len(want) && !strings.HasPrefix(want[len(args)], "[") {
			return usagef("%s is missing", want[len(args)])
		}
		return checkAddr(args[0])
	}
}

// longFlags lets -codec stand for --codec, as Go's own tools do; cobra would
// read it as -c odec. Only names that are flags are touched, and nothing after --.
func longFlags(root *cobra.Command, args []string) []string {
	out := make([]string, len(args))
	copy(out, args)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && len(name) > 1 && isFlag(root, name) {
			out[i] = "-" + arg
		}
	}
	return out
}

func isFlag(root *cobra.Command, name string) bool {
	if root.PersistentFlags().Lookup(name) != nil || name == "help" {
		return true
	}
	for _, c := range root.Commands() {
		if c.Flags().Lookup(name) != nil {
			return true
		}
	}
	return false
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}
