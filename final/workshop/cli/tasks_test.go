package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An editor knows by these lines that a check of watch begins and ends; the rest of
// tasks.json is tested with what check prints.
func TestTasks_KnowWhenWatchChecks(t *testing.T) {
	text, err := os.ReadFile("../starter/tasks.json")
	require.NoError(t, err)
	var file struct {
		Tasks []struct {
			Args           []string
			ProblemMatcher struct {
				Background struct{ BeginsPattern, EndsPattern string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	assert.Equal(t, []string{"tool", "workshop", "check", "-plain"}, file.Tasks[0].Args)
	assert.Equal(t, []string{"tool", "workshop", "watch", "-plain"}, file.Tasks[1].Args)
	background := file.Tasks[1].ProblemMatcher.Background
	var begins bytes.Buffer
	newMeter(&begins, true).start(time.Second)
	assert.Regexp(t, regexp.MustCompile(background.BeginsPattern), begins.String())
	assert.Regexp(t, regexp.MustCompile(background.EndsPattern), strings.TrimSpace(waiting))
}
