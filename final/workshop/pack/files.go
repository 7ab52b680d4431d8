package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// workspaceFiles returns the names of the course's files below root, sorted, with
// slashes: those that git keeps, or, where there is no git or no repository, all
// that look like them.
func workspaceFiles(ctx context.Context, root string) ([]string, error) {
	names, err := gitFiles(ctx, root)
	if err != nil {
		names, err = walkFiles(root)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return nil, fmt.Errorf("%q is no path inside of the workspace", name)
		}
	}
	return slices.Compact(names), nil
}

// gitFiles asks git. Files that are kept but not there have been removed.
func gitFiles(ctx context.Context, root string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name))); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("git lists no files here")
	}
	return names, nil
}

// walkFiles returns all files but git's own, learners' folders, and what is no
// text: programs and databases that somebody has made here.
func walkFiles(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || isLearners(path) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil || course.IsBinary(data) {
			return err
		}
		rel, err := filepath.Rel(root, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

func isLearners(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, progress.File))
	return err == nil
}

// copyFiles copies files from one folder to another. Line ends are those of the
// repository, whatever a checkout has made of them.
func copyFiles(from, to string, names []string) error {
	for _, name := range names {
		local := filepath.FromSlash(name)
		data, err := os.ReadFile(filepath.Join(from, local))
		if err != nil {
			return err
		}
		if !course.IsBinary(data) {
			data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		}
		info, err := os.Stat(filepath.Join(from, local))
		if err != nil {
			return err
		}
		target := filepath.Join(to, local)
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o666|info.Mode()&0o111); err != nil {
			return err
		}
	}
	return nil
}
