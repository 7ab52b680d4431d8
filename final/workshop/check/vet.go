package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A Doubt is what go vet finds suspicious.
type Doubt struct {
	Analyzer string // "printf"
	Text     string // "rpc/server.go:5:24: fmt.Printf format %d has arg …"
}

// ofTest are the analyzers that go test runs by itself before the tests, as its
// documentation lists them: it refuses to run what they doubt.
var ofTest = []string{"atomic", "bools", "buildtag", "directive", "errorsas", "ifaceassert", "nilfunc", "printf", "slog", "stringintconv", "tests"}

// Blocks reports whether go test refuses to run because of it.
func (d Doubt) Blocks() bool { return slices.Contains(ofTest, d.Analyzer) }

// vet returns what go vet doubts in all packages, and the mistakes of those that
// have no tests and do not compile.
func vet(ctx context.Context, dir string, race bool) (doubts []Doubt, mistakes []string, err error) {
	args := []string{"vet", "-json"}
	if race {
		args = append(args, "-race") // what is compiled already need not be again
	}
	cmd := command(ctx, dir, "go", append(args, "./...")...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	failed := cmd.Run()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if doubts, err = readDoubts(dir, &stdout); err != nil {
		return nil, nil, fmt.Errorf("go vet -json: %w", err)
	}
	if failed != nil {
		for _, line := range ownPaths(dir, compileErrors(stderr.String())) {
			mistakes = append(mistakes, strings.TrimPrefix(strings.TrimPrefix(line, "vet: "), "./"))
		}
	}
	return doubts, slices.Compact(mistakes), nil
}

// readDoubts reads what go vet -json prints: an object a package, by path and
// analyzer. The same file may be in two, in that of the tests again.
func readDoubts(dir string, r io.Reader) ([]Doubt, error) {
	var all []Doubt
	for dec := json.NewDecoder(r); ; {
		var packages map[string]map[string]json.RawMessage
		if err := dec.Decode(&packages); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		for _, path := range slices.Sorted(maps.Keys(packages)) {
			for _, analyzer := range slices.Sorted(maps.Keys(packages[path])) {
				for _, d := range doubtsOf(dir, analyzer, packages[path][analyzer]) {
					if !slices.Contains(all, d) {
						all = append(all, d)
					}
				}
			}
		}
	}
}

// doubtsOf reads those of one analyzer; it may have failed, which is an object
// and not its user's concern.
func doubtsOf(dir, analyzer string, data []byte) []Doubt {
	var found []struct{ Posn, Message string }
	if json.Unmarshal(data, &found) != nil {
		return nil
	}
	var all []Doubt
	for _, f := range found {
		place := f.Posn
		if rel, ok := below(dir, place); ok {
			place = rel
		}
		all = append(all, Doubt{analyzer, place + ": " + f.Message})
	}
	return all
}

// doubts prints what go vet says, first what go test refuses to run.
func (p *Printer) doubts(r *Report) {
	var blocking, other []string
	for _, d := range r.Doubts {
		if d.Blocks() {
			blocking = append(blocking, d.Text)
		} else {
			other = append(other, d.Text)
		}
	}
	if len(blocking) > 0 {
		p.mistakesOf("go vet objects, so that go test refuses to run. Fix this, too:", blocking)
	}
	if len(other) > 0 {
		p.mistakesOf("go vet has doubts (go test runs all the same)", other)
	}
}
