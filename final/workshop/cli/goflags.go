package cli

import "regexp"

// longFlag is a flag as the go command's are written: one dash and a word.
var longFlag = regexp.MustCompile(`^-[a-z][a-z-]+(=|$)`)

// goFlags lets -race=false be written as well as --race=false: readers know the
// go command's flags, which have one dash. What follows "--" is left alone.
func goFlags(args []string) []string {
	out := []string{} // not nil, which would mean the process's own
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		if longFlag.MatchString(arg) {
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}
