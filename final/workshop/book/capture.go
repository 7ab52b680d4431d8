package book

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// capture writes the messages of a capture as bytes beside their text, with a table
// of their fields.
func (w *writing) capture(out io.Writer, text string) {
	sections, err := frames.ReadCapture(strings.NewReader(text))
	if err != nil {
		w.fail("a capture: %w", err)
	}
	writeSections(out, sections, false)
}

// writeSections writes each section, folded. On the capture's own page, the only one is
// open, each has an anchor, and a message that is there already, such as a hello, has no
// second table of its fields.
func writeSections(out io.Writer, sections []frames.Section, anchored bool) {
	told := map[string]frames.Section{} // where a message's fields are, by its bytes
	for _, s := range sections {
		name, id := "The bytes, one by one", ""
		if s.Name != "" {
			name = "The bytes of “" + s.Name + "”"
		}
		if anchored {
			id = ` id="` + sectionID(s) + `"`
		}
		if anchored && len(sections) == 1 {
			id += " open"
		}
		fmt.Fprintf(out, `<details class="bytes"%s><summary>%s</summary>`, id, html.EscapeString(name))
		var c connection
		for _, p := range s.Packets {
			fields := c.fields(p)
			if first, ok := told[string(p.Data)]; ok && fields != nil && anchored {
				writePacket(out, p, nil, first)
				continue
			}
			told[string(p.Data)] = s
			writePacket(out, p, fields, frames.Section{})
		}
		fmt.Fprint(out, "</details>\n")
	}
}

// sectionID returns the anchor of a section on its capture's page.
func sectionID(s frames.Section) string { return "bytes-" + lesson.Anchor(s.Name) }

// A captured is where a section of a capture is.
type captured struct{ page, id string }

// findCaptured notes where the captures' sections are, by their names. Names that two
// captures have lead nowhere.
func (b *Book) findCaptured() error {
	b.captured = map[string]captured{}
	for name, p := range b.sources {
		if p.Kind != Code || !strings.HasPrefix(name, captures) {
			continue
		}
		text, err := b.read(name)
		if err != nil {
			return err
		}
		sections, err := frames.ReadCapture(strings.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, s := range sections {
			at := captured{p.Path, sectionID(s)}
			if b.captured[s.Name] != (captured{}) {
				at = captured{}
			}
			b.captured[s.Name] = at
		}
	}
	return nil
}

// writePacket writes a packet. Under it are the fields of its messages with their bytes
// or, of lines, the members of their JSON; or where they are, if that is in a section before.
func writePacket(out io.Writer, p frames.Packet, fields []field, before frames.Section) {
	from := "server"
	if p.FromClient {
		from = "client"
	}
	if len(p.Data) == 0 {
		fmt.Fprintf(out, `<div class="packet %s"><p class="from">%s closes</p></div>`+"\n", from, from)
		return
	}
	fmt.Fprintf(out, `<div class="packet %s"><p class="from">%s, %s</p>`, from, from, count(len(p.Data), "byte"))
	fmt.Fprintf(out, `<pre tabindex="0" class="hex"><code>%s</code></pre>`, escape(hexdump(p.Data)))
	switch {
	case before.Name != "":
		fmt.Fprintf(out, `<p class="same">Its fields: see <a href="#%s">%s</a>.</p>`, sectionID(before), html.EscapeString(before.Name))
	case fields != nil:
		var rows [][]string
		for _, f := range fields {
			rows = append(rows, []string{f.name, f.value, fmt.Sprintf("% x", f.bytes)})
		}
		writeFields(out, "Fields", []string{"field", "value", "bytes"}, rows)
	default:
		writeFields(out, "Members", []string{"member", "value"}, membersOf(p))
	}
	fmt.Fprint(out, "</div>\n")
}

func writeFields(out io.Writer, label string, columns []string, rows [][]string) {
	if rows == nil {
		return
	}
	fmt.Fprintf(out, `<div class="table" tabindex="0" role="group" aria-label="%s"><table><thead><tr>`, label)
	for _, c := range columns {
		fmt.Fprintf(out, `<th scope="col">%s</th>`, c)
	}
	fmt.Fprint(out, `</tr></thead><tbody>`)
	for _, row := range rows {
		fmt.Fprintf(out, `<tr><td>%s</td>`, escape(row[0]))
		for _, cell := range row[1:] {
			fmt.Fprintf(out, `<td><code>%s</code></td>`, escape(strings.ToValidUTF8(cell, "�")))
		}
		fmt.Fprint(out, `</tr>`)
	}
	fmt.Fprint(out, `</tbody></table></div>`)
}

// hexdump returns lines of sixteen bytes, each with its offset and its text.
func hexdump(data []byte) string {
	var b strings.Builder
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		text := []byte(string(row))
		for i, c := range text {
			if c < ' ' || c > '~' {
				text[i] = '.'
			}
		}
		fmt.Fprintf(&b, "%04x  %-47s  %s\n", at, fmt.Sprintf("% x", row), text)
	}
	return b.String()
}

// membersOf returns the members of a packet's JSON and their values, in their order; nil
// if there are none.
func membersOf(p frames.Packet) (found [][]string) {
	for line := range strings.Lines(string(p.Data)) {
		found = append(found, jsonMembers(line)...)
	}
	return found
}

func jsonMembers(line string) [][]string {
	d := json.NewDecoder(strings.NewReader(line))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var found [][]string
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil
		}
		found = append(found, []string{fmt.Sprint(key), string(value)})
	}
	return found
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
