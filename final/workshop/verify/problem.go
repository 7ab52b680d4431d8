package verify

import "fmt"

// A Problem is something in a lesson that does not hold. Its text says what to do.
type Problem struct {
	File string // below the root, with slashes
	Line int    // 0: the file as a whole
	Text string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

func problem(p *Page, line int, format string, args ...any) *Problem {
	return &Problem{p.Path, line, fmt.Sprintf(format, args...)}
}
