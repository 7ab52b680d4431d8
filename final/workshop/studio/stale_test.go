package studio

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/engine"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// Tests that cannot run say nothing of the code that is there now: what the page still shows of
// them must not look as if it did.
func TestStudio_AMistakeLeavesNothingThatLooksAsIfItWereNew(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, course.Stations[0], dir))
	require.NoError(t, starter.Solve(root, course.Stations[0], dir))
	target, err := check.Find(dir)
	require.NoError(t, err)
	s := &Studio{target: target, editor: defaultEditor, state: newState(target), book: newPages(&book.Book{})}
	file := filepath.Join(dir, "rpc", "line.go")
	ours, err := os.ReadFile(file)
	require.NoError(t, err)
	happens := func(kind engine.Kind, r *check.Report) {
		s.state.take(engine.Event{Kind: kind, Target: target, Report: r})
	}
	report := func(status check.Status, mistakes ...string) *check.Report {
		r := &check.Report{Target: target, Broken: mistakes}
		for _, known := range s.state.tests {
			r.Results = append(r.Results, check.Result{Test: known.test, Status: status})
		}
		return r
	}
	seen := func() (html string, first pieceView) {
		v := s.overview("step01-tcp-server/index.html")
		require.NotEmpty(t, v.Pieces)
		return string(render("bar", v.Bar)) + string(render("overview", v)) + string(render("piece", v.Pieces[0])), v.Pieces[0]
	}
	const new, old = `<span class="chip good">`, `<span class="chip good stale">`

	happens(engine.Checked, report(check.Passed))
	html, _ := seen()
	assert.Contains(t, html, new)
	assert.Contains(t, html, "All tests pass.")
	assert.NotContains(t, html, "stale")

	happens(engine.Saved, nil)
	html, _ = seen()
	assert.NotContains(t, html, new, "the tests have not run yet")
	assert.Contains(t, html, "of its tests passed</span> <span class=\"took\">at the last check")
	assert.NotContains(t, html, "All tests pass.")

	const mistake = "rpc/line.go:3:1: a mistake"
	for _, c := range []struct{ name, text string }{
		{"it does not compile", string(ours) + "\nvar x int = \"\"\n"},
		{"it does not parse", string(ours) + "\nfunc (\n"},
	} {
		require.NoError(t, os.WriteFile(file, []byte(c.text), 0o666))
		happens(engine.Saved, nil)
		for _, kind := range []engine.Kind{engine.NotCompiled, engine.Checked} {
			happens(kind, report(check.NotCompiled, mistake))
			html, first := seen()
			assert.NotContains(t, html, new, "%s: %s", c.name, kind)
			assert.Contains(t, html, old, "%s: %s", c.name, kind)
			assert.Contains(t, html, "Before the mistake:", "%s: %s", c.name, kind)
			assert.Equal(t, "green", first.State, "%s: %s", c.name, kind)
			assert.Equal(t, "before the mistake", first.Stale, "%s: %s", c.name, kind)
			assert.NotContains(t, html, "All tests pass.", "%s: %s", c.name, kind)
			assert.Equal(t, c.name == "it does not compile", first.Same, "%s: %s", c.name, kind)
			assert.Contains(t, html, "<strong>Next:</strong> Fix rpc/line.go:3:1", "%s: %s", c.name, kind)
		}
	}

	s.state = newState(target)
	happens(engine.Checked, report(check.NotCompiled, mistake))
	html, first := seen()
	assert.Equal(t, unknown, standing(first.State), "the studio has not seen a state that parsed")
	assert.Empty(t, first.Stale)
	assert.NotContains(t, html, "Before the")
}
