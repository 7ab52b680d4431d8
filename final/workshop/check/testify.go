package check

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	labelLine = regexp.MustCompile(`^\s*\t([A-Z][A-Za-z ]*): *\t(.*)$`)
	moreLine  = regexp.MustCompile(`^\s*\t {6,}\t(.*)$`)
)

// isTestify reports whether a log entry is an assertion of testify: labels with
// tabs around them, the first of which is Error Trace.
func isTestify(lines []string) bool {
	return len(lines) > 1 && strings.Contains(lines[1], "\tError Trace:")
}

// readTestify reads an assertion that failed.
func (f *Failure) readTestify(lines []string) {
	f.asserted = true
	labels := map[string][]string{}
	label := ""
	for _, line := range lines {
		if m := labelLine.FindStringSubmatch(line); m != nil {
			label = m[1]
			labels[label] = append(labels[label], m[2])
		} else if m := moreLine.FindStringSubmatch(line); m != nil {
			labels[label] = append(labels[label], m[1])
		}
	}
	f.Message = strings.Join(labels["Messages"], "\n")
	f.readError(labels["Error"])
}

// readError takes an assertion's text apart.
func (f *Failure) readError(lines []string) {
	for i, line := range lines {
		if line == "Diff:" {
			f.More = diffLines(lines[i+1:])
			break
		}
		text, isExpected := strings.CutPrefix(line, "expected: ")
		if isExpected {
			f.Expected = text
			continue
		}
		text, isActual := strings.CutPrefix(line, "actual  : ")
		if !isActual {
			text, isActual = strings.CutPrefix(line, "in chain: ")
		}
		switch {
		case isActual:
			f.Got = text
		case strings.TrimSpace(line) != "":
			f.What = append(f.What, strings.TrimSpace(line))
		}
	}
	f.plainWords()
}

// What testify says of a channel with too many or too few values: it shows the
// channel's address.
var (
	emptyChannel = regexp.MustCompile(`^Should be empty, but was 0x[0-9a-f]+$`)
	channelLen   = regexp.MustCompile(`^"0x[0-9a-f]+" should have (\d+) item\(s\), but has (\d+)$`)
)

// errorInChain is what testify says of an error that errors.Is should find, and that
// is nil.
var errorInChain = regexp.MustCompile(`^Expected error with (".*") in chain but got nil\.$`)

// whyNotIs says why errors.Is does not find the expected error in f.Got, which wraps
// the others.
func (f *Failure) whyNotIs(wrapped []string) string {
	inside := strings.TrimSuffix(strings.TrimPrefix(f.Expected, `"`), `"`)
	switch {
	case f.Got == f.Expected || slices.Contains(wrapped, f.Expected):
		return "same text, another error: return it itself, or wrap it by %w"
	case inside != "" && strings.Contains(f.Got, inside):
		return "errors.Is does not find it in this text: wrap it by %w"
	}
	return "errors.Is does not find the expected error"
}

// atoi returns the number that digits say.
func atoi(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// plainWords puts what testify says about errors as expected and got, and leaves
// out words that the two say already.
func (f *Failure) plainWords() {
	if len(f.What) == 0 {
		return
	}
	switch first := f.What[0]; {
	case first == "Received unexpected error:":
		f.Expected, f.Got, f.What = "no error", strings.Join(f.What[1:], "\n"), nil
	case first == "An error is expected but got nil.":
		f.Expected, f.Got, f.What = "an error", "none", nil
	case errorInChain.MatchString(first):
		f.Expected, f.Got, f.What = errorInChain.FindStringSubmatch(first)[1], "no error", nil
	case first == "Target error should be in err chain:":
		f.What = []string{f.whyNotIs(f.What[1:])}
	case emptyChannel.MatchString(first):
		f.Expected, f.Got, f.What = "nothing on the channel", "a value", nil
	case channelLen.MatchString(first):
		m := channelLen.FindStringSubmatch(first)
		f.Expected, f.Got, f.What = plural(atoi(m[1]), "value", "values")+" on the channel", m[2], nil
	case first == "Target error should not be in err chain:" && len(f.What) == 2:
		f.Expected, f.What = "no error that is "+strings.TrimPrefix(f.What[1], "found: "), nil
	case (first == "Not equal:" || first == "Error message not equal:") && f.Expected != "":
		f.What = append([]string(nil), f.What[1:]...)
	}
}

// diffLines returns a diff without its headings and empty lines at its end.
func diffLines(lines []string) []string {
	var diff []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "--- Expected") && !strings.HasPrefix(line, "+++ Actual") && !strings.HasPrefix(line, "@@ ") {
			diff = append(diff, line)
		}
	}
	for len(diff) > 0 && strings.TrimSpace(diff[len(diff)-1]) == "" {
		diff = diff[:len(diff)-1]
	}
	return diff
}
