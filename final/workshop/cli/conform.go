package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/conform"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/wrap"
)

func newConform() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conform ADDR | conform -- COMMAND ARG...",
		Short: "Test any server or client of final's protocol, in any language",
		Long: "Conform tests a server of final's protocol from outside, rule by rule. It connects to ADDR, or starts COMMAND. " +
			"COMMAND has to print \"listening on ADDR\", and to shut down when its standard input ends.\n\n" +
			"The server has to offer json, with the limits of PROTOCOL.md, and these methods:\n\n" +
			"  Inventory.CheckStock  {\"Item\":\"item1\"} gives {\"Count\":100}; any other item X gives the error not_found, text \"unknown item: X\", detail item=X\n" +
			"  Test.Wait             waits until the call is cancelled, or its time is up\n" +
			"  Test.User             gives the value of the call's metadata \"user\", \"\" if there is none\n" +
			"  Test.Nothing          succeeds, without a result\n" +
			"  Test.Panic            fails as a bug does, with the text \"secret\"\n\n" +
			"With -client, conform plays the server and tests COMMAND, a client. It adds three arguments: an address, a method and its params. " +
			"The client has to make that call, print the result as JSON and end with status 0. If the call fails, it has to end with another status.\n\n" +
			"final/conform/README.md says more, and final/PROTOCOL.md has the rules.",
		Example: "    go tool workshop conform 127.0.0.1:9090\n" +
			"    go tool workshop conform -run 'frame|hello' -- python3 server.py -port 0\n" +
			"    go tool workshop conform -client -- python3 client.py",
	}
	timeout := cmd.Flags().Duration("timeout", 2*time.Second, "how long to wait for an answer")
	only := cmd.Flags().String("run", "", "test only the rules whose names match this `regexp`")
	slow := cmd.Flags().Bool("slow", false, "also test the server's own time limits: 40 s more")
	client := cmd.Flags().Bool("client", false, "test a client")
	list := cmd.Flags().Bool("list", false, "list the rules, and where they come from")
	asJSON := cmd.Flags().Bool("json", false, "print each verdict as a line of JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		rulesOf, run := conform.Rules, conform.Run
		if *client {
			rulesOf, run = conform.ClientRules, conform.RunClient
		}
		rules, err := rulesOf(root)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *list {
			printRules(out, rules)
			return nil
		}
		if err := positive(*timeout); err != nil {
			return err
		}
		o := conform.Options{Timeout: *timeout, Slow: *slow}
		if o.Only, err = regexp.Compile(*only); err != nil {
			return err
		}
		if o.Addr, o.Command, err = subject(args, cmd.ArgsLenAtDash()); err != nil {
			return err
		}
		if *client && o.Command == nil {
			return errors.New("-client needs a command, after --")
		}
		return runRules(cmd, *asJSON, func(report func(conform.Result)) error {
			return run(cmd.Context(), rules, o, report)
		})
	}
	return cmd
}

// subject says what args mean: an address, or a command.
func subject(args []string, dash int) (addr string, command []string, err error) {
	switch {
	case dash == 0 && len(args) > 0:
		return "", args, nil
	case dash < 0 && len(args) == 1:
		_, _, err := net.SplitHostPort(args[0])
		return args[0], nil, err
	}
	return "", nil, errors.New("name the server's address, such as 127.0.0.1:9090, or a command after --")
}

// runRules prints the verdicts of run, and returns an error unless all is well.
func runRules(cmd *cobra.Command, asJSON bool, run func(report func(conform.Result)) error) error {
	out := cmd.OutOrStdout()
	var sum conform.Summary
	printer := conform.Printer{W: out, Width: fitWidth(out), Wrap: wrap.Words, Paint: paintVerdict}
	err := run(func(r conform.Result) {
		sum.Add(r)
		if asJSON {
			conform.PrintJSON(out, r)
		} else {
			printer.Print(r)
		}
	})
	switch {
	case err != nil:
		return err
	case sum == conform.Summary{}:
		return errors.New("-run matches no rule: -list shows their names")
	case sum.Failed > 0:
		return errors.New(sum.String())
	}
	if !asJSON {
		fmt.Fprintln(out, sum.String())
	}
	return nil
}

func paintVerdict(v conform.Verdict, text string) string {
	switch v {
	case conform.OK:
		return color.GreenString("%s", text)
	case conform.Fail:
		return color.RedString("%s", text)
	}
	return color.YellowString("%s", text)
}

func printRules(out io.Writer, rules []conform.Rule) {
	for _, r := range rules {
		fmt.Fprintf(out, "%s\n        %s\n", r.Name, r.Says)
	}
}
