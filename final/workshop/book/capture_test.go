package book

import (
	"encoding/hex"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/conform/frames"
)

var (
	packetHTML = regexp.MustCompile(`(?s)<div class="packet .*?</p>(.*?)</div>\n`)
	rowHTML    = regexp.MustCompile(`(?s)<tr><td>(.*?)</td><td><code>(.*?)</code></td><td><code>(.*?)</code></td></tr>`)
)

// tablesOf returns the rows (field, value, bytes) under each packet of a page; nil for a
// packet without a table.
func tablesOf(page string) (tables [][][]string) {
	for _, p := range packetHTML.FindAllStringSubmatch(page, -1) {
		var rows [][]string
		for _, r := range rowHTML.FindAllStringSubmatch(p[1], -1) {
			rows = append(rows, []string{html.UnescapeString(r[1]), html.UnescapeString(r[2]), r[3]})
		}
		tables = append(tables, rows)
	}
	return tables
}

// The rows of a table are the message: every byte is in one row, in order.
func TestCapture_RowsAreTheBytes(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	names, err := filepath.Glob(filepath.Join(b.Root, filepath.FromSlash(captures), "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		name = captures + filepath.Base(name)
		text, err := b.read(name)
		require.NoError(t, err)
		sections, err := frames.ReadCapture(strings.NewReader(text))
		require.NoError(t, err)
		page := string(b.files[name+".html"])
		tables, total, before := tablesOf(page), 0, map[string]bool{}
		assert.Equal(t, strings.Count(page, `aria-label="Fields"`), countTables(tables), "%s: a table has no rows of three columns", name)
		for _, s := range sections {
			for _, p := range s.Packets {
				require.NotEmpty(t, tables, name)
				if rows := tables[0]; rows != nil {
					assert.Equal(t, p.Data, joined(t, rows), "%s, %s", name, s.Name)
					total++
				} else if fine(name) && len(p.Data) > 0 && !before[string(p.Data)] {
					t.Errorf("%s, %s: %q has no table", name, s.Name, p.Data)
				}
				tables, before[string(p.Data)] = tables[1:], true
			}
		}
		assert.Empty(t, tables, name)
		if total > 0 {
			assert.NotContains(t, page, `aria-label="Members"`, name)
		}
		assert.Equal(t, strings.HasPrefix(filepath.Base(name), "final-"), total > 0, name)
	}
}

// fine reports whether each message of a capture can be taken apart.
func fine(name string) bool {
	switch filepath.Base(name) {
	case "final-calls.txt", "final-gob.txt", "final-go-away.txt", "final-protobuf.txt", "final-streams.txt":
		return true
	}
	return false
}

func countTables(tables [][][]string) (n int) {
	for _, rows := range tables {
		if rows != nil {
			n++
		}
	}
	return n
}

func joined(t *testing.T, rows [][]string) (all []byte) {
	for _, row := range rows {
		b, err := hex.DecodeString(strings.ReplaceAll(row[2], " ", ""))
		require.NoError(t, err, "%q", row)
		assert.NotEmpty(t, b, "%q", row)
		assert.NotEmpty(t, row[0])
		all = append(all, b...)
	}
	return all
}

// What the fields are called, and what they say.
func TestCapture_FieldsHaveNamesAndValues(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	for name, want := range map[string][]string{
		"final-calls.txt": {
			"magic | \\x93RPC | 93 52 50 43", "length of the codec | 4 | 04", "codec | json | 6a 73 6f 6e", "largest message that the client reads | 4194304 | 00 40 00 00",
			"calls in flight | 1024 | 00 00 04 00", "kind | request | 01", "length of the method | 20 | 00 14",
			"method | Inventory.CheckStock | 49 6e 76 65 6e 74 6f 72 79 2e 43 68 65 63 6b 53 74 6f 63 6b",
			`params | {"Item":"item1"} | 7b 22 49 74 65 6d 22 3a 22 69 74 65 6d 31 22 7d`, "code | not_found | 05"},
		"final-gob.txt":      {"codec | gob | 67 6f 62", "flags | restart | 02"},
		"final-compress.txt": {"key | rpc.compression | 72 70 63 2e 63 6f 6d 70 72 65 73 73 69 6f 6e", "flags | compressed | 10"},
		"final-streams.txt": {
			"kind | open | 08", "shape | server stream | 01", `item | {"N":1} | 7b 22 4e 22 3a 31 7d`, "kind | credit | 0b", "bytes | 4195 | 00 00 10 63",
			"flags | more | 40", "code | ok | 00", "kind | want | 0c"},
		"final-reply-metadata.txt": {"text | rpc.reply-metadata=1 | 72 70 63 2e 72 65 70 6c 79 2d 6d 65 74 61 64 61 74 61 3d 31"},
	} {
		rows := map[string]bool{}
		for _, table := range tablesOf(string(b.files[captures+name+".html"])) {
			for _, row := range table {
				rows[strings.Join(row, " | ")] = true
			}
		}
		for _, row := range want {
			assert.True(t, rows[row], "%s: %s", name, row)
		}
	}
}

// The bytes are what a capture's own page is for: they are in sight, unless there are
// several sections to choose from.
func TestCapture_ItsOwnPageShowsTheBytes(t *testing.T) {
	packets := []frames.Packet{{Data: []byte("a\n")}}
	for name, c := range map[string]struct {
		sections []frames.Section
		anchored bool
		open     bool
	}{
		"its page":      {[]frames.Section{{Packets: packets}}, true, true},
		"several":       {[]frames.Section{{Name: "a", Packets: packets}, {Name: "b", Packets: packets}}, true, false},
		"in a document": {[]frames.Section{{Packets: packets}}, false, false},
	} {
		var out strings.Builder
		writeSections(&out, c.sections, c.anchored)
		assert.Equal(t, c.open, strings.Contains(out.String(), " open>"), name)
	}
}
