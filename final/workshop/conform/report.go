package conform

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

var (
	okColor   = color.New(color.FgGreen)
	failColor = color.New(color.FgRed)
	skipColor = color.New(color.FgYellow)
)

// A Summary counts verdicts.
type Summary struct{ OK, Failed, Skipped int }

// Add counts a result.
func (s *Summary) Add(r Result) {
	switch r.Verdict {
	case OK:
		s.OK++
	case Fail:
		s.Failed++
	default:
		s.Skipped++
	}
}

// String returns the counts in a line.
func (s *Summary) String() string {
	return fmt.Sprintf("%d ok, %d failed, %d skipped", s.OK, s.Failed, s.Skipped)
}

// Print prints a result: a line, and below it what went wrong.
func Print(w io.Writer, r Result) {
	paint := map[Verdict]*color.Color{OK: okColor, Fail: failColor, Skipped: skipColor}[r.Verdict]
	fmt.Fprintf(w, "%s %s", paint.Sprintf("%-7s", r.Verdict), r.Rule.Name)
	if r.Why != "" {
		fmt.Fprintf(w, ": %s", plaintext.Line(r.Why))
	}
	fmt.Fprintln(w)
	if r.Failure != nil {
		printFailure(w, r.Rule, r.Failure)
	}
}

func printFailure(w io.Writer, r Rule, f *Failure) {
	line := func(what, text string) {
		if text != "" { // which may hold a peer's words
			fmt.Fprintf(w, "        %-8s  %s\n", what, plaintext.Line(text))
		}
	}
	line("rule", r.Says)
	line("failed", f.Reason)
	line("sent", row(f.Sent, 0))
	line("expected", f.Want)
	line("received", f.Got)
	if len(f.Received) == 0 {
		return
	}
	at := 0
	if f.Expected != nil {
		at = firstDifference(f.Expected, f.Received)
	}
	from := at / rowSize * rowSize
	if f.Expected != nil {
		line("expected", row(f.Expected, from))
	}
	line("received", row(f.Received, from))
	if f.Expected != nil {
		line("", strings.Repeat(" ", len("0000  ")+3*(at-from))+fmt.Sprintf("^ byte %d", at))
	}
}

// firstDifference returns the first byte in which two messages differ.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

const rowSize = 24

// row returns some bytes in hexadecimal, from an offset on.
func row(b []byte, from int) string {
	if b == nil || from > len(b) {
		return ""
	}
	part := b[from:min(len(b), from+rowSize)]
	text := fmt.Sprintf("%04x  % x", from, part)
	if left := len(b) - from - len(part); left > 0 {
		text += fmt.Sprintf(" … %d bytes more", left)
	}
	return text
}

// PrintJSON prints a result as one line of JSON, the bytes in hexadecimal.
func PrintJSON(w io.Writer, r Result) error {
	line := struct {
		Rule     string  `json:"rule"`
		Says     string  `json:"says"`
		Verdict  Verdict `json:"verdict"`
		Why      string  `json:"why,omitempty"`
		Sent     string  `json:"sent,omitempty"`
		Expected string  `json:"expected,omitempty"`
		Received string  `json:"received,omitempty"`
	}{Rule: r.Rule.Name, Says: r.Rule.Says, Verdict: r.Verdict, Why: r.Why}
	if f := r.Failure; f != nil {
		line.Why = f.Reason
		line.Sent = hex.EncodeToString(f.Sent)
		line.Expected = hex.EncodeToString(f.Expected)
		line.Received = hex.EncodeToString(f.Received)
	}
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, plaintext.Line(string(data)))
	return err
}
