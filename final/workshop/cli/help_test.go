package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHelp_FitsTheTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "60")
	for _, cmd := range commands() {
		var out bytes.Buffer
		require.Zero(t, Main([]string{cmd.Name(), "-h"}, strings.NewReader(""), &out, &out))
		assert.Contains(t, out.String(), "\n  go tool workshop "+cmd.Name())
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "    go tool workshop ") { // to be copied
				assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 60, line)
			}
		}
		for paragraph := range strings.SplitSeq(cmd.Long, "\n\n") {
			if !strings.HasPrefix(paragraph, " ") { // a table
				assert.NotContains(t, strings.TrimSpace(paragraph), "\n", "the terminal says where lines end")
			}
		}
	}
}
