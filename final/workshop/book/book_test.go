package book

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// made is the book of the course, made once for all tests.
var made = sync.OnceValues(func() (made struct {
	*Book
	files map[string][]byte
}, err error) {
	root, err := course.Root(".")
	if err == nil {
		made.Book, err = Load(root)
	}
	if err == nil {
		made.files, err = made.Files()
	}
	return made, err
})

func TestBook_HasEachPageOfTheCourse(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	for _, want := range []string{"README.md", "final/README.md", "final/PROTOCOL.md", "final/SECURITY.md", "final/CHANGELOG.md", "final/workshop/README.md",
		"final/workshop/guide/INSTRUCTOR.md", "final/workshop/guide/glossary.md", "final/workshop/tour/README.md", "final/workshop/tour/10-group-commit.md",
		"final/workshop/bridge/pool/README.md", "final/workshop/museum/leak/README.md", "step05-context-timeouts/README.md", "step05-context-timeouts/STATES.md", "step07-inventory-app/EXERCISES.md"} {
		assert.NotNil(t, b.bySource[want], want)
	}
	for _, s := range course.Stations {
		p := b.bySource[s.Page()]
		require.NotNil(t, p, s.Name)
		require.NotNil(t, p.Station, s.Name)
		assert.Equal(t, s.Name, p.Station.Name)
		assert.Equal(t, Markdown, p.Kind)
	}
	assert.Contains(t, b.files, "final/rpc/doc.html")
	assert.Contains(t, b.files, "changes.html")
}

func TestBook_IsReadFromTheFirstPageToTheLast(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	seen := map[*Page]bool{}
	p := b.Pages[0]
	assert.Equal(t, Home, p.Kind)
	assert.Nil(t, p.Previous)
	for ; p != nil; p = p.Next {
		require.False(t, seen[p], p.Path)
		seen[p] = true
		if p.Next != nil {
			assert.Same(t, p, p.Next.Previous)
		}
	}
	for _, part := range b.Parts {
		assert.NotEmpty(t, part.Pages, part.Title)
		for _, p := range part.Pages {
			assert.True(t, seen[p], p.Path)
		}
	}
}

// Each link leads somewhere, and each element ends where it has to, so that no browser has
// to guess.
func TestBook_NothingIsWrong(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	assert.Empty(t, b.problems(b.files))
}

// Browsers load neither modules nor data from the file system, and there is no network.
func TestBook_NeedsNoServer(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	for name, p := range lookAt(b.files) {
		for _, file := range p.loads {
			assert.NotNil(t, b.files[path.Join(path.Dir(name), file)], "%s loads %s", name, file)
		}
		if bytes.Contains(b.files[name], []byte(`type="module"`)) {
			t.Errorf("%s has a module", name)
		}
	}
	for name, data := range b.files {
		switch path.Ext(name) {
		case ".css":
			assert.NotRegexp(t, `url\((?:"|')?(?:https?:|/)|@import`, string(data), name)
		case ".js":
			if name != searchIndex {
				assert.NotRegexp(t, `\bfetch\(|XMLHttpRequest|\bimport\b`, string(data), name)
			}
		}
	}
}

func TestBook_IsSmall(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	scripts := 0
	for name, data := range b.files {
		if path.Ext(name) == ".js" && name != searchIndex { // which is loaded by those who search
			scripts += len(data)
		}
	}
	s := b.summary(b.files)
	t.Logf("%d pages, %d files, %d bytes; scripts of a page: %d bytes; index of the search: %d bytes", s.Pages, s.Files, s.Bytes, scripts, len(b.files[searchIndex]))
	assert.Less(t, s.Bytes, int64(15e6))
	assert.Less(t, scripts, 100_000)
}

func TestWrongLink(t *testing.T) {
	files := map[string][]byte{"a/b.html": {}, "c.html": []byte(`<p id="d">`)}
	pages := lookAt(files)
	for link, want := range map[string]string{
		"../c.html": "", "../c.html#d": "", "https://go.dev": "", "../c.html#e": "there is no such place", "c.html": "there is no such file", "mailto:x": "it leads out of the book",
	} {
		assert.Equal(t, want, wrongLink(files, pages, "a/b.html", link), link)
	}
}

func TestWrongNesting(t *testing.T) {
	for page, want := range map[string]string{
		"<ul><li><p>a</p></li></ul><br>":  "",
		"<p>a<div></div></p>":             "<div> within p",
		"<div><p>a</div>":                 "</div> within div p",
		"<div>":                           "div",
		"<div><li>a</li></div>":           "<li> within div",
		`<a href="x"><b><a>a</a></b></a>`: "<a> within a b",
	} {
		assert.Equal(t, want, wrongNesting(page), page)
	}
}

func TestSearch_KnowsPagesSectionsAndDeclarations(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	text := strings.TrimSuffix(strings.TrimPrefix(string(b.files[searchIndex]), "window.bookIndex="), ";\n")
	var x struct {
		Pages    [][3]string
		Sections [][4]any
	}
	require.NoError(t, json.Unmarshal([]byte(text), &x))
	groups := map[string]string{}
	for _, p := range x.Pages {
		groups[p[0]] = p[2]
	}
	assert.Equal(t, "The steps", groups["step02-json-protocol/index.html"])
	assert.Equal(t, "Code", groups["step02-json-protocol/rpc/protocol.go.html"])
	assert.Equal(t, "Glossary", groups["final/workshop/guide/glossary.html"])
	assert.Equal(t, "Beside the lessons", groups["step05-context-timeouts/5c-in-flight/hints.html"])
	found := map[string]string{}
	for _, s := range x.Sections {
		page := x.Pages[int(s[0].(float64))]
		require.Contains(t, b.files, page[0])
		found[page[0]+"#"+s[1].(string)] = s[2].(string) + "\n" + s[3].(string)
	}
	assert.Contains(t, found["step02-json-protocol/index.html#two-messages"], "Two messages\nRead the types in rpc/protocol.go. The text")
	assert.Contains(t, found, "step02-json-protocol/rpc/protocol.go.html#readRequest")
	assert.Contains(t, found["final/rpc/doc.html#Server.Shutdown"], "Server.Shutdown\n")
	assert.Contains(t, found["final/rpc/doc.html#Stream"], "what Sender and Receiver are around", "as it reads, without the brackets of links")
	assert.Equal(t, "drain\n05: to finish the calls that have begun, and then shut down.", found["final/workshop/guide/glossary.html#term-drain"])
}

func TestWrite_WantsAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.txt"), nil, 0o666))
	_, err := new(Book).Write(dir)
	assert.ErrorContains(t, err, "is not empty: name a new folder")
	_, err = new(Book).WriteZip(filepath.Join(dir, "mine.txt"))
	assert.ErrorContains(t, err, "is there already")
}

func TestTextFiles_LeavesOutWhatIsNotTheCourses(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"README.md", "final/rpc/server.go", ".git/config.txt", "mine/.workshop.json", "mine/rpc/server.go", "final/demo.exe", ".ci/run"} {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, nil, 0o666))
	}
	names, err := textFiles(root)
	require.NoError(t, err)
	assert.Equal(t, []string{".ci/run", "README.md", "final/rpc/server.go"}, names)
}

// The cheat sheet has the kinds of frames as the protocol's page has them.
func TestCheatSheet_HasTheProtocolsFrames(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	kinds := func(name string) (found [][]string) {
		l, err := lesson.Load(b.Root, name)
		require.NoError(t, err)
		for _, table := range l.Tables {
			if table.Header[0] != "kind" || table.Header[1] != "name" {
				continue
			}
			for _, row := range table.Rows {
				if row[1] != "" { // not a reserved one
					found = append(found, []string{row[0], row[1], row[2], row[len(row)-1]})
				}
			}
		}
		return found
	}
	want := kinds("final/PROTOCOL.md")
	require.NotEmpty(t, want)
	assert.Equal(t, want, kinds(cheatPage))
}
