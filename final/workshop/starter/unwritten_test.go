package starter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

func TestUnwrittenIn(t *testing.T) {
	const src = `package rpc

import "errors"

// Close closes.
func (s *Server) Close() error {
	return errors.New("rpc: Server.Close is yours to write (step 01)")
}

func (s *Server) forget(c io.Closer) {
	// Yours to write (step 01).
}

func (s *Server) isClosed() bool {
	// Yours to write (step 01).
	return s.closed
}

func track() bool {
	// Yours to write (step 01).
	lock()
	return false
}

func ready() bool { return false }
`
	found := UnwrittenIn([]byte(src))
	require.Len(t, found, 2)
	assert.Equal(t, "Server.Close", found[0].Name)
	assert.Equal(t, 6, found[0].Line)
	assert.True(t, strings.HasPrefix(src[found[0].Body:], "\n\treturn errors.New("))
	assert.Equal(t, "Server.forget", found[1].Name)
	assert.Empty(t, UnwrittenIn([]byte("package rpc\nfunc {")))
}

// Every stub that start gives is recognised as one, and no code of the course is.
func TestUnwrittenIn_KnowsTheStubsOfEveryStation(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	for _, name := range []string{"01", "02", "4a", "5c"} {
		s, err := course.Find(name)
		require.NoError(t, err)
		files, _, err := codeBefore(root, s)
		require.NoError(t, err)
		h, err := handoutOf(root, s, unshipped(files))
		require.NoError(t, err)
		for file, src := range h.stubs {
			assert.Len(t, UnwrittenIn(src), strings.Count(string(src), " is yours to write (")+strings.Count(string(src), "// Yours to write ("), "%s: %s", name, file)
		}
		for file, src := range h.shipped {
			assert.Empty(t, UnwrittenIn(src), "%s: %s", name, file)
		}
		for file, src := range files {
			assert.Empty(t, UnwrittenIn(src), "%s: %s", name, file)
		}
	}
}
