package static

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// maxFile bounds the file's size in bytes: enough for ten thousand addresses, and
// no more when Path names something else by mistake.
const maxFile = 1 << 20

// File is an [rpc.Resolver] that reads addresses from a file, one per line, and
// reads it again when it has changed. A # at the beginning of a line or after a
// space begins a comment; empty lines are ignored. A file that is missing, empty,
// larger than 1 MiB, no regular file, or wrong in any line changes nothing,
// because editors truncate a file before they write it, and half a list would
// send all calls to half of the servers. To replace a file at once, write another
// one and rename it. Until there is a list, calls that fail for lack of one say
// why.
//
// Its fields must not change once it is in use. Several pools may share a File.
type File struct {
	Path string
	// Every is the pause between looks at the file. 0 and less are 1 s. Until
	// there is a first list, the pauses are the pool's, which grow to 5 s: see
	// rpc.WithBackoff.
	Every time.Duration
	// OnError gets the reason why the file cannot be used, once until the reason
	// changes, and nil when the file can be used again. It must not wait. It may
	// be nil.
	OnError func(error)

	mu   sync.Mutex
	told error // the last reason of a Resolve that has returned it
}

// Resolve implements [rpc.Resolver]. It returns when ctx ends, even if the file
// system does not answer, or with the reason why there is no list yet: a pool tells
// its callers, and calls it again.
func (f *File) Resolve(ctx context.Context, update func(addrs []string)) error {
	every := f.Every
	if every <= 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := state{err: f.swapTold(nil)}
	for {
		text, err := await(ctx, func() ([]byte, error) { return readFile(f.Path) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = f.look(last, text, err, update)
		if last.list == nil {
			f.swapTold(last.err)
			return last.err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// swapTold sets what OnError was told last, and returns what that was before.
func (f *File) swapTold(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.told
	f.told = err
	return old
}

// state is what the file was at the last look: read without an error, or not.
type state struct {
	text []byte
	err  error
	list rpc.StaticResolver // the last one that could be used
}

// await returns what read does, or when ctx ends. A file system that hangs holds its
// goroutine, and no more.
func await(ctx context.Context, read func() ([]byte, error)) (text []byte, err error) {
	done := make(chan struct{})
	var readText []byte
	var readErr error
	go func() {
		defer close(done)
		readText, readErr = read()
	}()
	select {
	case <-done:
		return readText, readErr
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// look says what is new in the file, which has been read.
func (f *File) look(last state, text []byte, err error, update func([]string)) state {
	if err == nil && last.text != nil && bytes.Equal(text, last.text) {
		return last
	}
	var addrs rpc.StaticResolver
	if err == nil {
		addrs, err = parseLines(f.Path, text)
	}
	if f.OnError != nil && fmt.Sprint(err) != fmt.Sprint(last.err) {
		f.OnError(err)
	}
	if err != nil {
		return state{err: err, list: last.list}
	}
	update(addrs)
	return state{text: text, list: addrs}
}

// readFile refuses what is no file before it opens that: a pipe would wait for a
// writer.
func readFile(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("static: %s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	return text, nil
}

func parseLines(path string, text []byte) (rpc.StaticResolver, error) {
	var addrs rpc.StaticResolver
	seen := map[string]bool{}
	number := 0
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // some editors begin files so
	for line := range strings.Lines(string(text)) {
		number++
		addr := withoutComment(line)
		if addr == "" {
			continue
		}
		if err := add(&addrs, seen, addr); err != nil {
			return nil, fmt.Errorf("static: %s:%d: %w", path, number, err)
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w in %s", errNone, path)
	}
	return addrs, nil
}

// withoutComment leaves alone a # within a path.
func withoutComment(line string) string {
	if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
		return ""
	}
	for _, begin := range []string{" #", "\t#"} {
		line, _, _ = strings.Cut(line, begin)
	}
	return strings.TrimSpace(line)
}
