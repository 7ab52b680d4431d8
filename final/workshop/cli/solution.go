package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/spelling"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func newSolution() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "solution FILE",
		Short:   "Our code for a file; it asks before it shows it",
		Long:    "Solution shows our code for a file of the step or checkpoint at which you are, such as rpc/client.go.",
		Example: "    go tool workshop solution rpc/client.go\n    go tool workshop solution -diff rpc/client.go",
		Args:    cobra.ExactArgs(1),
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	compare := cmd.Flags().Bool("diff", false, "show only how yours and ours differ")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := check.Find(".")
		if err != nil {
			return err
		}
		name, ours, err := findFile(target, args[0])
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if !*yes && !agrees(cmd.InOrStdin(), w, name, target.Station) {
			fmt.Fprintln(w, "Not shown. A hint may do: go tool workshop hint")
			return nil
		}
		text := string(ours)
		if *compare {
			text, err = difference(target, name, ours)
		}
		fmt.Fprint(w, text)
		return err
	}
	return cmd
}

// agrees asks whether to go on. Silence means no.
func agrees(r io.Reader, w io.Writer, name string, s course.Station) bool {
	fmt.Fprintf(w, "This shows our %s of %s. What you find yourself, you keep. Show it? [y/N] ", name, s.Name)
	line, _ := bufio.NewReader(r).ReadString('\n')
	fmt.Fprintln(w)
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// ourFiles returns the station's files, with imports as the folder has them.
func ourFiles(t check.Target) (course.Files, error) {
	if t.Progress == nil {
		return t.Station.Files(t.Root, t.Station.Module())
	}
	return t.Station.Files(t.Root, starter.Module)
}

// changedCode returns the names of the code that the station adds or changes.
func changedCode(t check.Target) ([]string, error) {
	ours, err := ourFiles(t)
	if err != nil {
		return nil, err
	}
	before := course.Files{}
	if previous, ok := t.Station.Previous(); ok {
		if before, err = previous.Files(t.Root, starter.Module); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, name := range ours.Names() {
		if course.IsCode(name) && !bytes.Equal(ours[name], before[name]) {
			names = append(names, name)
		}
	}
	return names, nil
}

// findFile returns our file of that name: below the learner's folder, or the only
// one whose path ends so.
func findFile(t check.Target, name string) (string, []byte, error) {
	files, err := ourFiles(t)
	if err != nil {
		return "", nil, err
	}
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	if here, err := belowTarget(t, name); err == nil {
		if data, ok := files[here]; ok {
			return here, data, nil
		}
	}
	var found []string
	for _, n := range files.Names() {
		if n == name {
			return n, files[n], nil
		}
		if strings.HasSuffix(n, "/"+name) {
			found = append(found, n)
		}
	}
	if len(found) == 1 {
		return found[0], files[found[0]], nil
	}
	if len(found) == 0 {
		found = near(name, files.Names())
	}
	return "", nil, fmt.Errorf("%s has no file %s: did you mean %s?", t.Station.Name, name, strings.Join(found, " or "))
}

// belowTarget returns a name as typed in the current folder relative to the
// learner's.
func belowTarget(t check.Target, name string) (string, error) {
	abs, err := filepath.Abs(filepath.FromSlash(name))
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(t.Dir, abs)
	return filepath.ToSlash(rel), err
}

// difference shows how the learner's file and ours differ.
func difference(t check.Target, name string, ours []byte) (string, error) {
	yours, err := os.ReadFile(filepath.Join(t.Dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // then all of ours is new
	}
	if err != nil {
		return "", err
	}
	text := udiff.Unified("yours/"+name, "ours/"+name, strings.ReplaceAll(string(yours), "\r\n", "\n"), string(ours))
	if text == "" {
		return "Yours and ours are the same.\n", nil
	}
	return text, nil
}

// near returns the three names that are most like name.
func near(name string, names []string) []string {
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int {
		return spelling.Distance(path.Base(name), path.Base(a)) - spelling.Distance(path.Base(name), path.Base(b))
	})
	return sorted[:min(len(sorted), 3)]
}
