package board

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFolder_CountsSinceTheLastProgress(t *testing.T) {
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	tests := []string{"A", "B", "C", "D"}
	f := openFolder(t.TempDir())
	for _, c := range []struct {
		what         string
		minute       int
		station      string
		passed, todo []string
		notRun       []string
		test         string
		red          int // minutes
		passing      []string
	}{
		{"the first check", 0, "01", []string{"D"}, []string{"A", "B", "C"}, nil, "A", 0, []string{"D"}},
		{"still red", 30, "01", []string{"D"}, []string{"A", "B", "C"}, nil, "A", 30, []string{"D"}},
		{"the next one is red from here on", 31, "01", []string{"A", "D"}, []string{"B", "C"}, nil, "B", 0, []string{"A", "D"}},
		{"does not compile: as before", 41, "01", nil, tests, tests, "B", 10, []string{"A", "D"}},
		{"an old one breaks", 50, "01", []string{"D"}, []string{"A", "B", "C"}, nil, "A", 0, []string{"D"}},
		{"and is whole again", 52, "01", []string{"A", "D"}, []string{"B", "C"}, nil, "B", 21, []string{"A", "D"}},
		{"all green", 60, "01", tests, nil, nil, "", 0, tests},
		{"another station", 61, "02", []string{"A"}, []string{"B", "C", "D"}, nil, "B", 0, []string{"A"}},
		{"there, too", 70, "02", []string{"A"}, []string{"B", "C", "D"}, nil, "B", 9, []string{"A"}},
	} {
		m := f.see(seen{c.station, tests, c.passed, c.todo, c.notRun}, begin.Add(time.Duration(c.minute)*time.Minute))
		assert.Equal(t, c.passing, m.Passing, c.what)
		assert.Equal(t, c.notRun == nil, m.Compiles, c.what)
		if c.test == "" {
			assert.Nil(t, m.Red, c.what)
			continue
		}
		assert.Equal(t, &red{c.test, c.red * 60}, m.Red, c.what)
	}
}

// The tests that a participant has added are none of the board's business, and a test
// that is not for this system is neither done nor to do.
func TestFolder_ReportsTestsOfTheCourseAlone(t *testing.T) {
	f := openFolder(t.TempDir())
	m := f.see(seen{"01", []string{"A", "B", "TestUnix"}, []string{"A", "TestMySecret"}, []string{"B", "TestMyOther"}, nil}, time.Now())
	assert.Equal(t, []string{"A"}, m.Passing)
	assert.Equal(t, []string{"B"}, m.ToDo)
}

func TestFolder_IsKnownAgain(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(dir)
	f.Name = "Ada"
	f.see(seen{"01", []string{"A"}, nil, []string{"A"}, nil}, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	require.NoError(t, f.save(dir))
	again := openFolder(dir)
	assert.Equal(t, f.ID, again.ID)
	assert.Equal(t, "Ada", again.Name)
	m := again.see(seen{"01", []string{"A"}, nil, []string{"A"}, nil}, time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC))
	assert.Equal(t, 300, m.Red.Seconds)

	require.NoError(t, os.WriteFile(filepath.Join(dir, File), []byte(`{"id":"../../x"`), 0o666))
	fresh := openFolder(dir)
	assert.NotEqual(t, f.ID, fresh.ID, "a damaged file is begun anew")
	assert.Regexp(t, idShape, fresh.ID)
}
