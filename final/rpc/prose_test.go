package rpc_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// What pages and comments claim, and a machine can look up.

// module is the import path that stands for the folder above this one.
const module = "example.com/rpc-from-scratch/final"

// goFiles calls f for each Go file of final, but for those of the workshop and the
// benchmark, which speak of other packages called rpc.
func goFiles(t *testing.T, f func(path string, file *ast.File)) {
	t.Helper()
	files, err := parsedFiles()
	require.NoError(t, err)
	for path, file := range files {
		f(path, file)
	}
}

// parsedFiles parses the files of goFiles: once, since three tests look at them.
var parsedFiles = sync.OnceValues(func() (map[string]*ast.File, error) {
	files := map[string]*ast.File{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "workshop" || d.Name() == "bench" || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(path) == ".go":
			files[filepath.ToSlash(path)], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		}
		return err
	})
	return files, err
})

// "It needs the standard library only."
func TestCore_NeedsTheStandardLibraryOnly(t *testing.T) {
	goFiles(t, func(path string, file *ast.File) {
		inCore := strings.HasPrefix(path, "../rpc/") && strings.Count(path, "/") == 2 || strings.HasPrefix(path, "../internal/wire/") || strings.HasPrefix(path, "../internal/bytepool/")
		if !inCore || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			first, _, _ := strings.Cut(name, "/")
			assert.True(t, !strings.Contains(first, ".") || strings.HasPrefix(name, module+"/internal/"), "%s imports %s", path, name)
		}
	})
}

// An example is copied: it must not use a result of a call that may have failed.
func TestExamples_LookAtTheErrorFirst(t *testing.T) {
	examples := 0
	goFiles(t, func(path string, file *ast.File) {
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Example") {
				continue
			}
			examples++
			ast.Inspect(fn, func(n ast.Node) bool {
				if block, ok := n.(*ast.BlockStmt); ok {
					for i := range block.List[:max(0, len(block.List)-1)] {
						assert.False(t, usesUnchecked(block.List[i], block.List[i+1]), "%s: %s", path, fn.Name.Name)
					}
				}
				return true
			})
		}
	})
	assert.Greater(t, examples, 10)
}

// usesUnchecked reports whether a call's result and error are set by the first
// statement, and the second one takes a field or method of the result without
// having looked at the error.
func usesUnchecked(set, then ast.Stmt) bool {
	assign, ok := set.(*ast.AssignStmt)
	if !ok || len(assign.Lhs) != 2 {
		return false
	}
	result, isName := assign.Lhs[0].(*ast.Ident)
	err, isErr := assign.Lhs[1].(*ast.Ident)
	if _, isIf := then.(*ast.IfStmt); isIf || !isName || !isErr || err.Name != "err" {
		return false
	}
	used := false
	ast.Inspect(then, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, ok := s.X.(*ast.Ident)
			used = used || ok && x.Name == result.Name
		}
		return true
	})
	return used
}

// A name such as rpc.Dial, or more rpc.Servers, in README.md, PROTOCOL.md or a comment is one that
// there is.
func TestProse_NamesWhatThereIs(t *testing.T) {
	exported := map[string]map[string]bool{}
	comments := map[string]string{}
	goFiles(t, func(path string, file *ast.File) {
		for _, group := range file.Comments {
			comments[path] += group.Text()
		}
		pkg := file.Name.Name
		if strings.HasSuffix(path, "_test.go") || pkg == "main" {
			return
		}
		if exported[pkg] == nil {
			exported[pkg] = map[string]bool{}
		}
		for name := range file.Scope.Objects {
			exported[pkg][name] = true
		}
	})
	comments["README.md"] = readText(t, "..", "README.md")
	comments["PROTOCOL.md"] = readText(t, "..", "PROTOCOL.md")
	qualified := regexp.MustCompile(`(?:^|[^\w./"-])([a-z]\w*)\.([A-Z]\w*)`)
	found := 0
	for path, text := range comments {
		if strings.HasSuffix(path, ".pb.go") {
			continue // which speaks of the packages of its .proto
		}
		for _, m := range qualified.FindAllStringSubmatch(text, -1) {
			if names := exported[m[1]]; names != nil {
				found++
				assert.True(t, names[m[2]] || names[strings.TrimSuffix(m[2], "s")], "%s: there is no %s.%s", path, m[1], m[2])
			}
		}
	}
	assert.Greater(t, found, 100)
}

// "Each is a package of its own, with an example in its documentation."
func TestREADME_MiddlewareHasExamples(t *testing.T) {
	_, text, _ := strings.Cut(readText(t, "..", "README.md"), "\n## Middleware and transports")
	text, _, _ = strings.Cut(text, "\n## ")
	rows := 0
	for _, row := range tableRows(text) {
		folder := regexp.MustCompile("^`([a-z0-9/]+)`").FindStringSubmatch(row[0])
		if folder == nil {
			continue
		}
		rows++
		assert.Contains(t, readText(t, "..", filepath.FromSlash(folder[1]), "example_test.go"), "func Example", folder[1])
	}
	assert.Equal(t, 10, rows)
}

// PROTOCOL.md: "A server checks a request in this order and answers with the first
// thing that is wrong". Each call here has all the faults that come later in it.
func TestPROTOCOL_RequestsAreCheckedInItsOrder(t *testing.T) {
	text := strings.Join(strings.Fields(readText(t, "..", "PROTOCOL.md")), " ")
	require.Contains(t, text, "its frame, its ID, its metadata, its method, the calls in flight on the connection, "+
		"authorisation, the calls on the whole server, its params.")
	running := make(chan struct{})
	srv := rpc.NewServer(rpc.WithMaxHandlers(1), rpc.WithMaxMetadata(32), rpc.WithAuthorize(func(_ context.Context, method string) (rpc.Identity, error) {
		if method == "Test.Denied" {
			return rpc.Identity{}, rpc.PermissionDenied
		}
		return rpc.Identity{}, nil
	}))
	defer srv.Close()
	double := func(n int) int { return 2 * n }
	require.NoError(t, srv.RegisterFunc("Test.Denied", double))
	require.NoError(t, srv.RegisterFunc("Test.Double", double))
	require.NoError(t, srv.RegisterFunc("Test.Hang", func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}))
	here, there := net.Pipe()
	go srv.ServeConn(there)
	client := rpc.NewClient(here, rpc.WithMaxAttempts(1))
	defer client.Close()
	require.ErrorIs(t, client.Call(t.Context(), "Test.Double", "no number", nil), rpc.InvalidArgument)
	ctx, cancel := context.WithCancel(t.Context())
	hung := client.Go(ctx, "Test.Hang", nil, nil)
	<-running

	long := rpc.AddMetadata(t.Context(), rpc.Metadata{"key": strings.Repeat("x", 32)})
	for _, c := range []struct {
		ctx    context.Context
		method string
		want   string
	}{
		{long, "Test.Nope", "resource_exhausted: metadata of "},
		{t.Context(), "Test.Nope", "unimplemented: method not found"},
		{t.Context(), "Test.Denied", "permission_denied"},
		{t.Context(), "Test.Double", "resource_exhausted: more than 1 calls are running on this server"},
	} {
		assert.ErrorContains(t, client.Call(c.ctx, c.method, "no number", nil), c.want, c.method)
	}
	cancel()
	<-hung.Done()
}
