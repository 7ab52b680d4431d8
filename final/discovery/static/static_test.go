package static

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		list string
		want rpc.StaticResolver
		err  string
	}{
		{list: "10.0.0.1:7000", want: rpc.StaticResolver{"10.0.0.1:7000"}},
		{list: " a-b_c.example:1 ,\t[::1]:65535, unix:/tmp/a b.sock", want: rpc.StaticResolver{"a-b_c.example:1", "[::1]:65535", "unix:/tmp/a b.sock"}},
		{list: "[fe80::1%eth0]:7000", want: rpc.StaticResolver{"[fe80::1%eth0]:7000"}},
		{list: "", err: "static: no address"},
		{list: " \n", err: "static: no address"},
		{list: "a:1,,b:2", err: `static: address "": want host:port, or unix:path; an IPv6 host stands in brackets`},
		{list: "a:1,", err: `static: address "": want host:port, or unix:path; an IPv6 host stands in brackets`},
		{list: "a", err: `static: address "a": want host:port, or unix:path; an IPv6 host stands in brackets`},
		{list: "::1:7000", err: `static: address "::1:7000": want host:port, or unix:path; an IPv6 host stands in brackets`},
		{list: ":7000", err: `static: address ":7000": want a host name or an IP address before the port`},
		{list: "a b:7000", err: `static: address "a b:7000": want a host name or an IP address before the port`},
		{list: "http://a:7000", err: `static: address "http://a:7000": want host:port, or unix:path; an IPv6 host stands in brackets`},
		{list: "a/b:7000", err: `static: address "a/b:7000": want a host name or an IP address before the port`},
		{list: "a\x00:1", err: `static: address "a\x00:1": want a host name or an IP address before the port`},
		{list: "a\r\nb:1", err: `static: address "a\r\nb:1": want a host name or an IP address before the port`},
		{list: strings.Repeat("a", 254) + ":1", err: `static: address "` + strings.Repeat("a", 254) + `:1": want a host name or an IP address before the port`},
		{list: "a:", err: `static: address "a:": want a port from 1 to 65535`},
		{list: "a:0", err: `static: address "a:0": want a port from 1 to 65535`},
		{list: "a:65536", err: `static: address "a:65536": want a port from 1 to 65535`},
		{list: "a:-1", err: `static: address "a:-1": want a port from 1 to 65535`},
		{list: "a:http", err: `static: address "a:http": want a port from 1 to 65535`},
		{list: "unix:", err: `static: address "unix:": want unix: and a path`},
		{list: "unix:a\x00b", err: `static: address "unix:a\x00b": want unix: and a path`},
		{list: "a:1,b:2,A:1", err: `static: address "A:1" is there twice`},
		{list: "unix:a,unix:A", want: rpc.StaticResolver{"unix:a", "unix:A"}},
	} {
		addrs, err := Parse(c.list)
		assert.Equal(t, c.want, addrs, "%q", c.list)
		if c.err == "" {
			assert.NoError(t, err, "%q", c.list)
		} else {
			assert.EqualError(t, err, c.err, "%q", c.list)
		}
	}
}

// watched is a File in a bubble, and what it has said.
type watched struct {
	t    *testing.T
	path string

	mu   sync.Mutex
	said []any // []string from update, string or nil from OnError
}

func (w *watched) hear(said any) {
	w.mu.Lock()
	w.said = append(w.said, said)
	w.mu.Unlock()
}

func watch(t *testing.T, text string) *watched {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "servers.txt")}
	w.write(text)
	file := &File{Path: w.path, OnError: func(err error) {
		if err == nil {
			w.hear(nil)
			return
		}
		w.hear(strings.ReplaceAll(err.Error(), w.path, "FILE"))
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- file.Resolve(ctx, func(addrs []string) { w.hear(append([]string{}, addrs...)) }) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	synctest.Wait()
	return w
}

func (w *watched) write(text string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path, []byte(text), 0o600))
}

// news returns what was said until the next look at the file.
func (w *watched) news() []any {
	<-time.After(time.Second)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

func TestFile_IsReadAgainWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, "\uFEFF# our servers\r\n\r\na:1 # the old one\r\nunix:/run/a#1\t# a path\r\n")
		assert.Equal(t, []any{[]string{"a:1", "unix:/run/a#1"}}, w.news())
		assert.Empty(t, w.news(), "nothing new")
		w.write("a:1\nb:2\n")
		assert.Equal(t, []any{[]string{"a:1", "b:2"}}, w.news())
		w.write("c:3")
		assert.Equal(t, []any{[]string{"c:3"}}, w.news())
	})
}

func TestFile_ThatIsWrongChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, "a:1\n")
		assert.Equal(t, []any{[]string{"a:1"}}, w.news())
		w.write("")
		assert.Equal(t, []any{"static: no address in FILE"}, w.news())
		assert.Empty(t, w.news(), "told once")
		w.write("a:1\n\nb\n")
		assert.Equal(t, []any{`static: FILE:3: address "b": want host:port, or unix:path; an IPv6 host stands in brackets`}, w.news())
		w.write("a:1\na:1\n")
		assert.Equal(t, []any{`static: FILE:2: address "a:1" is there twice`}, w.news())
		w.write("#" + strings.Repeat("x", maxFile))
		assert.Equal(t, []any{"static: FILE has more than 1048576 bytes"}, w.news())
		require.NoError(t, os.Remove(w.path))
		news := w.news()
		require.Len(t, news, 1)
		assert.Contains(t, news[0], "static: open FILE: ")
		w.write("b:2")
		assert.Equal(t, []any{nil, []string{"b:2"}}, w.news())
	})
}

func TestFile_ManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		for i := range 10_000 {
			lines.WriteString("10.0." + strconv.Itoa(i/250) + "." + strconv.Itoa(i%250) + ":7000\n")
		}
		w := watch(t, lines.String())
		news := w.news()
		require.Len(t, news, 1)
		assert.Len(t, news[0], 10_000)
	})
}

func TestFile_MissingAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &File{Path: filepath.Join(t.TempDir(), "none.txt"), Every: time.Minute}
		pool := rpc.NewPool(file)
		defer pool.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := pool.Call(ctx, "Inventory.CheckStock", "item1", nil)
		assert.ErrorIs(t, err, rpc.DeadlineExceeded, "it waits for the file")
		assert.ErrorContains(t, err, "static: open "+file.Path, "and says so")
	})
}

// A pool calls Resolve again for as long as there is no list. OnError does not notice.
func TestFile_WhatIsWrongAtFirstIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "servers.txt")
		var said []string
		file := &File{Path: path, OnError: func(err error) { said = append(said, strings.ReplaceAll(fmt.Sprint(err), path, "FILE")) }}
		pool := rpc.NewPool(file, rpc.WithBackoff(time.Millisecond, 100*time.Millisecond))
		<-time.After(10 * time.Second)
		require.NoError(t, os.WriteFile(path, []byte("# none yet"), 0o600))
		<-time.After(10 * time.Second)
		require.NoError(t, os.WriteFile(path, []byte("a:1"), 0o600))
		<-time.After(10 * time.Second)
		assert.Len(t, pool.Members(), 1)
		require.NoError(t, os.Remove(path))
		<-time.After(10 * time.Second)
		assert.Len(t, pool.Members(), 1)
		pool.Close()
		synctest.Wait()
		missing := "static: open FILE: no such file or directory"
		assert.Equal(t, []string{missing, "static: no address in FILE", "<nil>", missing}, said)
	})
}
