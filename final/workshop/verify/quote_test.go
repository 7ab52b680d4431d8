package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/source"
)

func TestSignatures_HaveNoBodies(t *testing.T) {
	file, err := source.Parse("a.go", []byte(`package a

// Error returns the message.
func (e *Error) Error() string { return e.Message }

type Error struct{ Message string }

func long(
	n int,
) (string, error) {
	return "", nil
}

func hook(f func() struct{}) { f() }
`))
	require.NoError(t, err)
	assert.Equal(t, `func (e *Error) Error() string
func long(
	n int,
) (string, error)
func hook(f func() struct{})
`, signatures(file.Decls))
}
