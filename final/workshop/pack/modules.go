package pack

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A collector has the go command fill an empty module cache with what the course
// needs: what lies there afterwards is what it asked for, and no more.
type collector struct {
	root  string // a copy of the workspace, since the go command may write to it
	cache string // the cache that is filled
	tmp   string // for learners' folders
	bench bool
	env   []string
}

// heavy are the modules that no lesson needs, and that bring many others.
var heavy = []string{"final/bench", "final/tracing"}

// systems are those on which the archive has to work: some packages are imported
// on one alone.
var systems = []string{"linux", "darwin", "windows"}

// collect fills the cache: for the workspace as it is, for each module by itself,
// and for the folder of a learner at each step. The three can choose different
// versions of the same module.
func (c *collector) collect(ctx context.Context) error {
	if err := c.setEnv(ctx); err != nil {
		return err
	}
	modules, err := c.modules()
	if err != nil {
		return err
	}
	for _, goos := range systems {
		if err := c.run(ctx, c.root, []string{"GOOS=" + goos, "GOARCH=amd64"}, c.listAll(modules)...); err != nil {
			return err
		}
	}
	for _, m := range modules {
		if err := c.run(ctx, filepath.Join(c.root, filepath.FromSlash(m)), []string{"GOWORK=off"}, "mod", "download"); err != nil {
			return err
		}
	}
	return c.learners(ctx)
}

// setEnv makes the go command use the cache, and fill it from the one that is
// there, or else from where modules come from on this machine.
func (c *collector) setEnv(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY", "GOFLAGS")
	cmd.Dir = c.root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	values := strings.Split(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n")
	c.env = append(os.Environ(),
		"GOMODCACHE="+c.cache,
		"GOPROXY="+fileURL(filepath.Join(values[0], "cache", "download"))+","+values[1],
		"GOFLAGS="+strings.TrimSpace(values[2]+" -modcacherw"), // so that it can be removed
		"GOSUMDB=off", // go.sum has the sums of what is built
		"GOTOOLCHAIN=local",
		"GOWORK=")
	return nil
}

// fileURL returns the address of a folder, as GOPROXY wants it.
func fileURL(dir string) string {
	p := filepath.ToSlash(dir)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/…
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

// modules returns the folders of the workspace's modules that learners need.
func (c *collector) modules() ([]string, error) {
	data, err := os.ReadFile(filepath.Join(c.root, "go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, use := range work.Use {
		if dir := path.Clean(use.Path); c.bench || !slices.Contains(heavy, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// listAll returns the go command that loads all packages of the modules, and what
// they and their tests import.
func (c *collector) listAll(modules []string) []string {
	args := []string{"list", "-deps", "-test", "-f", `{{""}}`}
	for _, m := range modules {
		args = append(args, "./"+m+"/...")
	}
	return args
}

// learners collects what learners' folders need, one for each step.
func (c *collector) learners(ctx context.Context) error {
	for _, s := range course.Stations {
		if s.IsCheckpoint() {
			continue // it has the step's go.mod
		}
		dir := filepath.Join(c.tmp, s.Name)
		if err := starter.Write(c.root, s, dir); err != nil {
			return err
		}
		if err := c.run(ctx, dir, nil, "mod", "download"); err != nil {
			return err
		}
	}
	return nil
}

// run runs the go command for its effect on the cache.
func (c *collector) run(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = slices.Concat(c.env, env)
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("a module is missing, here and where GOPROXY says: run pack with a network.\nIn %s, go %s: %w\n%s",
			path.Base(filepath.ToSlash(dir)), args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// proxyFiles returns the files of the cache that a file GOPROXY serves, below its
// cache/download.
func (c *collector) proxyFiles() (dir string, names []string, err error) {
	dir = filepath.Join(c.cache, "cache", "download")
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "sumdb" || name == "golang.org/toolchain@v") {
			return fs.SkipDir
		}
		switch path.Ext(name) {
		case ".info", ".mod", ".zip":
			names = append(names, name)
		}
		return nil
	})
	return dir, names, err
}
