package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readResults(t *testing.T, path string) *results {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	r := new(results)
	require.NoError(t, json.Unmarshal(text, r))
	return r
}

// Nobody types a figure: the report in latest and the summary in final/README.md are what its medians give. UPDATE=1 writes both.
func TestLatest_ReportAndREADMEAreUpToDate(t *testing.T) {
	r := readResults(t, filepath.Join("latest", mediansFile))
	var summary strings.Builder
	r.writeSummary(&summary)
	page, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(page), "<!-- bench: summary -->\n")
	_, after, ends := strings.Cut(rest, "<!-- bench: end -->\n")
	require.True(t, begins && ends, "no place for the summary")
	for path, want := range map[string]string{
		filepath.Join("latest", reportFile): report(r),
		"../README.md":                      before + "<!-- bench: summary -->\n\n" + summary.String() + "\n<!-- bench: end -->\n" + after,
	} {
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o666))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want, string(got), "UPDATE=1 go test ./final/bench -run TestLatest writes it anew")
	}
}
