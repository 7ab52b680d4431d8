package console

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/procgroup"
)

// A program is one that a lesson runs.
type program struct {
	argv     []string    // how it is called, before its flags
	addrs    [][2]string // its flags for addresses, with their defaults
	untilEOF bool        // it has the flag -until-eof
}

// Flags are listed in the way of package flag, or in that of pflag, which needs
// one line and two dashes.
var (
	addrFlag = regexp.MustCompile(`(?m)^ +--?([\w-]+) \w+\s.*\(default "((?:127\.0\.0\.1|localhost):\d+)"\)$`)
	eofFlag  = regexp.MustCompile(`(?m)^ +--?until-eof\b`)
)

// readFlags asks the program for its flags. Those with an address of this machine
// as their default get a free port when it runs.
func (p *program) readFlags(ctx context.Context, dir string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // the go command may have to build the tool
	defer cancel()
	cmd := exec.CommandContext(ctx, p.argv[0], append(slices.Clone(p.argv[1:]), "-h")...)
	procgroup.Set(cmd)
	cmd.Dir, cmd.Env = dir, Env()
	help, _ := cmd.CombinedOutput()
	text := strings.ReplaceAll(string(help), "\r\n", "\n")
	for _, match := range addrFlag.FindAllStringSubmatch(text, -1) {
		p.addrs = append(p.addrs, [2]string{match[1], match[2]})
	}
	p.untilEOF = eofFlag.MatchString(text)
}

// command returns what to run with the arguments given: all ports are free ones,
// also those that the program would use if told nothing. One that stays ends with
// its standard input, if it can.
func (p *program) command(given []string, stays bool, ports *portMap) ([]string, error) {
	var args []string
	if stays && p.untilEOF {
		args = append(args, "-until-eof")
	}
	for _, addr := range p.addrs {
		if !slices.ContainsFunc(given, func(arg string) bool { return sets(arg, addr[0]) }) {
			args = append(args, "-"+addr[0]+"="+addr[1])
		}
	}
	args = append(args, given...)
	for i, arg := range args {
		var err error
		if args[i], err = ports.toReal(arg); err != nil {
			return nil, err
		}
	}
	return slices.Concat(p.argv, args), nil
}

// sets reports whether an argument sets the flag of that name.
func sets(arg, name string) bool {
	arg, _, _ = strings.Cut(strings.TrimPrefix(arg, "-"), "=")
	return arg == name || arg == "-"+name
}
