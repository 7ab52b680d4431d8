package wire

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fatih/color"
)

// A printer prints what all connections have to say, a line each.
type printer struct {
	out  io.Writer
	max  int  // bytes of a message that are shown
	dump bool // its bytes, too

	mu sync.Mutex
}

var (
	clientColor = color.New(color.FgCyan)
	serverColor = color.New(color.FgGreen)
	wrongColor  = color.New(color.FgRed)
	eventColor  = color.New(color.Faint)
)

// event prints what happened to a connection.
func (p *printer) event(conn int, at time.Duration, text string) {
	p.print(fmt.Sprintf("%s  %s\n", stamp(conn, at), eventColor.Sprint(clean(text))))
}

// message prints a message of a connection.
func (p *printer) message(conn int, m message) {
	arrow, paint := "S -> C", serverColor
	if m.fromClient {
		arrow, paint = "C -> S", clientColor
	}
	line := fmt.Sprintf("%s  %s %6d B", stamp(conn, m.at), paint.Sprint(arrow), m.size)
	if m.text != "" {
		line += "  " + p.shorten(m.text)
	}
	if m.wrong != "" {
		line += "  " + wrongColor.Sprint(p.shorten(m.wrong))
	}
	line += "\n"
	if p.dump {
		line += dump(m.head[:min(len(m.head), p.max)], m.size)
	}
	p.print(line)
}

func (p *printer) print(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.out, s) // if nobody reads it, the bytes pass all the same
}

// stamp is what each line begins with.
func stamp(conn int, at time.Duration) string {
	return fmt.Sprintf("#%-3d %11.3f ms", conn, float64(at)/float64(time.Millisecond))
}

// shorten returns a text that is fit for a terminal, cut if it is long.
func (p *printer) shorten(s string) string {
	if len(s) <= p.max {
		return clean(s)
	}
	cut := p.max
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return clean(s[:cut]) + fmt.Sprintf(" … (%d bytes more)", len(s)-cut)
}

// clean escapes what a terminal might obey, and what is no UTF-8.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// dump returns bytes in hexadecimal and as text, indented.
func dump(b []byte, size int64) string {
	var out strings.Builder
	for line := range strings.Lines(hex.Dump(b)) {
		out.WriteString("      " + line)
	}
	if left := size - int64(len(b)); left > 0 {
		fmt.Fprintf(&out, "      … (%d bytes more)\n", left)
	}
	return out.String()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
