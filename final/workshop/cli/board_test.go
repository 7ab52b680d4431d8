package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/board"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

var boardURL = regexp.MustCompile(`http://\S+`)

// serveBoard NAME ARGS... starts a board in this folder, and sets $NAME_ROOM and
// $NAME_INSTRUCTOR to its URLs. What it prints later goes to $WORK/NAME.out.
func serveBoard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: board NAME ARGS...")
	}
	p := &process{Cmd: exec.Command("workshop", append([]string{"board", "-until-eof"}, args[1:]...)...), out: make(chan error, 1)}
	p.Dir = ts.MkAbs(".")
	p.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.Stderr = os.Stderr
	var err error
	p.stdin, err = p.StdinPipe()
	ts.Check(err)
	stdout, err := p.StdoutPipe()
	ts.Check(err)
	file, err := os.Create(filepath.Join(ts.Getenv("WORK"), args[0]+".out"))
	ts.Check(err)
	ts.Check(p.Start())
	ts.Defer(func() { p.Process.Kill(); p.end(); file.Close() })

	in := bufio.NewReader(stdout)
	var urls []string
	for line := ""; !strings.HasPrefix(line, "Ctrl-C"); {
		line, err = in.ReadString('\n')
		ts.Check(err)
		urls = append(urls, boardURL.FindAllString(line, -1)...)
	}
	ts.Setenv(args[0]+"_ROOM", urls[0])
	ts.Setenv(args[0]+"_INSTRUCTOR", urls[1])
	go func() {
		_, err := io.Copy(file, in)
		p.out <- err
	}()
	ts.Value("servers").(map[string]*process)[args[0]] = p
}

// get FILE URL writes what is at the URL to a file.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get FILE URL")
	}
	resp, err := http.Get(args[1])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append([]byte(resp.Status+"\n"), body...), 0o666))
}

// Of what is in a participant's folder, only the names of the course's tests go over the
// wire: no code, no path, no output, and no test that the participant has written.
func TestCheck_SendsABoardNoCode(t *testing.T) {
	seldom.Test(t)
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mysecretfolder")
	require.NoError(t, starter.Write(root, course.Stations[0], dir))
	trim(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "mysecretpackage"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mysecretpackage", "mysecret_test.go"), []byte("package mysecret\n\nimport \"testing\"\n\n"+
		"// mysecret comment\nfunc TestMysecret(t *testing.T) { t.Error(\"mysecret output\") }\n\nfunc TestMysecretPasses(t *testing.T) {}\n"), 0o666))

	var mu sync.Mutex
	var wire [][]byte
	var bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := httputil.DumpRequest(r, true)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			wire = append(wire, all)
			_, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
			bodies = append(bodies, string(body))
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	cmd := exec.Command("workshop", "check", "-race=false", "-board", srv.URL+"/room", "-name", "Ada")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "USER=mysecretuser", "HOSTNAME=mysecrethost")
	out, _ := cmd.CombinedOutput() // there is something to do
	assert.Contains(t, string(out), "mysecret output")
	assert.Contains(t, string(out), "board: reported as \"Ada\": 01, 2 of ")

	require.Len(t, wire, 2)
	for _, request := range wire {
		assert.NotContains(t, strings.ToLower(string(request)), "mysecret")
		assert.NotContains(t, string(request), ".go")
		assert.NotContains(t, string(request), "package ")
	}
	assert.Empty(t, bodies[0])
	var m struct{ Passing, ToDo []string }
	require.NoError(t, json.Unmarshal([]byte(bodies[1]), &m))
	tests, err := course.Tests(root, course.Stations[0])
	require.NoError(t, err)
	for _, name := range append(m.Passing, m.ToDo...) {
		assert.True(t, slices.ContainsFunc(tests, func(c course.Test) bool { return c.Name == name }), name)
	}
	assert.Equal(t, []string{"TestNaive_OneReadIsNotOneLine", "TestNaive_ALibraryThatCallsLogFatalEndsTheProgram"}, m.Passing)
	assert.FileExists(t, filepath.Join(dir, board.File))
}

// trim leaves a folder the tests of the article's way, which are quick.
func trim(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{"rpc/[^n]*_test.go", "cmd/*_test.go"} {
		names, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.NoError(t, os.Remove(name))
		}
	}
}

// A board that fails is a line, until reports arrive again.
func TestWatch_ReportsToABoard(t *testing.T) {
	seldom.Test(t)
	var well atomic.Bool
	posted := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted <- struct{}{}
			if !well.Load() {
				http.Error(w, "planted \x1b[2J failure", http.StatusServiceUnavailable)
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	root, err := course.Root(".")
	require.NoError(t, err)
	w := &watched{dir: filepath.Join(t.TempDir(), "mine")}
	require.NoError(t, starter.Write(root, course.Stations[0], w.dir))
	trim(t, w.dir)
	stderr, says := io.Pipe()
	w.stderr = says
	lines := bufio.NewScanner(stderr)
	w.start(t, "-run", "", "-board", srv.URL+"/room", "-name", "Ada")
	said := make(chan string, 100)
	go func() {
		defer close(said)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "board:") {
				said <- lines.Text()
			}
		}
	}()
	w.until(t, "Waiting until you save")
	assert.Equal(t, "board: not reported: "+strings.TrimPrefix(srv.URL, "http://")+" answers: planted [2J failure", <-said)
	<-posted
	w.save(t, "")
	w.until(t, "Waiting until you save")
	<-posted
	well.Store(true)
	w.save(t, "\t// again")
	w.until(t, "Waiting until you save")
	assert.Regexp(t, `^board: reported as "Ada": 01, 2 of \d+ tests pass$`, <-said)
	w.end(t)
	says.Close()
	assert.Empty(t, <-said, "nothing else")
}

// The studio reports as watch does.
func TestStudio_ReportsToABoard(t *testing.T) {
	seldom.Test(t)
	posted := make(chan []byte, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && r.Method == http.MethodPost {
			posted <- body
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, course.Stations[0], dir))
	trim(t, dir)
	cmd := exec.Command("workshop", "studio", "-until-eof", "-race=false", "-board", srv.URL+"/room", "-name", "Ada")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "board:") {
	}
	assert.Regexp(t, `^board: reported as "Ada": 01, 2 of \d+ tests pass$`, lines.Text())
	assert.Contains(t, string(<-posted), `"station":"01"`)
	require.NoError(t, stdin.Close())
	for lines.Scan() { // until it ends
	}
	assert.NoError(t, cmd.Wait())
}
