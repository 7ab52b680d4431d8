package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// port looks whether a program may listen on the loopback interface and another
// may reach it.
func (m *Machine) port(context.Context) Finding {
	const todo = "A firewall or a security program stops programs from listening on, or connecting to, 127.0.0.1: allow it for Go's programs."
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Finding{Found: err.Error(), ToDo: todo}
	}
	defer ln.Close()
	conn, err := net.DialTimeout("tcp", ln.Addr().String(), 5*time.Second)
	if err != nil {
		return Finding{Found: err.Error(), ToDo: todo}
	}
	conn.Close()
	return Finding{Found: "127.0.0.1 can be listened on and reached"}
}

// enough is what has to be free: Go's cache for the course, with and without the
// race detector, takes about half of it.
const enough = 1 << 30

// disk looks at the file systems where Go puts what it downloads and compiles.
func (m *Machine) disk(ctx context.Context) Finding {
	free := m.Free
	if free == nil {
		free = freeSpace
	}
	out, err := run(ctx, m.Root, nil, "env", "GOCACHE", "GOMODCACHE")
	if err != nil {
		return Finding{Found: lastLine(out, err), ToDo: "\"go env GOCACHE\" has to work: see Go, above."}
	}
	var least uint64
	for i, dir := range append(strings.Split(out, "\n"), os.TempDir()) {
		dir = strings.TrimSpace(dir)
		n, err := free(existing(dir))
		if errors.Is(err, errors.ErrUnsupported) {
			return Finding{Found: "unknown on this system"}
		}
		if err != nil {
			return Finding{Found: err.Error(), ToDo: dir + " has to be a folder that you may write to."}
		}
		if n < enough {
			return Finding{Found: fmt.Sprintf("%d MB are free in %s", n>>20, dir), ToDo: fmt.Sprintf("Make room: the course needs about %d MB there. \"go clean -cache\" empties Go's own cache.", enough>>20)}
		}
		if i == 0 || n < least {
			least = n
		}
	}
	return Finding{Found: fmt.Sprintf("%d MB are free", least>>20)}
}

// existing returns dir, or the nearest folder above it that is there already.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// lineEnds looks for files that a checkout has given the line ends of Windows:
// tests compare bytes, and scripts have lines.
func (m *Machine) lineEnds(context.Context) Finding {
	found, err := m.firstCRLF()
	if err != nil {
		return Finding{Found: err.Error(), ToDo: "The clone cannot be read: clone it again."}
	}
	if found == "" {
		return Finding{Found: "as in the repository"}
	}
	return Finding{
		Found: "those of Windows, in " + found,
		ToDo: "Tests compare bytes. Clone again, with\n" +
			"  git clone -c core.autocrlf=false ADDRESS\n" +
			"An archive that was unpacked: unpack it again without changing line ends.",
	}
}

// firstCRLF returns the first file that has the line ends of Windows, among the
// steps' code, scripts and captures.
func (m *Machine) firstCRLF() (string, error) {
	for _, dir := range courseDirs() {
		names, err := course.Walk(filepath.Join(m.Root, dir), nil)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if !isText(name) {
				continue
			}
			data, err := os.ReadFile(filepath.Join(m.Root, dir, filepath.FromSlash(name)))
			if err != nil {
				return "", err
			}
			if bytes.Contains(data, []byte("\r\n")) {
				return path.Join(dir, name), nil
			}
		}
	}
	return "", nil
}

// courseDirs are the folders of the clone that are the course's: a learner's may
// stand beside them, and has the line ends of the learner's editor.
func courseDirs() []string {
	dirs := []string{"testdata", "final"}
	for _, s := range course.Stations {
		if !s.IsCheckpoint() {
			dirs = append(dirs, s.Step)
		}
	}
	return dirs
}

// isText reports whether line ends matter in a file of that name.
func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".txtar", ".txt":
		return true
	}
	return false
}
