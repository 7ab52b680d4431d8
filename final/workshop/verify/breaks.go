package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// isBreak reports whether a block is a change that turns tests red.
func isBreak(b *lesson.Block) bool { return b.Word(0) == "diff" && b.Word(1) == "break" }

// checkBreak makes each change that a page says turns a test red, and checks that
// it does.
func checkBreak(ctx context.Context, c *Course, f *Findings) error {
	type breaking struct {
		p *Page
		b *lesson.Block
	}
	var all []breaking
	for _, p := range c.pages {
		for _, b := range p.Blocks {
			if isBreak(b) {
				all = append(all, breaking{p, b})
			}
		}
	}
	eachAtOnce(all, func(x breaking) {
		if err := c.checkBreak(ctx, x.p, x.b); err != nil {
			f.page(x.p, x.b.Line, "%v", err)
		}
	})
	return ctx.Err()
}

func (c *Course) checkBreak(ctx context.Context, p *Page, b *lesson.Block) error {
	if len(b.Words) < 4 {
		return errors.New("name a file and a test behind break: diff break rpc/client.go TestClient_X")
	}
	r, err := p.ref(b.Word(2))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := c.place(r)
	folder := strings.TrimSuffix(file, filepath.FromSlash(r.name))
	overlay, err := writeOverlay(folder, dir, []change{{file: r.name, text: b.Body, diff: true}})
	if err != nil {
		return err
	}
	for _, test := range b.Rest(3) {
		if err := breaks(ctx, file, overlay, test); err != nil {
			return err
		}
	}
	return nil
}

// place returns where a ref's file stands.
func (c *Course) place(r ref) string {
	name := r.name
	if r.station != nil {
		name = r.station.Folder + "/" + r.name
	}
	return filepath.Join(c.Root, filepath.FromSlash(name))
}

// breaks checks that a test passes, and fails with the overlay.
func breaks(ctx context.Context, file, overlay, test string) error {
	dir, err := packageOf(test, filepath.Dir(file))
	if err != nil {
		return err
	}
	args := []string{"-run", check.Pattern(test)}
	out, passed, err := goTest(ctx, dir, nil, args...)
	switch {
	case err != nil:
		return err
	case strings.Contains(out, "no tests to run"):
		return fmt.Errorf("%s does not run", test)
	case !passed:
		return fmt.Errorf("%s fails without the change, too:\n%s", test, short(out))
	}
	out, passed, err = goTest(ctx, dir, nil, append(args, "-overlay", overlay)...)
	switch {
	case err != nil:
		return err
	case passed:
		return fmt.Errorf("%s passes with the change: it has to fail", test)
	case strings.Contains(out, "[build failed]"):
		return fmt.Errorf("the change does not compile:\n%s", short(out))
	}
	return nil
}

// packageOf returns the folder of the package that has a test: that of the file
// it is about, or another of its module.
func packageOf(test, dir string) (string, error) {
	name, _, _ := strings.Cut(test, "/")
	if hasTest(dir, name) {
		return dir, nil
	}
	root := dir
	for !exists(root, "go.mod") {
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("%s is in no module", dir)
		}
		root = filepath.Dir(root)
	}
	var found string
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && found == "" && hasTest(file, name) {
			found = file
		}
		return err
	})
	if err == nil && found == "" {
		err = fmt.Errorf("there is no %s in %s", name, root)
	}
	return found, err
}

func hasTest(dir, name string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		return err == nil && source.IsTest(e.Name()) && slices.Contains(namesIn(string(text)), name)
	})
}
