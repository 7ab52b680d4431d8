package pack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
}

// unpack unpacks a zip into dir, as unzip does.
func unpack(t *testing.T, name, dir string) {
	t.Helper()
	r, err := zip.OpenReader(name)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, os.CopyFS(dir, r))
}

// The whole story: packed here, unpacked elsewhere, used with an empty module
// cache and a network that refuses.
func TestWrite_WorksWithoutANetwork(t *testing.T) {
	seldom.Test(t)
	root, err := course.Root(".")
	require.NoError(t, err)
	t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), "none")) // files that git does not keep yet are packed, too
	name := filepath.Join(t.TempDir(), "course.zip")
	summary, err := Write(t.Context(), root, name, Options{})
	require.NoError(t, err)
	assert.Greater(t, summary.Modules, 10)
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, info.Size(), summary.Bytes)

	room := filepath.Join(t.TempDir(), "a room") // with a space in its name
	unpack(t, name, room)
	dir := filepath.Join(room, Folder)
	assert.NoDirExists(t, filepath.Join(dir, ".git"))
	assert.FileExists(t, filepath.Join(dir, Book, "index.html"))
	assert.FileExists(t, filepath.Join(dir, Book, "step01-tcp-server", "rpc", "server.go.html"))
	for _, peer := range []string{"google.golang.org/grpc", "storj.io/drpc"} {
		zips, err := filepath.Glob(filepath.Join(dir, Modules, filepath.FromSlash(peer), "@v", "*.zip"))
		require.NoError(t, err)
		assert.Empty(t, zips, "the benchmark's peers were not asked for")
	}

	env := append(os.Environ(),
		"GOENV="+filepath.Join(room, "env"), // go env -w, as told, but not for this machine
		"GOMODCACHE="+filepath.Join(room, "cache"), "GOFLAGS=-modcacherw -trimpath",
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "NO_PROXY=")
	env = slices.DeleteFunc(env, func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return slices.Contains([]string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOTOOLCHAIN", "GOWORK"}, name)
	})
	run := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = filepath.Join(dir, in), env
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", args, out)
		return string(out)
	}
	run(".", append([]string{"env", "-w", "GOPROXY=" + told(t, dir)}, strings.Fields(settings)...)...)
	assert.Contains(t, run("step01-tcp-server", "test", "-timeout", "60s", "./rpc"), "ok")
	assert.Contains(t, run("final", "tool", "workshop", "list"), "tcp-server")
}

// told returns the GOPROXY that the archive's own text has sh set in dir.
func told(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, commandsFile))
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), `"GOPROXY=`)
	require.True(t, ok)
	value, _, _ := strings.Cut(after, `"`)
	pwd := filepath.ToSlash(dir)
	if !strings.HasPrefix(pwd, "/") { // as PowerShell's text has it
		pwd = "/" + pwd
	}
	return strings.ReplaceAll(value, "$PWD", pwd)
}

func TestWrite_Refuses(t *testing.T) {
	dir := t.TempDir()
	_, err := Write(t.Context(), dir, filepath.Join(dir, "course.rar"), Options{})
	assert.ErrorContains(t, err, "has to end in .zip or .tar.gz")
	write(t, dir, "course.zip", "somebody's")
	_, err = Write(t.Context(), dir, filepath.Join(dir, "course.zip"), Options{})
	assert.ErrorContains(t, err, "is there already")
	data, err := os.ReadFile(filepath.Join(dir, "course.zip"))
	require.NoError(t, err)
	assert.Equal(t, "somebody's", string(data))
}

func TestWorkspaceFiles_WithoutGit(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"go.work", ".gitattributes", ".ci/run", "step01-tcp-server/rpc/server.go", ".git/config", "mine/rpc/server.go"} {
		write(t, root, name, "text\n")
	}
	write(t, root, "mine/"+progress.File, "{}")
	write(t, root, "server", "\x7fELF\x00\x01")
	names, err := walkFiles(root)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"go.work", ".gitattributes", ".ci/run", "step01-tcp-server/rpc/server.go"}, names)

	t.Setenv("PATH", "")
	again, err := workspaceFiles(t.Context(), root)
	require.NoError(t, err)
	assert.ElementsMatch(t, names, again)
	assert.True(t, slices.IsSorted(again))
}

func TestWorkspaceFiles_AsGitKeepsThem(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	root := t.TempDir()
	for _, name := range []string{"go.work", "final/go.mod", "removed.go", "notes.txt"} {
		write(t, root, name, "text\n")
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "go.work", "final", "removed.go"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		require.NoError(t, cmd.Run())
	}
	require.NoError(t, os.Remove(filepath.Join(root, "removed.go")))
	names, err := workspaceFiles(t.Context(), root)
	require.NoError(t, err)
	assert.Equal(t, []string{"final/go.mod", "go.work"}, names)
}

func TestCopyFiles_GivesTextsTheirOwnLineEnds(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, from, "a/text.txt", "one\r\ntwo\r\n")
	write(t, from, "data.bin", "one\r\n\x00")
	require.NoError(t, copyFiles(from, to, []string{"a/text.txt", "data.bin"}))
	for name, want := range map[string]string{"a/text.txt": "one\ntwo\n", "data.bin": "one\r\n\x00"} {
		data, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(name)))
		require.NoError(t, err)
		assert.Equal(t, want, string(data))
	}
}

var someFiles = []file{{"go.work", []byte("go 1.26.0\n"), false}, {".ci/run", []byte("#!\n"), true}, {"modules/x/@v/v1.zip", []byte("PK"), false}}

// archived returns the bytes of an archive of files.
func archived(t *testing.T, name string, files []file) []byte {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "archive"))
	require.NoError(t, err)
	defer out.Close()
	require.NoError(t, writeArchive(out, name, files))
	data, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	return data
}

func TestWriteArchive_SameFilesSameBytes(t *testing.T) {
	for _, name := range []string{"a.zip", "a.tar.gz", "a.tgz"} {
		assert.Equal(t, archived(t, name, someFiles), archived(t, name, someFiles), name)
	}
}

func TestWriteArchive_Zip(t *testing.T) {
	data := archived(t, "a.zip", someFiles)
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var names []string
	for _, f := range r.File {
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{"rpc-from-scratch/go.work", "rpc-from-scratch/.ci/run", "rpc-from-scratch/modules/x/@v/v1.zip"}, names)
	assert.Equal(t, os.FileMode(0o755), r.File[1].Mode())
	assert.Equal(t, zip.Store, r.File[2].Method)
}

func TestWriteArchive_Tar(t *testing.T) {
	gz, err := gzip.NewReader(bytes.NewReader(archived(t, "a.tar.gz", someFiles)))
	require.NoError(t, err)
	r := tar.NewReader(gz)
	for _, f := range someFiles {
		header, err := r.Next()
		require.NoError(t, err)
		assert.Equal(t, "rpc-from-scratch/"+f.name, header.Name)
		assert.Equal(t, f.mode(), header.Mode)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, f.data, data)
	}
	_, err = r.Next()
	assert.True(t, errors.Is(err, io.EOF))
}

func TestWriteArchive_RefusesPathsThatLeaveItsFolder(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "archive"))
	require.NoError(t, err)
	defer out.Close()
	for _, name := range []string{"../evil", "/etc/passwd", "a/../../b", ""} {
		assert.ErrorContains(t, writeArchive(out, "a.zip", []file{{name: name}}), "is no path for an archive", name)
	}
}

func TestCommands(t *testing.T) {
	assert.Contains(t, Commands("x.zip"), "    unzip -q x.zip && cd rpc-from-scratch\n")
	assert.Contains(t, Commands("x.zip"), "    Expand-Archive x.zip .; cd rpc-from-scratch\n")
	assert.Equal(t, 2, strings.Count(Commands("x.tar.gz"), "    tar -xzf x.tar.gz"))
	assert.NotContains(t, Commands("x.zip"), "SETTINGS")
	assert.Equal(t, "file:///a%20b/c", fileURL("/a b/c"))
}
