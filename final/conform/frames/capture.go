package frames

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Section is one connection of a capture in testdata/wire, from its beginning.
type Section struct {
	Name    string // "" in a capture that has but one
	Packets []Packet
}

// A Packet is a line of a capture.
type Packet struct {
	FromClient bool
	Data       []byte // empty: that side closes
	Notes      string // what the lines with #> say of it
}

// ReadCapture reads a capture: lines of C or S and a quoted Go string, under
// titles "-- name --"; # begins a comment.
func ReadCapture(r io.Reader) ([]Section, error) {
	var sections []Section
	notes := ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		title, titled := strings.CutPrefix(line, "-- ")
		note, noted := strings.CutPrefix(line, "#> ")
		switch {
		case titled:
			sections = append(sections, Section{Name: strings.TrimSuffix(title, " --")})
		case noted:
			notes += note + " "
		case line != "" && line[0] != '#':
			packet, err := parsePacket(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			packet.Notes = notes
			notes = ""
			if sections == nil {
				sections = []Section{{}}
			}
			last := &sections[len(sections)-1]
			last.Packets = append(last.Packets, packet)
		}
	}
	return sections, lines.Err()
}

func parsePacket(line string) (Packet, error) {
	from, quoted, _ := strings.Cut(line, " ")
	data, err := strconv.Unquote(quoted)
	if err != nil || from != "C" && from != "S" {
		return Packet{}, fmt.Errorf("%q is neither C nor S and a quoted string", line)
	}
	return Packet{FromClient: from == "C", Data: []byte(data)}, nil
}
