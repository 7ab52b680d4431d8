package starter

import (
	"fmt"
	"path/filepath"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// noteName is the file that tells a learner where to go on.
const noteName = "README.md"

// note returns the text of that file.
func note(root string, s course.Station) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# RPC from scratch: your code\n\n")
	fmt.Fprintf(&b, "You are at %s, %s: %s.\n\n", s.Name, s.Title, s.Adds)
	fmt.Fprintf(&b, "The lesson: %s\n\n", Lesson(root, s))
	b.WriteString(`In this folder:

    go tool workshop check      runs the tests, and says what is done and what is to do
    go tool workshop watch      does so whenever you save a file
    go tool workshop studio     does so, too, and shows the results in a browser, beside the lesson
    go tool workshop hint       helps with the first test that fails, a little more each time
    go tool workshop next       goes on to the next step or checkpoint
    go tool workshop update     after a pull in the clone: brings the course's newer tests here

"go test -timeout 30s ./..." works, too. Red is right at first: what is yours to write returns an error that says so, or the tests do not compile before it is there.
The files that end with _test.go, and testdata, are the course's; all else is yours. .vscode/tasks.json has check and watch as tasks.
`)
	return []byte(b.String())
}

// Lesson returns the path of a station's lesson.
func Lesson(root string, s course.Station) string {
	return filepath.Join(root, filepath.FromSlash(s.Page()))
}

// Tour returns the path of the page that follows the last station.
func Tour(root string) string { return filepath.Join(root, "final", "README.md") }
