package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// A console block says in which folder its commands run: as start makes it, or with
// the station's code in it.
func TestSessions_ASolvedFolderHasTheStationsCode(t *testing.T) {
	root := copyCourse(t)
	c := open(t, root, "01")
	s := &sessions{c: c, page: c.pages[0], cache: t.TempDir(), red: make(map[string]*console.Session)}
	folder := func(words string) string {
		t.Helper()
		session, stays, err := s.of(&lesson.Block{Words: strings.Fields(words)})
		require.NoError(t, err)
		assert.False(t, stays)
		return session.Dir
	}
	red, solved := folder("console red"), folder("console solved")
	assert.NotEqual(t, red, solved)
	assert.Equal(t, solved, folder("console solved"), "commands of one page share it")
	want := read(t, root, "step01-one/rpc/one.go")
	for dir, same := range map[string]bool{red: false, solved: true} {
		have, err := os.ReadFile(filepath.Join(dir, "rpc", "one.go"))
		require.NoError(t, err)
		assert.Equal(t, same, string(have) == want, dir)
	}
	_, _, err := s.of(&lesson.Block{Words: []string{"console", "resolved"}})
	assert.ErrorContains(t, err, "neither stays, red, solved, order nor a station")
}
