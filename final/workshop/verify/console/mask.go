package console

import (
	"os"
	"regexp"
	"strings"
)

// A mask hides what differs from one run to the next.
type mask struct {
	match *regexp.Regexp
	by    string
}

var masks = []mask{
	{regexp.MustCompile(`\(cached\)|\b\d+\.\d+s\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|us|ms)\b`), "TIME"},
	{regexp.MustCompile(`\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(\.\d+)?\b`), "DATE"},
	{regexp.MustCompile(`\b0x[0-9a-f]+\??`), "ADDRESS"},
	{regexp.MustCompile(`\bgoroutine \d+\b`), "goroutine N"},
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost):\d{5}\b`), "$1:PORT"},
	{regexp.MustCompile(`\bindex [0-9a-f]{7,}\.\.[0-9a-f]{7,}`), "index HASHES"},
	{regexp.MustCompile(regexp.QuoteMeta(strings.TrimRight(os.TempDir(), `\/`)) + `[\\/][^\s:"']+`), "TEMP"},
}

// masked returns a line with times, ports, addresses of memory, numbers of
// goroutines and temporary files hidden.
func masked(line string) string {
	for _, m := range masks {
		line = m.match.ReplaceAllString(line, m.by)
	}
	return line
}

var number = regexp.MustCompile(`\d+`)

// loose hides all figures too: two lines that are the same then are the same
// line, of which one has changed.
func loose(line string) string { return number.ReplaceAllString(masked(line), "0") }

func mapped(lines []string, f func(string) string) []string {
	var out []string
	for _, line := range lines {
		out = append(out, f(line))
	}
	return out
}
