package cli

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGoFlags(t *testing.T) {
	assert.Equal(t,
		[]string{"diff", "02", "03", "--stat", "--name-only", "-v", "--race=false", "-1", "-5ms", "-", "--all", "--", "-stat"},
		goFlags([]string{"diff", "02", "03", "-stat", "-name-only", "-v", "-race=false", "-1", "-5ms", "-", "--all", "--", "-stat"}))
	assert.Empty(t, goFlags(nil))
}
