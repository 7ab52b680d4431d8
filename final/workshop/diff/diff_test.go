package diff

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fatih/color"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// write makes a course in which the stations of the names given have the files
// given: "step02-json-protocol/rpc/server.go". go.mod and lessons are added.
func write(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, s := range course.Stations {
		files[s.Step+"/go.mod"] = "module " + s.Module() + "\n"
		if lesson := s.Page(); files[lesson] == "" {
			files[lesson] = "# A lesson\n"
		}
	}
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	return root
}

func station(t *testing.T, name string) course.Station {
	t.Helper()
	s, err := course.Find(name)
	require.NoError(t, err)
	return s
}

func between(t *testing.T, root, from, to string) *Diff {
	t.Helper()
	d, err := Between(root, station(t, from), station(t, to))
	require.NoError(t, err)
	return d
}

func TestBetween_FoldsModulePathsBack(t *testing.T) {
	const program = "package main\n\nimport \"example.com/rpc-from-scratch/%s/cmd\"\n\nfunc main() { cmd.Server() }\n"
	root := write(t, map[string]string{
		"step01-tcp-server/rpc/a.go":              "package rpc\n",
		"step01-tcp-server/cmd/server/main.go":    fmt.Sprintf(program, "step01-tcp-server"),
		"step02-json-protocol/rpc/a.go":           "package rpc\r\n",
		"step02-json-protocol/cmd/server/main.go": strings.ReplaceAll(fmt.Sprintf(program, "step02-json-protocol"), "\n", "\r\n"),
	})
	assert.Equal(t, "01 and 02 are the same.\n", between(t, root, "01", "02").String())
}

func TestBetween_LeavesOutTheArticlesWayAndTheLesson(t *testing.T) {
	root := write(t, map[string]string{
		"step01-tcp-server/rpc/naive_test.go":    "package rpc\n",
		"step01-tcp-server/README.md":            "# One\n",
		"step02-json-protocol/rpc/naive_test.go": "package rpc // another\n",
		"step02-json-protocol/EXERCISES.md":      "# Two\n",
	})
	assert.Empty(t, between(t, root, "01", "02").Files)
}

func TestBetween_ComparesACheckpointWithAStep(t *testing.T) {
	root := write(t, map[string]string{
		"step03-client/rpc/client.go":               "package rpc\n",
		"step03-client/cmd/server.go":               "package cmd\n",
		"step04-registry/4a-functions/rpc/a.go":     "package rpc\n",
		"step04-registry/4a-functions/rpc/a.go.txt": "",
		"step04-registry/rpc/a.go":                  "package rpc // all\n",
		"step04-registry/cmd/server.go":             "package cmd // more\n",
	})
	d := between(t, root, "03", "4a")
	assert.Equal(t, "rpc/a.go\nrpc/client.go\nrpc/a.go.txt\n", d.Names(), "cmd/ is as it was")
	assert.True(t, d.Files[0].IsNew())
	assert.True(t, d.Files[1].IsGone())
	assert.Equal(t, "rpc/a.go\ncmd/server.go\nrpc/a.go.txt\n", between(t, root, "4a", "4b").Names(), "cmd/ comes with the last")
}

func TestBetween_SaysWhatIsMissing(t *testing.T) {
	root := write(t, map[string]string{"step03-client/rpc/a.go": ""})
	_, err := Between(root, station(t, "03"), station(t, "4a"))
	assert.EqualError(t, err, "station 4a is not in this clone: there is no step04-registry/4a-functions/rpc")
}

func TestBetween_OrdersFilesAsTheLessonDoes(t *testing.T) {
	files := map[string]string{
		"step01-tcp-server/rpc/a.go": "",
		"step02-json-protocol/README.md": "```go type rpc/z.go Z\n```\n\n```diff read rpc/y.go Y\n```\n\n" +
			"```go read /final/rpc/x.go\n```\n\n```go copy 01:rpc/w.go W\n```\n\n```console\n```\n",
	}
	for _, name := range []string{"rpc/a_test.go", "rpc/b.go", "rpc/w.go", "rpc/x.go", "rpc/y.go", "rpc/z.go",
		"cmd/c.go", "testdata/script/s.txtar", "inventory/stock.json"} {
		files["step02-json-protocol/"+name] = "new\n"
	}
	files["step02-json-protocol/rpc/a.go"] = ""
	assert.Equal(t, []string{"rpc/z.go", "rpc/y.go", "rpc/w.go", "rpc/b.go", "rpc/x.go", "cmd/c.go",
		"rpc/a_test.go", "testdata/script/s.txtar", "inventory/stock.json"},
		strings.Fields(between(t, write(t, files), "01", "02").Names()))
}

func TestString_ShowsTheFunctionAroundAChange(t *testing.T) {
	long := strings.Repeat("\twork()\n", 60)
	source := func(short, tail string) string {
		return "package rpc\n\n// Long works.\nfunc Long() {\n" + long + tail + "}\n\n" +
			"// Short returns\n// a number.\nfunc Short() int {\n\tn := 1\n\tn++\n\tn++\n\tn++\n\tn++\n" + short + "}\n\nvar last = 1\n"
	}
	root := write(t, map[string]string{
		"step01-tcp-server/rpc/a.go":    source("\treturn n\n", ""),
		"step02-json-protocol/rpc/a.go": source("\treturn n + 1\n", "\tmore()\n"),
	})
	assert.Equal(t, `01 → 02: 1 file of code, +2 -1
  rpc/a.go    +2    -1

--- 01/rpc/a.go
+++ 02/rpc/a.go
@@ -62,15 +62,16 @@ func Long() {
 	work()
 	work()
 	work()
+	more()
 }
 
 // Short returns
 // a number.
 func Short() int {
 	n := 1
 	n++
 	n++
 	n++
 	n++
-	return n
+	return n + 1
 }
`, between(t, root, "01", "02").String())
}

func TestString_NewGoneAndOddFiles(t *testing.T) {
	root := write(t, map[string]string{
		"step01-tcp-server/rpc/gone.go":         "package rpc\n",
		"step01-tcp-server/rpc/same.go":         "package rpc\n",
		"step01-tcp-server/testdata/data":       "\x00\r\n1",
		"step02-json-protocol/rpc/new_test.go":  "package rpc\n\nvar a = 1",
		"step02-json-protocol/rpc/same.go":      "package rpc\n",
		"step02-json-protocol/testdata/data":    "\x00\r\n2",
		"step02-json-protocol/testdata/.hidden": "",
	})
	assert.Equal(t, `01 → 02: 1 file of code, +0 -1; 2 files of tests, +3 -0
  rpc/gone.go        +0    -1  gone
  rpc/new_test.go    +3    -0  new
  testdata/data      +0    -0  no text

--- 01/rpc/gone.go
+++ /dev/null
@@ -1 +0,0 @@
-package rpc

--- /dev/null
+++ 02/rpc/new_test.go
@@ -0,0 +1,3 @@
+package rpc
+
+var a = 1
\ No newline at end of file

Binary files 01/testdata/data and 02/testdata/data differ
`, between(t, root, "01", "02").String())
}

// What is kept in a file has no colours, wherever the tool runs.
func TestString_HasNoColours(t *testing.T) {
	was := color.NoColor
	color.NoColor = false
	t.Cleanup(func() { color.NoColor = was })
	d := between(t, write(t, map[string]string{
		"step01-tcp-server/rpc/a.go":    "package rpc\n\nvar a = 1\n",
		"step02-json-protocol/rpc/a.go": "package rpc\n\nvar a = 2\n",
	}), "01", "02")
	assert.NotContains(t, d.String(), "\x1b")
	assert.NotContains(t, d.Stat(), "\x1b")
	assert.Contains(t, d.ColouredStat(), "\x1b[32m+1\x1b[0m \x1b[31m-1\x1b[0m")
	assert.Contains(t, d.Coloured(), "\x1b[31m-var a = 1\x1b[0m\n\x1b[32m+var a = 2\x1b[0m\n")
}

func TestOnly(t *testing.T) {
	files := map[string]string{"step01-tcp-server/rpc/a.go": "1"}
	for _, name := range []string{"rpc/a.go", "rpc/b.go", "cmd/b.go"} {
		files["step02-json-protocol/"+name] = "2"
	}
	files["step01-tcp-server/rpc/c.go"], files["step02-json-protocol/rpc/c.go"] = "3", "3"
	root := write(t, files)
	for name, want := range map[string]string{
		"rpc/b.go": "rpc/b.go\n", "b.go": "rpc/b.go\ncmd/b.go\n", "rpc/": "rpc/a.go\nrpc/b.go\n", "./cmd": "cmd/b.go\n",
	} {
		d := between(t, root, "01", "02")
		require.NoError(t, d.Only(name))
		assert.Equal(t, want, d.Names(), name)
	}
	err := between(t, root, "01", "02").Only("a.go", "c.go")
	assert.EqualError(t, err, `c.go is the same in 01 and 02: "go tool workshop diff -name-only 01 02" lists the files that differ`)
	err = between(t, root, "01", "02").Only("d.go")
	assert.EqualError(t, err, `neither 01 nor 02 has a file d.go: "go tool workshop diff -name-only 01 02" lists the files that differ`)
	err = between(t, root, "01", "02").Only("rpc/naive_test.go")
	assert.EqualError(t, err, `diff leaves out rpc/naive_test.go, the article's way: "go tool workshop diff -name-only 01 02" lists the files that differ`)
}

// What is shown of the real course is true: with its lines put in and taken out,
// the one station becomes the other.
func TestBetween_OfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	pairs := [][2]course.Station{{station(t, "07"), station(t, "02")}, {station(t, "03"), station(t, "6a")}}
	for _, s := range course.Stations[1:] {
		before, _ := s.Previous()
		pairs = append(pairs, [2]course.Station{before, s})
	}
	for _, pair := range pairs {
		from, to := pair[0], pair[1]
		before, err := from.Files(root, from.Module())
		require.NoError(t, err)
		after, err := to.Files(root, from.Module())
		require.NoError(t, err)
		d := between(t, root, from.Name, to.Name)
		require.NotEmpty(t, d.Files)
		for _, f := range d.Files {
			var old, now strings.Builder
			changes, shown := 0, 0
			for _, l := range f.lines {
				if l.op != added {
					old.WriteString(l.text)
				}
				if l.op != deleted {
					now.WriteString(l.text)
				}
				if l.op != same {
					changes++
				}
			}
			for i, h := range f.hunks {
				require.True(t, i == 0 || h.start > f.hunks[i-1].end, "hunks overlap")
				for _, l := range f.lines[h.start:h.end] {
					if l.op != same {
						shown++
					}
				}
			}
			assert.Equal(t, string(before[f.Name]), old.String(), f.Name)
			assert.Equal(t, string(after[f.Name]), now.String(), f.Name)
			assert.Equal(t, changes, shown, f.Name)
			assert.NotContains(t, f.Name, "naive_test.go")
		}
	}
}
