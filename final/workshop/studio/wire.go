package studio

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/source"
	"example.com/rpc-from-scratch/final/workshop/wire"
)

// wirePage is where the page with the messages is, in the book.
const wirePage = "studio/wire.html"

const (
	maxMessages = 10_000  // that are kept; older ones are forgotten
	maxHead     = 2 << 10 // bytes of a message that are kept
	maxText     = 2 << 10 // bytes of a meaning, or of a field's value
	maxFields   = 64
	maxRows     = 1000 // messages that are sent at a time
)

// A wireTap runs the reader's server behind a proxy, and keeps the messages that pass.
type wireTap struct {
	notify func()

	mu       sync.Mutex // guards what follows
	run      *run       // nil: the server does not run
	err      string     // why the last one ended
	messages []kept     // the last maxMessages, those of all runs
	first    int        // the number of the first of them
	cleared  int        // the number of the first that the reader has not cleared
	conns    int        // connections of all runs
}

// A kept message is one with its number.
type kept struct {
	wire.Message
	n int
}

// A run is a server of the reader's that runs, or is built.
type run struct {
	program string
	cancel  context.CancelFunc
	done    chan struct{}
	addr    string // of the proxy; "": not yet
	code    string // what it was built from, see codeOf
	stale   bool   // the code has changed since
}

func newWireTap(notify func()) *wireTap { return &wireTap{notify: notify} }

// programsOf returns the servers that a folder has.
func programsOf(t check.Target) (found []string) {
	for _, name := range []string{"server", "inventory"} {
		if _, err := os.Stat(filepath.Join(t.Dir, "cmd", name, "main.go")); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// start builds the reader's server and runs it. One that runs is ended first.
func (w *wireTap) start(t check.Target, program string) {
	w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{program: program, cancel: cancel, done: make(chan struct{}), code: codeOf(t)}
	w.mu.Lock()
	w.run, w.err = r, ""
	w.mu.Unlock()
	w.notify()
	go func() {
		defer close(r.done)
		defer cancel()
		err := w.serve(ctx, t, r)
		w.mu.Lock()
		if w.run == r {
			w.run = nil
		}
		if err != nil && ctx.Err() == nil {
			w.err = err.Error()
		}
		w.mu.Unlock()
		w.notify()
	}()
}

// saved compares the folder with what the server was built from. A file that is put back as
// it was changes nothing.
func (w *wireTap) saved(t check.Target) {
	code := codeOf(t)
	w.mu.Lock()
	if w.run != nil && code != "" {
		w.run.stale = code != w.run.code
	}
	w.mu.Unlock()
	w.notify()
}

// codeOf returns a sum of the code of a folder's programs, and of the station at which it
// is; "" if it cannot be read.
func codeOf(t check.Target) string {
	files, err := codeIn(t.Dir)
	if err != nil {
		return ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q", t.Station.Name)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !source.IsTest(name) {
			fmt.Fprintf(sum, "%q%q", name, files[name])
		}
	}
	return string(sum.Sum(nil))
}

// stop ends the server, and waits until it has ended.
func (w *wireTap) stop() {
	w.mu.Lock()
	r := w.run
	w.mu.Unlock()
	if r != nil {
		r.cancel()
		<-r.done
	}
}

// serve runs the server and the proxy until one of them ends, or ctx does.
func (w *wireTap) serve(ctx context.Context, t check.Target, r *run) error {
	dialect, err := wire.Find(t.Station.Name)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "workshop-studio-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	binary := filepath.Join(tmp, r.program)
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/"+r.program)
	build.Dir, build.WaitDelay = t.Dir, 2*time.Second
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s%w", out, err)
	}
	return w.runServer(ctx, t, r, dialect, binary)
}

// runServer runs the server that was built, and the proxy before it.
func (w *wireTap) runServer(ctx context.Context, t check.Target, r *run, dialect wire.Wire, binary string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var complaints tail
	addr, ended, err := startServer(ctx, t.Dir, binary, &complaints)
	if err != nil {
		return err
	}
	go func() {
		<-ended
		cancel()
	}()
	defer func() { <-ended }() // nothing of it is left
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.mu.Lock()
	r.addr = ln.Addr().String()
	w.mu.Unlock()
	w.notify()
	w.mu.Lock()
	before := w.conns // the runs before have ended
	w.mu.Unlock()
	proxy := &wire.Proxy{Wire: dialect, Addr: addr, Max: maxHead, Before: before, Show: w.add}
	if err := proxy.Serve(ctx, ln); err != nil {
		return err
	}
	return fmt.Errorf("the server has ended\n%s", &complaints)
}

// startServer starts a server, which ends with ctx, and returns its address. ended is closed
// when it has ended.
func startServer(ctx context.Context, dir, binary string, complaints *tail) (addr string, ended <-chan struct{}, err error) {
	cmd := exec.CommandContext(ctx, binary, "-addr", "127.0.0.1:0", "-until-eof")
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, complaints, 2*time.Second
	stdin, err := cmd.StdinPipe() // closed if this process is killed, which ends the server
	if err != nil {
		return "", nil, err
	}
	cmd.Cancel = stdin.Close // if that does not end it, it is killed after WaitDelay
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	in := bufio.NewReader(stdout)
	line, _ := in.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		stdin.Close()
		return "", nil, fmt.Errorf("the server printed %q, not its address; it ended with: %v\n%s", line, cmd.Wait(), complaints)
	}
	done := make(chan struct{})
	go io.Copy(io.Discard, in) // until Wait closes it
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	addr, _, _ = strings.Cut(addr, ",")
	return addr, done, nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - 8<<10; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(bytes.TrimSpace(t.b)), "�")
}

// add keeps a message.
func (w *wireTap) add(m wire.Message) {
	m.Meaning = cut(m.Meaning)
	m.Fields = m.Fields[:min(len(m.Fields), maxFields)]
	for i := range m.Fields {
		m.Fields[i].Value = cut(m.Fields[i].Value)
	}
	w.mu.Lock()
	w.conns = max(w.conns, m.Conn)
	w.messages = append(w.messages, kept{m, w.first + len(w.messages)})
	if over := len(w.messages) - maxMessages; over > maxMessages/10 { // seldom, so that the copying is cheap
		w.messages = append(w.messages[:0:0], w.messages[over:]...)
		w.first += over
	}
	w.mu.Unlock()
	w.notify()
}

// clear forgets all messages. Numbers go on: those of messages and of connections.
func (w *wireTap) clear() {
	w.mu.Lock()
	w.first += len(w.messages)
	w.messages, w.cleared = nil, w.first
	w.mu.Unlock()
	w.notify()
}

// from returns the number of the first message that the reader has not cleared.
func (w *wireTap) from() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cleared
}

// cut returns the beginning of a text.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// A row is a message in the list.
type row struct {
	N       int     `json:"n"`
	Conn    int     `json:"conn"`
	At      float64 `json:"at"`   // milliseconds since the connection began
	From    string  `json:"from"` // "client", "server", or "" of what happened to the connection
	Size    int64   `json:"size"`
	Meaning string  `json:"meaning"`
	Wrong   bool    `json:"wrong,omitempty"`
	Call    string  `json:"call,omitempty"`
}

// maxMeaning is how much of a meaning the list has.
const maxMeaning = 200

// since returns messages from the n'th on, the number of the next, and whether there are
// more already.
func (w *wireTap) since(n int) (rows []row, next int, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.first + len(w.messages)
	if n > last { // the page has it from a studio that was here before
		n = 0
	}
	n = max(n, w.first, last-maxMessages)
	end := min(n+maxRows, last)
	for _, m := range w.messages[min(n, last)-w.first : max(end, n)-w.first] {
		rows = append(rows, rowOf(m))
	}
	return rows, max(end, n), end < last
}

func rowOf(m kept) row {
	r := row{N: m.n, Conn: m.Conn, At: float64(m.At.Microseconds()) / 1000, Size: m.Size, Meaning: m.Meaning, Wrong: m.Wrong != "", Call: m.Call}
	switch {
	case m.Event != "":
		r.Meaning = m.Event
	case m.FromClient:
		r.From = "client"
	default:
		r.From = "server"
	}
	if m.Meaning == "" && m.Wrong != "" {
		r.Meaning = m.Wrong
	}
	if len(r.Meaning) > maxMeaning {
		r.Meaning = strings.ToValidUTF8(r.Meaning[:maxMeaning], "") + "…"
	}
	return r
}

// A messageView is what there is to say of one message.
type messageView struct {
	Head, Meaning, Wrong, Hex string
	Fields                    []wire.Field
	Left                      int64 // bytes that are not shown
}

func (w *wireTap) find(n int) (messageView, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < w.first || n >= w.first+len(w.messages) {
		return messageView{}, false
	}
	m := w.messages[n-w.first]
	v := messageView{Meaning: m.Meaning, Wrong: m.Wrong, Fields: m.Fields, Hex: book.Hex(m.Head), Left: m.Size - int64(len(m.Head))}
	from := "server"
	if m.FromClient {
		from = "client"
	}
	v.Head = fmt.Sprintf("From the %s, connection %d, after %.3f ms, %d bytes", from, m.Conn, float64(m.At.Microseconds())/1000, m.Size)
	if m.Event != "" {
		v.Head, v.Meaning = fmt.Sprintf("Connection %d, after %.3f ms", m.Conn, float64(m.At.Microseconds())/1000), m.Event
	}
	return v, true
}

// A serverView is the panel of the reader's server.
type serverView struct {
	Addr, Err, Program string
	Busy, Stale, Raw   bool
	Programs, Commands []string
}

func (w *wireTap) view(t check.Target) serverView {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := serverView{Err: w.err, Programs: programsOf(t)}
	if len(v.Programs) == 0 {
		v.Err = "this folder has no server: cmd/server is not there"
		return v
	}
	v.Program = v.Programs[0]
	if r := w.run; r != nil {
		v.Program, v.Addr, v.Busy, v.Stale, v.Err = r.program, r.addr, r.addr == "", r.stale, ""
	}
	for _, c := range []struct{ name, rest string }{{"raw", ""}, {"client", " METHOD PARAMS"}} {
		if _, err := os.Stat(filepath.Join(t.Dir, "cmd", c.name, "main.go")); err == nil {
			v.Commands = append(v.Commands, "go run ./cmd/"+c.name+" -addr "+cmp.Or(v.Addr, "ADDRESS")+c.rest)
			v.Raw = v.Raw || c.name == "raw"
		}
	}
	return v
}
