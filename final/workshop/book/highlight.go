package book

import (
	"go/scanner"
	"go/token"
	"regexp"
	"strings"
)

// A lines is a text as HTML, line by line, without newlines.
type lines []string

// highlight returns the lines of a text in colours. Go is read by Go's own scanner,
// which takes pieces of programs, too. Of other languages, comments are known.
func highlight(name, text string) lines {
	switch {
	case strings.HasSuffix(name, ".go"):
		return highlightGo(text)
	case strings.HasSuffix(name, ".proto"), strings.HasSuffix(name, ".mod"), strings.HasSuffix(name, ".work"):
		return highlightComments(text, "//")
	case strings.HasSuffix(name, ".diff"):
		return highlightMarks(text)
	case strings.HasPrefix(name, captures):
		return highlightCapture(text)
	}
	return highlightComments(text, "#")
}

// textEscaper leaves quotes alone: they need escaping in attributes only, and code is full of
// them.
var textEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape returns a text as HTML between tags.
func escape(text string) string { return textEscaper.Replace(text) }

// A painter collects lines of HTML.
type painter struct {
	done lines
	line strings.Builder
}

// paint adds text of a class; a span never goes beyond its line.
func (p *painter) paint(class, text string) {
	for {
		line, rest, more := strings.Cut(text, "\n")
		if line != "" {
			p.span(class, line)
		}
		if !more {
			return
		}
		p.end()
		text = rest
	}
}

func (p *painter) span(class, text string) {
	if class == "" {
		p.line.WriteString(escape(text))
		return
	}
	p.line.WriteString(`<b class=` + class + `>` + escape(text) + `</b>`) // not span: it is there 100,000 times
}

// end ends a line.
func (p *painter) end() {
	p.done = append(p.done, p.line.String())
	p.line.Reset()
}

// finish returns the lines; the last one needs no newline.
func (p *painter) finish() lines {
	if p.line.Len() > 0 {
		p.end()
	}
	return p.done
}

func highlightGo(text string) lines {
	src := []byte(text)
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, func(token.Position, string) {}, scanner.ScanComments)
	var p painter
	at := 0
	before := token.ILLEGAL
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue // the scanner adds it
		}
		begin := file.Offset(pos)
		end := min(begin+max(len(lit), len(tok.String())), len(src))
		if lit != "" {
			end = min(begin+len(lit), len(src))
		}
		p.paint("", text[at:max(at, begin)])
		p.paint(classOf(tok, lit, before, text[:begin], text[end:]), text[max(at, begin):max(at, end)])
		at, before = max(at, end), tok
	}
	p.paint("", text[at:])
	return p.finish()
}

// classOf returns the class of a token, which says how it looks.
func classOf(tok token.Token, lit string, before token.Token, above, rest string) string {
	switch {
	case tok == token.COMMENT:
		return "co"
	case tok == token.STRING, tok == token.CHAR:
		return "st"
	case tok == token.INT, tok == token.FLOAT, tok == token.IMAG:
		return "nu"
	case tok.IsKeyword():
		return "kw"
	case tok != token.IDENT:
		return ""
	case predeclared[lit] && before != token.PERIOD:
		return "ty"
	case before == token.TYPE:
		return "fn"
	case before == token.FUNC, before == token.RPAREN && strings.HasPrefix(rest, "("):
		if strings.HasPrefix(above[strings.LastIndex(above, "\n")+1:], "func ") {
			return "fn"
		}
	}
	return ""
}

// predeclared are Go's own types and values.
var predeclared = setOf("any", "bool", "byte", "comparable", "error", "false", "float32", "float64", "int", "int8", "int16", "int32", "int64", "iota", "nil", "rune", "string", "true",
	"uint", "uint8", "uint16", "uint32", "uint64", "uintptr")

func setOf(words ...string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return set
}

// highlightComments paints the lines that begin with a sign.
func highlightComments(text, sign string) lines {
	var p painter
	for line := range strings.Lines(text) {
		class := ""
		if strings.HasPrefix(strings.TrimSpace(line), sign) {
			class = "co"
		}
		p.paint(class, line)
	}
	return p.finish()
}

var (
	command = regexp.MustCompile(`^(go (build|doc|env|generate|get|install|mod|run|test|tool|version|vet|work)|git \w+|cd)\s`)
	gap     = regexp.MustCompile(`\S( {2,})\S`)
)

// highlightPlain paints commands with what is said of each, which is not to be copied. Of
// another text it paints the comments.
func highlightPlain(text string) lines {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" && !command.MatchString(line) {
			return highlightComments(text, "#")
		}
	}
	var p painter
	for line := range strings.Lines(text) {
		says := len(line)
		if at := gap.FindStringSubmatchIndex(line); at != nil {
			says = at[2]
		}
		p.paint("", line[:says])
		p.paint("says", line[says:])
	}
	return p.finish()
}

// highlightConsole paints what the reader types: the commands, and what follows
// them as input.
func highlightConsole(text string) lines {
	var p painter
	for line := range strings.Lines(text) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		typed, note, isTyped := strings.Cut(line, "← you type")
		switch {
		case isCommand:
			p.paint("pr", "$ ")
			p.paint("cm", command)
		case isTyped:
			p.paint("cm", typed)
			p.paint("co", "← you type"+note)
		case strings.HasPrefix(line, "--- FAIL"), strings.HasPrefix(line, "FAIL"), strings.HasPrefix(strings.TrimSpace(line), "--- FAIL"):
			p.paint("bad", line)
		default:
			p.paint("", line)
		}
	}
	return p.finish()
}

// highlightCapture paints the sides of a connection.
func highlightCapture(text string) lines {
	var p painter
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "C "):
			p.paint("cl", "C")
			p.paint("", line[1:])
		case strings.HasPrefix(line, "S "):
			p.paint("sv", "S")
			p.paint("", line[1:])
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, "-- "):
			p.paint("co", line)
		default:
			p.paint("", line)
		}
	}
	return p.finish()
}

// highlightMarks paints the lines of a diff without looking into them.
func highlightMarks(text string) lines {
	var p painter
	for line := range strings.Lines(text) {
		p.paint(markOf(line), line)
	}
	return p.finish()
}

func markOf(line string) string {
	switch {
	case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
		return "he"
	case strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "# "):
		return "he"
	case strings.HasPrefix(line, "+"):
		return "add"
	case strings.HasPrefix(line, "-"):
		return "del"
	}
	return ""
}

// highlightDiff paints a diff of Go: the code as Go, the lines by their marks.
func highlightDiff(text string) lines {
	var code strings.Builder
	var marks []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		mark := markOf(line)
		if mark != "he" && line != "" {
			code.WriteString(line[min(width(line), len(line)):])
		}
		marks = append(marks, line)
		code.WriteString("\n")
	}
	painted := highlightGo(code.String())
	var done lines
	for i, line := range marks {
		switch mark := markOf(line); mark {
		case "he":
			done = append(done, `<span class=he>`+escape(line)+`</span>`)
		case "":
			done = append(done, escape(line[:min(width(line), len(line))])+painted[i])
		default:
			done = append(done, `<span class=`+mark+`><b>`+line[:1]+`</b>`+painted[i]+`</span>`)
		}
	}
	return done
}

// width returns the size of a diff's mark, the first character of a line.
func width(line string) int {
	if strings.HasPrefix(line, "…") {
		return 0
	}
	return 1
}
