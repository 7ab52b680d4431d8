package cli

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/seam"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// nextCompilerHint takes the place of nextHint where a test could not run, since
// code does not compile: what the compiler says, and one hint more each time. When
// there is none left, the test's own follow.
func nextCompilerHint(w io.Writer, t check.Target, test string) error {
	found, err := compilerHints(t)
	if err != nil {
		return err
	}
	shown := t.Progress.ShowHint(progress.CompilerHints)
	fmt.Fprintf(w, "Your code does not compile, so %s has not run. The compiler says:\n\n%s\n", test, firstMistakes(t.Progress.Mistake))
	if shown > len(found) {
		for i, hint := range found {
			fmt.Fprintf(w, "\nHint %d of %d\n\n%s\n", i+1, len(found), hint)
		}
		return nextHint(w, t, test)
	}
	fmt.Fprintf(w, "\nHint %d of %d\n\n%s\n", shown, len(found), found[shown-1])
	return t.Progress.Save()
}

// compilerHints returns the hints about what the last check saw not compile, each
// stronger than the one before. The first says no more than where to begin.
func compilerHints(t check.Target) ([]string, error) {
	mistakes := strings.Split(strings.ReplaceAll(t.Progress.Mistake, "\n\t", " "), "\n")
	changed, added := check.Due(t, mistakes)
	due := append(changed, added...)
	if len(due) == 0 {
		help, file := explainMistake(mistakes[0]), fileOf(mistakes[0])
		if called := check.Called(t, mistakes[:1]); len(called) > 0 {
			help = fmt.Sprintf("The tests call this, so your code needs it with the same name and types. Is yours misspelt, or not yet written?\n\n    %s    (%s)", called[0].Text, called[0].File)
			file = called[0].File
		}
		return []string{help, "How your file and ours differ:\n\n    go tool workshop solution -diff " + file}, nil
	}
	files, err := lessonsOrder(t, due)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, file := range files {
		lines = append(lines, "In "+file+":")
		for _, s := range due {
			if s.File == file {
				lines = append(lines, "    "+s.Text)
			}
		}
	}
	if gone := check.ToDelete(t, mistakes); len(gone) > 0 {
		lines = append(lines, "\nThe tests have their own now, so delete yours: "+strings.Join(gone, ", "))
	}
	return []string{
		fmt.Sprintf("The tests use the new signatures already, so nothing compiles before your code has them. Begin in %s, and go on in the order of the lesson.", files[0]),
		"These are missing, or still have the type from before:\n\n" + strings.Join(lines, "\n"),
		"Our code for it:\n\n    go tool workshop solution " + strings.Join(files, "\n    go tool workshop solution "),
	}, nil
}

// maxMistakes is how many of the compiler's messages a hint repeats: check has shown
// them all.
const maxMistakes = 3

// firstMistakes returns the first of the compiler's messages, indented, and the number
// of the others.
func firstMistakes(text string) string {
	var b strings.Builder
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "\t") {
			n++
		}
		if n <= maxMistakes {
			b.WriteString("  " + line + "\n")
		}
	}
	if more := n - maxMistakes; more > 0 {
		fmt.Fprintf(&b, "  … and %d more\n", more)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// lessonsOrder returns the files of what is due, in the lesson's order.
func lessonsOrder(t check.Target, due []seam.Seam) ([]string, error) {
	stubs, err := starter.Stubs(t.Root, t.Station)
	if err != nil {
		return nil, err
	}
	changes, err := starter.Changes(t.Root, t.Station)
	if err != nil {
		return nil, err
	}
	var order, files []string
	for _, c := range changes {
		order = append(order, c.File)
	}
	order = append(order, stubs...)
	for _, s := range due {
		if !slices.Contains(files, s.File) {
			files = append(files, s.File)
		}
	}
	slices.SortStableFunc(files, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return files, nil
}

// kinds are the compiler's messages that learners meet, and what to do then.
var kinds = []struct {
	message *regexp.Regexp
	help    string
}{
	{regexp.MustCompile(`syntax error`), "The compiler noticed it here; the cause is often on the line before: a brace, a parenthesis or a comma too few or too many."},
	{regexp.MustCompile(`imported and not used`), "Nothing in this file uses that package any more: delete the import."},
	{regexp.MustCompile(`declared and not used`), "Go refuses variables that nothing reads. Use it, or delete it. If it ought to be the variable of the block around it, write = in place of :=."},
	{regexp.MustCompile(`redeclared in this block|already declared`), "The package has two declarations of that name, in all its files together: rename one, or delete the copy."},
	{regexp.MustCompile(`undefined \(type`), "The type has no such field or method. Compare the spelling with its declaration, and whether the method's receiver is this type."},
	{regexp.MustCompile(`undefined: `), "Nothing of that name is declared. Is it misspelt, still to be written, or does it belong to a package that this file does not import?"},
	{regexp.MustCompile(`missing return`), "There is a way through this function that ends without a return: look at its last lines, and at a switch without default."},
	{regexp.MustCompile(`(not enough|too many) (arguments|return values)`), "The lines below the message compare what is given (have) with what is declared (want)."},
	{regexp.MustCompile(`assignment mismatch`), "Count both sides: the function returns more or fewer values than there are variables. An error is one of them."},
	{regexp.MustCompile(`does not implement|missing method`), "A value is used as an interface that it does not satisfy: compare the method's name and types. A method with a pointer receiver belongs to the pointer alone."},
	{regexp.MustCompile(`cannot use`), "The types differ: what is it, and what is wanted there? The message names both."},
	{regexp.MustCompile(`import cycle`), "Two packages import each other. rpc imports neither cmd nor the shop."},
	{regexp.MustCompile(`its tests do not start`), "It compiles, and fails before the first test. Look at init functions, and at package-level variables with a value."},
}

// explainMistake returns what helps with a compiler's message.
func explainMistake(mistake string) string {
	for _, k := range kinds {
		if k.message.MatchString(mistake) {
			return k.help
		}
	}
	return "Only the first message counts: those after it often follow from it. Go to its line, and read what is expected there."
}

// fileOf returns the file that a compiler's message is about.
func fileOf(mistake string) string {
	file, _, _ := strings.Cut(mistake, ":")
	return file
}
