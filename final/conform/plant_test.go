package conform

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plantsVariable says how many of the faults are planted and looked for, 1 to 100: one
// build for each. Any number from that of all faults on is all.
const plantsVariable = "CONFORM_PLANTS"

// A plant is a fault in package wire. Server, client and conform are built with it, so that
// all make the same mistake: only the captures and what conform does by hand can tell.
type plant struct {
	name, file string
	edits      []string // old text and new text, in turn
	finds      string   // the rule that fails, or the test
}

var plants = []plant{
	{"a length that is one too high", "frame.go", []string{"uint32(MinLength+size))", "uint32(MinLength+size+1))"}, "client: a call"},
	{"flags before the kind", "frame.go", []string{"byte(k), flags)", "flags, byte(k))", "Kind: Kind(head[4]), Flags: head[5]", "Kind: Kind(head[5]), Flags: head[4]"}, "a call"},
	{"IDs of 32 bits", "frame.go", []string{"AppendUint64(dst, id)", "AppendUint64(dst, uint64(uint32(id)))", "binary.BigEndian.Uint64(head[6:])", "uint64(binary.BigEndian.Uint32(head[10:]))"}, "IDs with gaps"},
	{"one byte more than the limit", "reader.go", []string{"uint64(length) > uint64(r.Limit)", "uint64(length) > uint64(r.Limit)+1"}, "frame: length over the limit"},
	{"one byte less than the limit", "reader.go", []string{"uint64(length) > uint64(r.Limit)", "uint64(length) >= uint64(r.Limit)"}, "frame: the largest that is allowed"},
	{"a length of nine", "limits.go", []string{"MinLength  = 10", "MinLength  = 9"}, "a call"},
	{"codes 1 and 2 swapped", "code.go", []string{"\tCanceled\n\tUnknown\n", "\tUnknown\n\tCanceled\n"}, "cancel: one reply"},
	{"codes 15 and 16 swapped", "code.go", []string{"\tDataLoss\n\tUnauthenticated\n", "\tUnauthenticated\n\tDataLoss\n"}, "TestNumbers_AreThoseOfThePage"},
	{"gob's flags swapped", "kind.go", []string{"\tFlagRestart  ", "\tflagX  ", "\tFlagSelfContained  ", "\tFlagRestart  ", "\tflagX  ", "\tFlagSelfContained  "}, "TestNumbers_AreThoseOfThePage"},
	{"the flag 01 on a pong", "kind.go", []string{"KindPong:     0,", "KindPong:     FlagPairs,"}, "frame: a flag that its kind does not have"},
	{"the flag 01 on a go-away", "kind.go", []string{"KindGoAway:   0,", "KindGoAway:   FlagPairs,"}, "client: bad: a flag that its kind does not have"},
	{"the flag 40 on anything", "frame.go", []string{"reserved := f.Flags &^ allowedFlags[f.Kind]", "reserved := f.Flags &^ allowedFlags[f.Kind] &^ 0x40"}, "frame: a flag that its kind does not have"},
	{"the flag 20 on a request", "kind.go", []string{"KindRequest:  FlagPairs | ", "KindRequest:  FlagPairs | FlagReplyMetadata | "}, "reply metadata: on a request"},
	{"the flag 20 without a grant", "kind.go", []string{"Extensions = FlagCompressed | FlagReplyMetadata", "Extensions = FlagCompressed"}, "client: bad: reply metadata that were not granted"},
	{"a size of reply metadata that counts itself", "response.go", []string{"\treturn appendBlock(dst, md)", "\tif n := PairsSize(md) + 2; n > 2 {\n\t\treturn AppendPairs(append(dst, byte(n>>8), byte(n)), md)\n\t}\n\treturn dst", "in.uint16(\"size of the metadata\")", "in.uint16(\"size of the metadata\")-2"}, "reply metadata: beside a result"},
	{"reply metadata before the details", "reason.go", []string{
		"dst = appendBlock(dst, r.Details)\n\treturn appendBlock(dst, r.Metadata)", "dst = appendBlock(dst, r.Metadata)\n\treturn appendBlock(dst, r.Details)",
		"if f.Flags&FlagPairs != 0 {\n\t\tr.Pairs = in.take(in.uint16(\"size of the details\"), \"details\")\n\t}\n\tif f.Flags&FlagReplyMetadata != 0 {\n\t\tr.Metadata = in.take(in.uint16(\"size of the metadata\"), \"metadata\")\n\t}",
		"if f.Flags&FlagReplyMetadata != 0 {\n\t\tr.Metadata = in.take(in.uint16(\"size of the metadata\"), \"metadata\")\n\t}\n\tif f.Flags&FlagPairs != 0 {\n\t\tr.Pairs = in.take(in.uint16(\"size of the details\"), \"details\")\n\t}",
	}, "reply metadata: beside an error"},
	{"fields on a cancel", "kind.go", []string{"k == KindCancel || k == KindPing", "k == KindPing"}, "frame: fields after the ID"},
	{"129 pairs", "limits.go", []string{"MaxPairs      = 128 ", "MaxPairs      = 129 "}, "metadata: one pair too many"},
	{"127 pairs", "limits.go", []string{"MaxPairs      = 128 ", "MaxPairs      = 127 "}, "metadata: as many pairs as allowed"},
	{"a text of 8 KiB", "limits.go", []string{"MaxErrorText  = 4 << 10", "MaxErrorText  = 8 << 10"}, "error: the longest text"},
	{"details of 32 KiB", "limits.go", []string{"MaxDetails    = 16 << 10", "MaxDetails    = 32 << 10"}, "error: the most details"},
	{"a client's limit read one too high", "hello.go", []string{"h.MaxMessage = in.uint32(\"largest message\")\n\tif", "h.MaxMessage = in.uint32(\"largest message\") + 1\n\tif"}, "reply: the largest that the client allows"},
	{"a client's limit said one too high", "hello.go", []string{"h.Codec...)\n\tdst = binary.BigEndian.AppendUint32(dst, h.MaxMessage)", "h.Codec...)\n\tdst = binary.BigEndian.AppendUint32(dst, h.MaxMessage+1)"}, "client: the largest frame that it allows"},
	{"a server's bounds swapped", "hello.go", []string{"h.InFlight)\n\tdst = binary.BigEndian.AppendUint32(dst, h.MaxMessage)", "h.MaxMessage)\n\tdst = binary.BigEndian.AppendUint32(dst, h.InFlight)"}, "frame: length over the limit"},
	{"a size of details that counts itself", "reason.go", []string{"dst = appendBlock(dst, r.Details)", "if n := PairsSize(r.Details) + 2; n > 2 {\n\t\tdst = AppendPairs(append(dst, byte(n>>8), byte(n)), r.Details)\n\t}", "in.uint16(\"size of the details\")", "in.uint16(\"size of the details\")-2"}, "errors"},
	{"values before their keys", "pairs.go", []string{"key := in.take(in.uint16(\"length of a key\"), \"key\")\n\t\tvalue", "value := in.take(in.uint16(\"length of a key\"), \"key\")\n\t\tkey"}, "a call with metadata"},
}

// test returns the test that looks for the fault.
func (p plant) test() string {
	switch {
	case strings.HasPrefix(p.finds, "Test"):
		return p.finds
	case strings.HasPrefix(p.finds, "client: "):
		return "TestConformClient_FinalKeepsTheRules"
	}
	return "TestConform_FinalKeepsTheRules"
}

// overlay writes the file with the fault, and returns what go's -overlay reads.
func (p plant) overlay(t *testing.T, dir string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "internal", "wire", p.file))
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	for i := 0; i < len(p.edits); i += 2 {
		require.Equal(t, 1, strings.Count(text, p.edits[i]), "%s: %q", p.name, p.edits[i])
		text = strings.Replace(text, p.edits[i], p.edits[i+1], 1)
	}
	planted := filepath.Join(dir, p.file)
	require.NoError(t, os.WriteFile(planted, []byte(text), 0o600))
	data, err = json.Marshal(map[string]map[string]string{"Replace": {path: planted}})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, data, 0o600))
	return list
}

// A fault in package wire is found by the rule that is about it, though conform is built
// with it, too. Without the variable only the faults' places are looked for.
func TestConform_FindsFaultsPlantedInWire(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv(plantsVariable))
	for i, p := range plants {
		dir := t.TempDir()
		overlay := p.overlay(t, dir)
		if n == 0 || i%max(len(plants)/n, 1) != 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			exe := filepath.Join(dir, "conform.test")
			out, err := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", exe, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)
			out, err = exec.Command(exe, "-test.timeout", "5m", "-test.run", "^"+p.test()+"$").CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "nothing is found")
			assert.Regexp(t, `(?m)(FAIL    |--- FAIL: )`+regexp.QuoteMeta(p.finds)+`( \(|$)|^panic: `, string(out), "neither the rule nor a crash")
		})
	}
}
