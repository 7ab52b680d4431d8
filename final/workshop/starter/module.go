package starter

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// moduleFiles returns go.mod and go.sum, and a workspace of the learner's module
// and this tool. The sums are the course's own: with its modules in the cache,
// nothing has to be asked of the network.
func moduleFiles(root string, s course.Station, dir string) (course.Files, error) {
	files := course.Files{}
	for name, from := range map[string]string{
		"go.mod":      filepath.Join(s.Step, "go.mod"),
		"go.sum":      filepath.Join(s.Step, "go.sum"),
		"go.work":     "go.work",
		"go.work.sum": "go.work.sum",
	} {
		data, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	sums, err := os.ReadFile(filepath.Join(root, "final", "go.sum"))
	if err != nil {
		return nil, err
	}
	// The tool needs final without naming it in the workspace, where its sums would count.
	files["go.work.sum"] = append(files["go.work.sum"], sums...)
	if files["go.mod"], err = learnersModule(files["go.mod"]); err != nil {
		return nil, err
	}
	files["go.work"], err = learnersWorkspace(files["go.work"], toolDir(root, dir))
	return files, err
}

// learnersModule returns a step's go.mod with the learner's path.
func learnersModule(data []byte) ([]byte, error) {
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if err := mod.AddModuleStmt(Module); err != nil {
		return nil, err
	}
	return mod.Format()
}

// learnersWorkspace returns a go.work with the Go version of the course's.
func learnersWorkspace(data []byte, tool string) ([]byte, error) {
	old, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return nil, err
	}
	work := &modfile.WorkFile{Syntax: &modfile.FileSyntax{}}
	if err := work.AddGoStmt(old.Go.Version); err != nil {
		return nil, err
	}
	for _, use := range []string{".", tool} {
		if err := work.AddUse(use, ""); err != nil {
			return nil, err
		}
	}
	return modfile.Format(work.Syntax), nil
}

// toolDir returns where this tool's module is: relative to dir if that is in
// the clone, so that the two can be moved together.
func toolDir(root, dir string) string {
	tool := filepath.Join(root, "final", "workshop")
	// By name: go does not ask where symbolic links lead to.
	if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
		up := strings.Repeat("../", strings.Count(filepath.ToSlash(rel), "/")+1)
		return up + "final/workshop"
	}
	return filepath.ToSlash(tool)
}
