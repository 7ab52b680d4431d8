package conform

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

// A Summary counts verdicts.
type Summary struct {
	OK, Failed, Skipped int
	Depend              int // of those skipped: they depend on one that failed
}

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
	if r.DependsOn != "" {
		s.Depend++
	}
}

// String returns the counts in a line.
func (s *Summary) String() string {
	text := fmt.Sprintf("%d ok, %d failed, %d skipped", s.OK, s.Failed, s.Skipped)
	if s.Depend > 0 {
		text += fmt.Sprintf(", %d of them since they depend on what failed", s.Depend)
	}
	return text
}

// A Printer prints results for people. What a terminal can do is its owner's to know.
type Printer struct {
	W     io.Writer
	Width int // columns to fit into; 0: as many as it takes

	// Wrap breaks a line into lines of at most width columns, each but the first after
	// indent. With nil, lines stay whole.
	Wrap func(line string, width int, indent string) string

	// Paint adds a verdict's colour to text. With nil, there is none.
	Paint func(v Verdict, text string) string
}

func (p *Printer) println(line, indent string) {
	if p.Wrap != nil {
		line = p.Wrap(line, p.Width, indent)
	}
	fmt.Fprintln(p.W, line)
}

// Print prints a result: a line, and below it what went wrong.
func (p *Printer) Print(r Result) {
	verdict := fmt.Sprintf("%-7s", r.Verdict)
	if p.Paint != nil {
		verdict = p.Paint(r.Verdict, verdict)
	}
	text := r.Rule.Name
	if r.Why != "" {
		text += ": " + plaintext.Line(r.Why)
	}
	p.println(verdict+" "+text, indent)
	if r.Failure != nil {
		p.failure(r.Rule, r.Failure)
	}
}

const (
	indent     = "        "            // of what is below a verdict
	textIndent = indent + "          " // of a line's text, after its label
)

// line prints a label and a text, which may hold a peer's words.
func (p *Printer) line(what, text string) {
	if text != "" {
		p.println(fmt.Sprintf("%s%-8s  %s", indent, what, plaintext.Line(text)), textIndent)
	}
}

func (p *Printer) failure(r Rule, f *Failure) {
	p.line("rule", r.Says)
	p.line("failed", f.Reason)
	p.bytes("sent", f.Sent, 0)
	p.line("expected", f.Want)
	p.line("received", f.Got)
	p.difference(f)
	for _, line := range f.Stderr {
		p.line("stderr", "| "+line)
	}
}

// difference prints the bytes that were received, and where they are not those that
// were expected.
func (p *Printer) difference(f *Failure) {
	if len(f.Received) == 0 {
		return
	}
	if f.Expected == nil {
		p.bytes("received", f.Received, 0)
		return
	}
	at := firstDifference(f.Expected, f.Received)
	from := at / p.rowSize() * p.rowSize()
	p.bytes("expected", f.Expected, from)
	p.bytes("received", f.Received, from)
	fmt.Fprintln(p.W, textIndent+strings.Repeat(" ", len("0000  ")+3*(at-from))+fmt.Sprintf("^ byte %d", at))
}

// bytes prints a row of bytes, from an offset on.
func (p *Printer) bytes(what string, b []byte, from int) { p.line(what, row(b, from, p.rowSize())) }

// rowSize returns how many bytes fit into a row, beside its label and "… 99 more".
func (p *Printer) rowSize() int {
	if p.Width <= 0 {
		return 24
	}
	fit := (p.Width - len(textIndent) - len("0000  … 999 more")) / 3
	return min(max(fit/8*8, 8), 24)
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

// row returns size bytes in hexadecimal, from an offset on.
func row(b []byte, from, size int) string {
	if b == nil || from > len(b) {
		return ""
	}
	part := b[from:min(len(b), from+size)]
	text := fmt.Sprintf("%04x  % x", from, part)
	if left := len(b) - from - len(part); left > 0 {
		text += fmt.Sprintf(" … %d more", left)
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
		// What the program under test wrote to its standard error meanwhile.
		Stderr    []string `json:"stderr,omitempty"`
		DependsOn string   `json:"depends_on,omitempty"` // the broken rule for which it is skipped
	}{DependsOn: r.DependsOn, Rule: r.Rule.Name, Says: r.Rule.Says, Verdict: r.Verdict, Why: r.Why}
	if f := r.Failure; f != nil {
		line.Why = f.Reason
		line.Sent = hex.EncodeToString(f.Sent)
		line.Expected = hex.EncodeToString(f.Expected)
		line.Received = hex.EncodeToString(f.Received)
		line.Stderr = f.Stderr
	}
	data, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, plaintext.Line(string(data)))
	return err
}
