package verify

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/diff"
)

// diffsFolder holds the diff of each station from the one before it, for those
// who read without the tool.
const diffsFolder = "testdata/diffs"

// checkDiffs checks that the kept diffs are those of the code.
func checkDiffs(_ context.Context, c *Course, f *Findings) error {
	stale, err := c.staleDiffs()
	for _, name := range stale {
		f.file(path.Join(diffsFolder, name), 0, "out of date: run go tool workshop sync diffs")
	}
	return err
}

// staleDiffs returns the names of files that are missing, wrong or too much.
func (c *Course) staleDiffs() ([]string, error) {
	all, err := diff.All(c.Root)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.Root, filepath.FromSlash(diffsFolder))
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.ReplaceAll(string(text), "\r\n", "\n") != string(all[name]) {
			stale = append(stale, name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if _, ok := all[entry.Name()]; !ok {
			stale = append(stale, entry.Name())
		}
	}
	return stale, nil
}

// SyncDiffs writes the diffs that are out of date, removes those of no station,
// and returns the files' names below the root.
func (c *Course) SyncDiffs() ([]string, error) {
	stale, err := c.staleDiffs()
	if err != nil || len(stale) == 0 {
		return nil, err
	}
	all, err := diff.All(c.Root)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.Root, filepath.FromSlash(diffsFolder))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var changed []string
	for _, name := range stale {
		file := filepath.Join(dir, name)
		if text, ok := all[name]; ok {
			err = os.WriteFile(file, text, 0o666)
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			return changed, err
		}
		changed = append(changed, path.Join(diffsFolder, name))
	}
	return changed, nil
}
