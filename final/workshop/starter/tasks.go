package starter

import (
	_ "embed"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// TasksName is the file that tells editors how to run check and watch, and how to read
// what they print.
const TasksName = ".vscode/tasks.json"

//go:embed tasks.json
var tasks []byte

// addNotes adds to the tests of a station the files for the learner and the learner's
// editor that are the course's, too.
func addNotes(files course.Files, root string, s course.Station) {
	files[noteName] = note(root, s)
	files[TasksName] = tasks
}

// isNote reports whether a file is one of those. A learner who has changed it keeps it.
func isNote(name string) bool { return name == noteName || name == TasksName }
