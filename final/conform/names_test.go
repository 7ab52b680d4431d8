package conform

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Not every code, and no flag of gob, crosses the wire in a rule. Their numbers are held
// against the page's tables.
func TestNumbers_AreThoseOfThePage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "final", "PROTOCOL.md"))
	require.NoError(t, err)
	named := func(pattern string) map[string]string {
		found := map[string]string{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = m[2]
		}
		return found
	}

	codes := map[string]string{}
	for c := wire.OK; c <= wire.Unauthenticated; c++ {
		codes[strconv.Itoa(int(c))] = c.String()
	}
	assert.Equal(t, codes, named(`\| (0|[1-9]|1\d) \| ([a-z_]+) \| [^|0-9]`), "codes")

	kinds := map[string]string{}
	for k := wire.KindRequest; k <= wire.KindHeader; k++ {
		kinds[strconv.Itoa(int(k))] = k.String()
	}
	assert.Equal(t, kinds, named(`(?m)^\| (\d+) \| ([a-z-]+) \| (?:client|server|both) \|`), "kinds")

	flags := map[string]string{
		fmt.Sprintf("%02x", wire.FlagPairs):         "pairs are there",
		fmt.Sprintf("%02x", wire.FlagRestart):       "[gob](#gob): a new stream begins",
		fmt.Sprintf("%02x", wire.FlagSelfContained): "[gob](#gob): this body is a stream of its own",
		fmt.Sprintf("%02x", wire.FlagNeverRan):      "the handler was never started",
		fmt.Sprintf("%02x", wire.FlagCompressed):    "the body is [compressed]",
		fmt.Sprintf("%02x", wire.FlagReplyMetadata): "[reply metadata](#reply-metadata) are there",
		fmt.Sprintf("%02x", wire.FlagMore):          "the item goes on in the stream's next data frame",
	}
	meanings := named(`(?m)^\| (\d\d) \| (?:request|response|error|data)(?:, [\w ]+)* \| (.*) \|$`)
	assert.Len(t, meanings, len(flags))
	for number, begins := range flags {
		assert.Regexp(t, "^"+regexp.QuoteMeta(begins), meanings[number], "flag %s", number)
	}
}
