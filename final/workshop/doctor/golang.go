package doctor

import (
	"context"
	"fmt"
	"go/version"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
)

// goVersion compares the Go that works in the course with what its go.work wants.
func (m *Machine) goVersion(ctx context.Context) Finding {
	want, err := m.wanted()
	if err != nil {
		return Finding{Found: err.Error(), ToDo: "The clone is not whole: clone it again."}
	}
	const get = "Get Go %s or later from https://go.dev/dl/ and open a new terminal."
	out, err := run(ctx, m.Root, nil, "env", "GOVERSION")
	if err != nil {
		return Finding{Found: lastLine(out, err), ToDo: fmt.Sprintf(get, want)}
	}
	// A version may have words behind it: "go1.26.8 X:synctest".
	if got, _, _ := strings.Cut(out, " "); version.Compare(got, "go"+want) < 0 {
		return Finding{Found: out, ToDo: fmt.Sprintf(get, want)}
	}
	return Finding{Found: out}
}

// wanted returns the version of the course's go.work.
func (m *Machine) wanted() (string, error) {
	file := filepath.Join(m.Root, "go.work")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	work, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return "", err
	}
	if work.Go == nil {
		return "", fmt.Errorf("%s names no Go version", file)
	}
	return work.Go.Version, nil
}

// settings looks for what somebody has set once, for another project, and what
// breaks a workspace.
func (m *Machine) settings(ctx context.Context) Finding {
	var found, todo []string
	for _, s := range []struct {
		name  string
		wrong func(value string) bool
		why   string
	}{
		{"GOWORK", func(v string) bool { return v == "off" }, "the course is a workspace, and GOWORK=off hides it"},
		{"GO111MODULE", func(v string) bool { return v == "off" }, "nothing works without modules"},
		{"GOFLAGS", hasMod, "the course has no vendor folder, and a workspace allows no -mod=mod"},
	} {
		value, err := run(ctx, m.Root, nil, "env", s.name)
		if err != nil || !s.wrong(value) {
			continue
		}
		found = append(found, s.name+"="+value)
		todo = append(todo, s.name+": "+s.why+".\n"+unset(s.name))
	}
	if todo == nil {
		return Finding{Found: "nothing unusual"}
	}
	return Finding{Found: strings.Join(found, ", "), ToDo: strings.Join(todo, "\n")}
}

// hasMod reports whether flags choose another source of modules.
func hasMod(flags string) bool {
	for flag := range strings.FieldsSeq(flags) {
		name := strings.TrimLeft(flag, "-")
		if strings.HasPrefix(name, "mod=") && name != "mod=readonly" || strings.HasPrefix(name, "modfile=") {
			return true
		}
	}
	return false
}

// unset says how to take a setting back: it may stand in two places.
func unset(name string) string {
	return "  sh:          unset " + name + "; go env -u " + name + "\n" +
		"  PowerShell:  Remove-Item Env:" + name + " -ErrorAction Ignore; go env -u " + name
}

// modules looks whether everything that the course imports is in the module
// cache, and if not, has it downloaded.
func (m *Machine) modules(ctx context.Context) Finding {
	if _, err := m.list(ctx, "GOPROXY=off"); err == nil {
		return Finding{Found: "all there"}
	}
	out, err := m.list(ctx)
	if err == nil {
		return Finding{Found: "all there now: they have been downloaded"}
	}
	proxy, _ := run(ctx, m.Root, nil, "env", "GOPROXY")
	return Finding{
		Found: "some are missing, and GOPROXY=" + withoutPasswords(proxy) + " has not given them: " + lastLine(out, err),
		ToDo: "Run doctor again with a network, once: the modules stay. Behind a company's proxy, ask for its GOPROXY and set it:\n" +
			"  go env -w GOPROXY=ADDRESS\n" +
			"For a machine that never has one: run \"go tool workshop pack FILE\" on one that does.",
	}
}

// withoutPasswords hides those of a list of addresses, which a learner may show
// to others.
func withoutPasswords(proxies string) string {
	var shown []string
	for proxy := range strings.SplitSeq(proxies, ",") {
		if u, err := url.Parse(proxy); err == nil && u.User != nil {
			proxy = u.Redacted()
		}
		shown = append(shown, proxy)
	}
	return strings.Join(shown, ",")
}

// list has the go command load all packages that a learner needs, with their
// tests' imports.
func (m *Machine) list(ctx context.Context, env ...string) (string, error) {
	args := []string{"list", "-deps", "-test", "-f", `{{""}}`, "./final/...", "./final/workshop/..."}
	for _, s := range course.Stations {
		if !s.IsCheckpoint() {
			args = append(args, "./"+s.Step+"/...")
		}
	}
	return run(ctx, m.Root, env, args...)
}

// test runs the first test of the first step: if it passes, Go compiles here,
// and programs that it has made may run.
func (m *Machine) test(ctx context.Context) Finding {
	first := course.Stations[0]
	out, err := run(ctx, filepath.Join(m.Root, first.Step), nil, "test", "-count=1", "-timeout", "60s", "-run", "^TestServer_AnswersEachLine$", "./rpc")
	if err == nil && strings.HasPrefix(out, "ok") && !strings.Contains(out, "no tests to run") {
		return Finding{Found: "passes"}
	}
	return Finding{
		Found: "does not pass",
		ToDo: "In " + first.Step + ", go test ./rpc says:\n" + indent(lastLines(out, 12)) + "\n" +
			"If a test's program could not be started, a virus scanner may hold it: allow the folder that \"go env GOTMPDIR GOCACHE\" names.\n" +
			"If files were changed in the clone, \"git status\" names them.",
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// raceDetector only tells: check does without.
func (m *Machine) raceDetector(ctx context.Context) Finding {
	race := m.Race
	if race == nil {
		race = func(ctx context.Context) (string, bool) { return check.CanRace(ctx, m.Root) }
	}
	if why, ok := race(ctx); !ok {
		return Finding{Found: "not here", Note: why + ". The tests run without it, and find data races less often."}
	}
	return Finding{Found: "works"}
}
