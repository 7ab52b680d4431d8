package book

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// diagrams has a drawing of each mermaid block, named by the hash of its source.
//
//go:embed diagrams/*.svg
var diagrams embed.FS

// diagramName returns the file in which the drawing of a mermaid source is.
func diagramName(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "diagrams/" + hex.EncodeToString(sum[:8]) + ".svg"
}

// diagram writes the drawing of a mermaid block, and the same in words.
func (w *writing) diagram(out io.Writer, source string) {
	w.say(source)
	svg, err := diagrams.ReadFile(diagramName(source))
	if err != nil {
		w.fail("the diagram %q has no drawing, %s: run node final/workshop/book/diagrams/draw.mjs", firstWords(source), diagramName(source))
		return
	}
	w.drawn++
	picture := strings.ReplaceAll(larger(string(svg)), "diagram-id", fmt.Sprintf("diagram-%d", w.drawn))
	fmt.Fprintf(out, `<figure class="diagram"><div class="drawing" tabindex="0" role="img" aria-label="Diagram: %s. The same in words follows.">%s</div><details><summary>The diagram in words</summary><ol>`, html.EscapeString(w.where), picture)
	for _, line := range inWords(source) {
		fmt.Fprintf(out, "<li>%s</li>", html.EscapeString(line))
	}
	fmt.Fprint(out, "</ol></details></figure>\n")
}

// scale is how much larger a diagram is shown than drawn, where there is room: its labels are
// as large as the text of tables then.
const scale = 1.2

var size = regexp.MustCompile(` width="([\d.]+)" height="[\d.]+"`)

// larger returns a drawing that is wider, and at least as wide as it was drawn; what is in it
// scales with it.
func larger(svg string) string {
	head, rest, _ := strings.Cut(svg, ">")
	head = size.ReplaceAllStringFunc(head, func(s string) string {
		drawn := size.FindStringSubmatch(s)[1]
		n, _ := strconv.ParseFloat(drawn, 64)
		return fmt.Sprintf(` width="%.0f" style="min-width:%spx"`, n*scale, drawn)
	})
	return head + ">" + rest
}

func firstWords(source string) string {
	line, _, _ := strings.Cut(source, "\n")
	return line
}

var (
	participant = regexp.MustCompile(`^(?:participant|actor) (\w+) as (.+)$`)
	message     = regexp.MustCompile(`^(\w+)-?->>(\w+): (.+)$`)
	noteOver    = regexp.MustCompile(`^Note (?:over|left of|right of) ([\w, ]+): (.+)$`)
	transition  = regexp.MustCompile(`^(\S+) --> (\S+): (.+)$`)
)

// inWords returns the steps of a diagram: who sends what to whom, or what leads from
// one state to another.
func inWords(source string) []string {
	names := map[string]string{}
	name := func(short string) string {
		if long := names[short]; long != "" {
			return long
		}
		return short
	}
	var steps []string
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if m := participant.FindStringSubmatch(line); m != nil {
			names[m[1]] = m[2]
		} else if m := message.FindStringSubmatch(line); m != nil {
			steps = append(steps, fmt.Sprintf("%s to %s: %s", name(m[1]), name(m[2]), m[3]))
		} else if m := noteOver.FindStringSubmatch(line); m != nil {
			steps = append(steps, fmt.Sprintf("at %s: %s", name(m[1]), m[2]))
		} else if m := transition.FindStringSubmatch(line); m != nil {
			steps = append(steps, fmt.Sprintf("%s → %s: %s", state(m[1], "begin"), state(m[2], "end"), m[3]))
		}
	}
	return steps
}

// state returns the name of a state; [*] is the begin or the end.
func state(name, edge string) string {
	if name == "[*]" {
		return edge
	}
	return name
}
