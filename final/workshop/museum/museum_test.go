package museum

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/patch"
)

// rooms and what the test of each says of its bug.
var rooms = map[string]string{
	"blockedwriters": "write pipe: i/o timeout",
	"fourgib":        "MiB allocated for a message of which one byte arrived",
	"wrongcaller":    "actual  : \"answer to slow\"",
	"leak":           "main bubble goroutine has exited but blocked goroutines remain",
	"readahead":      "request: read pipe: i/o timeout",
	"interleaved":    "nonsense",
	"mutualcredit":   "expected: 12",
	"slowreader":     "the connection has ended",
}

func TestMuseum_HasTheseRooms(t *testing.T) {
	folders, err := filepath.Glob("*/bug.go")
	require.NoError(t, err)
	assert.Len(t, folders, len(rooms))
}

func TestMuseum_TestsFailAndCuresHold(t *testing.T) {
	seldom.Test(t)
	for room, message := range rooms {
		t.Run(room, func(t *testing.T) {
			t.Parallel()
			out, err := goTest(room)
			assert.Error(t, err, "the test of the broken program passes")
			assert.Contains(t, out, message)

			out, err = goTest(room, "-count=20", "-overlay", cured(t, room))
			assert.NoError(t, err, out)
		})
	}
}

func goTest(room string, args ...string) (string, error) {
	args = append([]string{"test", "-tags", "museum", "-timeout", "60s"}, args...)
	out, err := exec.Command("go", append(args, "./"+room)...).CombinedOutput()
	return string(out), err
}

var cureBlock = regexp.MustCompile("(?s)```diff cure bug.go\n(.*?)```")

// cured returns an overlay, as go test takes it, in which the cure on the room's
// page is put in.
func cured(t *testing.T, room string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(room, "README.md"))
	require.NoError(t, err)
	block := cureBlock.FindSubmatch(page)
	require.NotNil(t, block, "the page has no cure")
	bug, err := filepath.Abs(filepath.Join(room, "bug.go"))
	require.NoError(t, err)
	source, err := os.ReadFile(bug)
	require.NoError(t, err)
	text, err := patch.Apply(string(source), string(block[1]))
	require.NoError(t, err)

	file := filepath.Join(t.TempDir(), "bug.go")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{bug: file}})
	require.NoError(t, err)
	list := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(list, overlay, 0o666))
	return list
}
