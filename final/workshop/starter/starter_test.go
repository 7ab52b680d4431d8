package starter

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// theCourse returns the root of the real course: these tests are about it.
func theCourse(t *testing.T) string {
	t.Helper()
	root, err := course.Root(".")
	require.NoError(t, err)
	return root
}

// station finds a station by its name.
func station(t *testing.T, name string) course.Station {
	t.Helper()
	s, err := course.Find(name)
	require.NoError(t, err)
	return s
}

// started returns a learner's folder for a station.
func started(t *testing.T, name string) (root, dir string) {
	t.Helper()
	root, dir = theCourse(t), filepath.Join(t.TempDir(), "mine")
	require.NoError(t, Write(root, station(t, name), dir))
	return root, dir
}

// read returns the text of a file of the learner's.
func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(text)
}

// One compile error hides every test's result: what start gives has to compile
// at every station, but for programs that use what is still to be written.
func TestWrite_CompilesAtEveryStation(t *testing.T) {
	seldom.Test(t)
	for _, s := range course.Stations {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			root, dir := started(t, s.Name)
			goBuild(t, dir, "rpc")
			if s.Name == "01" || s.Name == "02" || s.Name == "03" {
				goBuild(t, dir, "cmd")
			}
			require.NoError(t, Solve(root, s, dir))
			goBuild(t, dir, "cmd", "inventory", "orders")
		})
	}
}

// goBuild builds those packages of dir that are there. To link the programs, a line each, would take
// most of the time; and to compile what has been compiled in another folder, without -trimpath.
func goBuild(t *testing.T, dir string, rooms ...string) {
	t.Helper()
	args := []string{"build", "-trimpath"}
	for _, name := range rooms {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			args = append(args, "./"+name)
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=") // that of dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestWrite_GivesTheCodeBeforeStubsAndTests(t *testing.T) {
	root, dir := started(t, "03")

	before, err := os.ReadFile(filepath.Join(root, "step02-json-protocol", "rpc", "protocol.go"))
	require.NoError(t, err)
	assert.Equal(t, string(before), read(t, dir, "rpc/protocol.go"), "a file that exists is not prepared")

	client := read(t, dir, "rpc/client.go")
	assert.Contains(t, client, "// Dial connects to the server at the TCP address addr.\nfunc Dial(addr string) (*Client, error) {\n"+
		"\tconn, err := net.Dial(\"tcp\", addr)\n", "which is shipped")
	assert.Contains(t, client, "\treturn errors.New(\"rpc: Client.Call is yours to write (step 03)\")\n")
	assert.Contains(t, client, "\t// Yours to write (step 03).\n\treturn &Client{}\n", "nil would make tests panic")
	assert.Contains(t, client, "\tmu  sync.Mutex // held from a request to its response\n", "types are whole")
	assert.NotContains(t, client, "writeRequest")

	test, err := os.ReadFile(filepath.Join(root, "step03-client", "rpc", "client_test.go"))
	require.NoError(t, err)
	assert.Equal(t, string(test), read(t, dir, "rpc/client_test.go"))
	for _, name := range []string{"rpc/naive_test.go", "rpc/limits_test.go", "rpc/helpers_test.go", "testdata/script/call.txtar",
		"testdata/wire/json-lines.txt", "go.sum", "go.work.sum"} {
		assert.FileExists(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	assert.NoFileExists(t, filepath.Join(dir, "testdata", "wire", "gob.txt"), "of a later step")
	assert.NoFileExists(t, filepath.Join(dir, "EXERCISES.md"))

	assert.Contains(t, read(t, dir, "go.mod"), "module example.com/rpc-from-scratch/mine\n")
	assert.Contains(t, read(t, dir, "cmd/server.go"), "\t\"example.com/rpc-from-scratch/mine/rpc\"\n")
	assert.Contains(t, read(t, dir, "cmd/script_test.go"), "\t\"example.com/rpc-from-scratch/mine/cmd\"\n")
	assert.Contains(t, read(t, dir, "README.md"), filepath.Join(root, "step03-client", "README.md"))

	p, err := progress.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "03", p.Station)
}

func TestWrite_ProgramsOfACheckpoint(t *testing.T) {
	_, dir := started(t, "5c")
	assert.Contains(t, read(t, dir, "cmd/client.go"), "-timeout", "5b needs a context")
	assert.NotContains(t, read(t, dir, "cmd/server.go"), "Shutdown", "which comes with 5f")
	assert.NoFileExists(t, filepath.Join(dir, "testdata", "script", "timeout.txtar"))
}

// What teaches nothing is not copied by hand: the programs are whole, and some
// functions beside the stubs.
func TestWrite_ShipsTheProgramsWhole(t *testing.T) {
	for _, s := range course.Stations {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			root, dir := started(t, s.Name)
			files, err := s.Files(root, Module)
			require.NoError(t, err)
			for name, text := range files {
				if course.IsShipped(name) {
					assert.Equal(t, string(text), read(t, dir, name), name)
				}
			}
			for name := range filesIn(t, dir) {
				if course.IsShipped(name) {
					assert.Contains(t, files, name)
				}
			}
		})
	}
}

func TestWrite_ShipsFunctionsBesideStubs(t *testing.T) {
	root, dir := started(t, "07")
	orders := read(t, dir, "orders/orders.go")
	assert.Contains(t, orders, "	o.known[id] = true\n")
	assert.Contains(t, orders, "orders: Orders.reserve is yours to write (step 07)")
	shipped, err := Shipped(root, station(t, "07"))
	require.NoError(t, err)
	assert.Contains(t, shipped, Shipment{File: "cmd/program.go"})
	assert.NotContains(t, shipped, Shipment{File: "cmd/shop/main.go"}, "which is one call")
	i := slices.IndexFunc(shipped, func(s Shipment) bool { return s.File == "orders/orders.go" })
	require.GreaterOrEqual(t, i, 0)
	assert.Contains(t, shipped[i].Names, "Orders.begin")
	for _, s := range course.Stations {
		for file, names := range s.AllShipped() {
			text, err := codeOf(root, s)
			require.NoError(t, err)
			for _, name := range names {
				assert.True(t, declares(text, file, name), "%s: %s has no %s", s.Name, file, name)
			}
		}
	}
}

func TestWrite_DataOfTheShop(t *testing.T) {
	_, dir := started(t, "07")
	assert.NoFileExists(t, filepath.Join(dir, "cmd", "server.go"))
	assert.Contains(t, read(t, dir, "inventory/inventory_test.go"), `"../testdata/stock.json"`)
	assert.FileExists(t, filepath.Join(dir, "testdata", "stock.json"))
	assert.FileExists(t, filepath.Join(dir, "inventory", "stock.json"))
}

func TestWrite_WorkspaceInsideTheClone(t *testing.T) {
	root := t.TempDir()
	inside := filepath.Join(root, "mine", "rpc-course")
	assert.Equal(t, "../../final/workshop", toolDir(root, inside))
	outside := filepath.Join(t.TempDir(), "mine")
	assert.Equal(t, filepath.ToSlash(root)+"/final/workshop", toolDir(root, outside))
	work, err := learnersWorkspace([]byte("go 1.26.0\n\nuse ./final\n"), "/with space/final/workshop")
	require.NoError(t, err)
	assert.Equal(t, "go 1.26.0\n\nuse (\n\t.\n\t\"/with space/final/workshop\"\n)\n", string(work))
}

func TestWrite_Refuses(t *testing.T) {
	root, dir := started(t, "01")
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "mine.go"), nil, 0o666))
	for _, c := range []struct{ dir, reason string }{
		{dir, "is not empty, and start overwrites nothing"},
		{full, "is not empty, and start overwrites nothing"},
		{filepath.Join(full, "mine.go"), "is a file"},
		{filepath.Join(dir, "rpc", "again"), "which start made"},
		{root, "belongs to the course"},
		{filepath.Join(root, "step03-client"), "belongs to the course"},
		{filepath.Join(root, "step03-client", "mine"), "belongs to the course"},
		{filepath.Join(root, "final", "mine"), "belongs to the course"},
	} {
		assert.ErrorContains(t, Write(root, station(t, "02"), c.dir), c.reason, c.dir)
	}
	assert.NoFileExists(t, filepath.Join(full, "go.mod"))

	history := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(history, ".git"), 0o777))
	assert.NoError(t, Write(root, station(t, "02"), history), "a history is no reason")
}

func TestSolve_PutsTheStationsCodeIn(t *testing.T) {
	root, dir := started(t, "07")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd", "raw.go"), []byte("package cmd\n"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd", "my.go"), []byte("package cmd\n"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "errors_test.go"), []byte("mine"), 0o666))
	require.NoError(t, Solve(root, station(t, "07"), dir))
	want, err := os.ReadFile(filepath.Join(root, "step07-inventory-app", "rpc", "errors.go"))
	require.NoError(t, err)
	assert.Equal(t, string(want), read(t, dir, "rpc/errors.go"))
	assert.NoFileExists(t, filepath.Join(dir, "cmd", "raw.go"), "which the step has no longer")
	assert.FileExists(t, filepath.Join(dir, "cmd", "my.go"))
	assert.Equal(t, "mine", read(t, dir, "rpc/errors_test.go"), "tests are left alone")
}

func TestNext_RefusesCodeThatDoesNotParse(t *testing.T) {
	root := theCourse(t)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, Write(root, course.Stations[0], dir))
	for _, half := range []string{"func (", "type T struct {", "func f(", "import \""} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "half.go"), []byte("package rpc\n\n"+half), 0o666))
		p, err := progress.Open(dir)
		require.NoError(t, err)
		_, err = Next(root, p)
		assert.ErrorContains(t, err, "rpc/half.go:3", half)
		assert.ErrorContains(t, err, "fix it first", half)
	}
}
