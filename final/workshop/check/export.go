package check

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// Plain writes a line for each problem, as compilers do, one for each pin that skips,
// and a last one with the counts and the test to begin with, for which see First. No
// line is wrapped.
func Plain(w io.Writer, r *Report, hint func(test string) string) {
	for _, p := range r.Problems(hint) {
		fmt.Fprintln(w, p)
	}
	for _, text := range r.Explained() {
		fmt.Fprintln(w, text)
	}
	for _, result := range r.Results {
		switch result.Status {
		case Lifted:
			fmt.Fprintf(w, "lifted: %s (%s): %s\n", result.Test.Name, result.Lifted, lifted(r.Target.Station, result.Lifted))
		case Undecided:
			fmt.Fprintf(w, "skips: %s: %s\n", result.Test.Name, undecided)
		}
	}
	tally := r.tally()
	if first := r.First(hint); first != nil && len(r.Mistakes()) == 0 {
		tally += " Begin with " + first.Test.Name + "."
	}
	fmt.Fprintln(w, tally)
}

// Schema describes what JSON writes, as a JSON Schema.
//
//go:embed result.schema.json
var Schema []byte

// exported is a test's result as JSON writes it; see result.schema.json.
type exported struct {
	Version  int       `json:"version"`
	Station  string    `json:"station"`
	Test     string    `json:"test"`
	Package  string    `json:"package"`
	File     string    `json:"file"`
	New      bool      `json:"new"`
	Done     bool      `json:"done"`
	Status   Status    `json:"status"`
	Lifted   string    `json:"lifted,omitempty"`
	Seconds  float64   `json:"seconds"`
	Cause    string    `json:"cause,omitempty"`
	Problems []Problem `json:"problems"`
	Output   string    `json:"output,omitempty"`
}

// JSON writes one object for each test, a line each.
func JSON(w io.Writer, r *Report) error {
	enc := json.NewEncoder(w)
	for _, result := range r.Results {
		e := exported{
			Version: 1,
			Station: r.Target.Station.Name,
			Test:    result.Test.Name,
			Package: result.Test.Package,
			File:    result.Test.File,
			New:     result.New,
			Done:    result.Status.done(),
			Status:  result.Status,
			Lifted:  result.Lifted,
			Seconds: float64(result.Time.Milliseconds()) / 1000,
		}
		e.Problems = append([]Problem{}, r.ProblemsOf(result)...)
		if !e.Done && result.Status.ran() {
			e.Cause, e.Output = cause(result), result.Output
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// JUnit writes the report as JUnit's XML: a suite for each package.
func JUnit(w io.Writer, r *Report) error {
	suites := junit.Testsuites{Name: "workshop check " + r.Target.Station.Name}
	var names []string
	cases := map[string]*junit.Testsuite{}
	took := map[string]time.Duration{}
	var all time.Duration
	for _, result := range r.Results {
		name := result.Test.Package
		if cases[name] == nil {
			cases[name] = &junit.Testsuite{Name: name, ID: len(names)}
			names = append(names, name)
		}
		cases[name].AddTestcase(r.testcase(result))
		took[name] += result.Time
		all += result.Time
	}
	for _, name := range names {
		cases[name].Time = seconds(took[name])
		suites.AddSuite(*cases[name])
	}
	suites.Time = seconds(all)
	return suites.WriteXML(w)
}

// seconds is how JUnit writes a time.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func (r *Report) testcase(result Result) junit.Testcase {
	c := junit.Testcase{Name: result.Test.Name, Classname: result.Test.Package, Time: seconds(result.Time)}
	switch result.Status {
	case Lifted:
		c.SystemOut = &junit.Output{Data: "lifted (" + result.Lifted + "): " + lifted(r.Target.Station, result.Lifted)}
	case Undecided:
		c.Skipped = &junit.Result{Message: undecided}
	}
	var lines []string
	for _, p := range r.ProblemsOf(result) {
		lines = append(lines, p.String())
	}
	if len(lines) == 0 {
		return c
	}
	for line := range strings.SplitSeq(result.Output, "\n") {
		lines = append(lines, clean(line)) // XML refuses most of what clean writes out
	}
	why := &junit.Result{Message: lines[0], Data: strings.Join(lines, "\n")}
	if result.Status.ran() {
		c.Failure = why
	} else {
		c.Error = why
	}
	return c
}
