package tour

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/source"
)

const root = "../../.."

// finalTests has, for each limit that a step pins, the test of final that shows
// what has become of it.
var finalTests = map[string]string{
	"TestLimit_AnyLineIsEchoed":                   "TestHello_ServerAnswersABadOneWithACode",
	"TestLimit_AnyMethodIsAnswered":               "TestServer_UnknownMethodDoesNotDesynchroniseTheStream",
	"TestLimit_NoAnswerHangsForever":              "TestCall_DefaultTimeoutAppliesWithoutADeadline",
	"TestLimit_SlowCallBlocksTheConnection":       "TestCall_SlowCallDoesNotHoldUpOthers",
	"TestLimit_AnyFunctionIsRegistered":           "TestRegister_RefusesWhatCannotBeCalled",
	"TestLimit_PanicEndsTheServer":                "TestServer_PanicIsInternalWithoutTextOrStack",
	"TestLimit_HandlerIsNotTold":                  "TestCall_CancelReachesTheHandler",
	"TestLimit_CallerThatGivesUpTellsNoMethod":    "TestCall_CancelReachesTheHandler",
	"TestLimit_HandlerThatIgnoresContextRunsOn":   "TestServer_CallAndCancelFloodGainsNothing",
	"TestLimit_BytesGrowByAThird":                 "TestWire_ServerAnswersGobAsCaptured",
	"TestLimit_NobodySaysWhichCodec":              "TestServer_GobOnlyWhenAskedFor",
	"TestLimit_OneBadGobMessageEndsTheConnection": "TestGob_FailedEncodeBeginsANewStream",
	"TestLimit_HandlersUnbounded":                 "TestServer_BoundsHandlersOfAConnection",
	"TestLimit_LostConnectionFailsEveryCall":      "TestClient_ConnectsAnewAfterALostConnection",
	"TestLimit_OneResultPerCall":                  "TestStream_ItemsArriveInOrderOnce",
	"TestLimit_RepeatedReserveCountsTwice":        "TestReserve_CountsARepeatedOrderOnce",
	"TestLimit_RestartForgetsStock":               "TestOpen_FindsWhatWasAnswered",
}

// The maps in README.md are those that the code gives. UPDATE=1 writes them.
func TestMapsAreUpToDate(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	want := string(page)
	want = replace(t, want, "files", filesMap(t))
	want = replace(t, want, "pins", pinsMap(t))
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o666))
		return
	}
	assert.Equal(t, want, string(page), "UPDATE=1 go test ./tour writes it anew")
}

// replace puts a map between its two comments.
func replace(t *testing.T, page, name, text string) string {
	t.Helper()
	begin, end := "<!-- map: "+name+" -->\n", "<!-- map: end -->"
	before, rest, ok := strings.Cut(page, begin)
	require.True(t, ok, "no %s", begin)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "no end of the map of %s", name)
	return before + begin + "\n" + text + "\n" + end + after
}

// filesMap says of each file of final/rpc which declarations step 07 knows by the
// same name.
func filesMap(t *testing.T) string {
	places := declared(t, filepath.Join(root, "step07-inventory-app"))
	final := declared(t, filepath.Join(root, "final"))
	files := map[string][]string{}
	for name, file := range final {
		files[file] = append(files[file], name)
	}
	var b strings.Builder
	b.WriteString("| final/rpc | in step 07 | names that stayed |\n|---|---|---|\n")
	for _, file := range slices.Sorted(maps.Keys(files)) {
		var from, kept []string
		for _, name := range slices.Sorted(slices.Values(files[file])) {
			if place, ok := places[name]; ok {
				kept = append(kept, "`"+name+"`")
				from = append(from, "`"+filepath.Base(place)+"`")
			}
		}
		from = slices.Compact(slices.Sorted(slices.Values(from)))
		state := "new"
		switch {
		case len(kept) == len(files[file]):
			state = "same: " + strings.Join(from, ", ")
		case len(kept) > 0:
			state = "grown: " + strings.Join(from, ", ")
		}
		if more := len(kept) - 5; more > 1 {
			kept = append(kept[:5], fmt.Sprintf("%d more", more))
		}
		fmt.Fprintf(&b, "| [%s](../../%s) | %s | %s |\n", filepath.Base(file), file, state, strings.Join(kept, ", "))
	}
	return b.String()
}

// declared returns the file of each type and function of a module's rpc/, tests apart.
func declared(t *testing.T, module string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(module, "rpc", "*.go"))
	require.NoError(t, err)
	places := map[string]string{}
	for _, file := range files {
		if source.IsTest(file) {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		name := "rpc/" + filepath.Base(file)
		f, err := source.Parse(name, text)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if d.Kind == source.Func || d.Kind == source.Type {
				places[d.Name()] = name
			}
		}
	}
	return places
}

var pinned = regexp.MustCompile(`(?m)^func (TestLimit_\w+)\(`)

// pinsMap says of each limit that a step pins, in the order of the steps, what
// has become of it in final.
func pinsMap(t *testing.T) string {
	tests := testFiles(t)
	var b strings.Builder
	b.WriteString("| pinned as | first in | final's test | in |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, file := range limitFiles(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range pinned.FindAllStringSubmatch(string(text), -1) {
			pin := m[1]
			if seen[pin] {
				continue
			}
			seen[pin] = true
			test := finalTests[pin]
			require.NotEmpty(t, test, "%s is missing in finalTests", pin)
			require.NotEmpty(t, tests[test], "final has no %s", test)
			step, _ := filepath.Rel(root, file)
			step = strings.TrimSuffix(filepath.ToSlash(filepath.Dir(filepath.Dir(step))), "/rpc")
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | [%s](../../%s) |\n", pin, step, test, tests[test], tests[test])
		}
	}
	for pin := range finalTests {
		assert.True(t, seen[pin], "no step pins %s any more", pin)
	}
	return b.String()
}

// limitFiles returns the steps' limits_test.go, in the order of the stations.
func limitFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"step*/*/limits_test.go", "step*/*/rpc/limits_test.go"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	// A step's checkpoints come before its own rpc/, as their folders' names do.
	slices.Sort(files)
	return files
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testFiles returns the file of each test of final, below it.
func testFiles(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "final", "*", "*_test.go"))
	require.NoError(t, err)
	tests := map[string]string{}
	for _, file := range found {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		name, err := filepath.Rel(filepath.Join(root, "final"), file)
		require.NoError(t, err)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = filepath.ToSlash(name)
		}
	}
	return tests
}
