package studio

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A test that is right does not compile before its code is written. The reader's work is the
// code, not the test.
func TestNext_WhereRedIsRightIsTheCodeToWrite(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, course.Stations[1], dir))
	target, err := check.Find(dir)
	require.NoError(t, err)
	s := &Studio{target: target, editor: defaultEditor, state: newState(target), book: newPages(&book.Book{})}
	s.state.mistakes = []check.Mistake{{Folder: "rpc", Lines: []string{"rpc/protocol_test.go:191:33: unknown field Handle in struct literal of type Server"}}}

	text, anchor := s.next()
	assert.Contains(t, text, "Fix rpc/protocol_test.go:191:33", "the reader's own change to a test")
	assert.Equal(t, overviewID, anchor)

	s.state.red = "Red is correct here: 02 adds Server.Handle; the tests use that already."
	html := string(render("overview", s.overview("step02-json-protocol/index.html")))
	assert.Contains(t, html, s.state.red)
	assert.NotContains(t, html, "The lesson says how", "it is the lesson's page")
	text, anchor = s.next()
	assert.Equal(t, "Change Server in rpc/server.go", text)
	assert.Equal(t, pieceID+"a-field", anchor)
}
