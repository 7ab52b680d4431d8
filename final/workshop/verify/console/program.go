package console

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A program is one of a lesson's, built.
type program struct {
	file     string
	addrs    [][2]string // its flags for addresses, with their defaults
	untilEOF bool        // it has the flag -until-eof
}

var addrFlag = regexp.MustCompile(`(?m)^  -([\w-]+) \w+\n.*\(default "((?:127\.0\.0\.1|localhost):\d+)"\)$`)

// readFlags asks the program for its flags. Those with an address of this machine
// as their default get a free port when it runs.
func (p *program) readFlags(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	help, _ := exec.CommandContext(ctx, p.file, "-h").CombinedOutput()
	text := strings.ReplaceAll(string(help), "\r\n", "\n")
	for _, match := range addrFlag.FindAllStringSubmatch(text, -1) {
		p.addrs = append(p.addrs, [2]string{match[1], match[2]})
	}
	p.untilEOF = strings.Contains(text, "\n  -until-eof\n")
}

// args returns the arguments to run the program with in place of given: all
// ports are free ones, also those that it would use if told nothing. One that
// stays ends with its standard input, if it can.
func (p *program) args(given []string, stays bool, ports *portMap) ([]string, error) {
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
	return args, nil
}

// sets reports whether an argument sets the flag of that name.
func sets(arg, name string) bool {
	arg, _, _ = strings.Cut(strings.TrimPrefix(arg, "-"), "=")
	return arg == name || arg == "-"+name
}
