package console

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A measure is a line of a measurement.
type measure struct {
	name   string
	figure float64
}

// clearly is by how much two figures differ if their order means something.
const clearly = 1.3

var (
	perOp     = regexp.MustCompile(`([\d.,]+) ns/op`)
	anyFigure = regexp.MustCompile(`\s([\d.,]+)\b`)
	cpus      = regexp.MustCompile(`-\d+$`)
)

// measures returns the lines of a command's output that hold figures, by ns/op
// or else by the first figure behind the name.
func measures(lines []string) []measure {
	var found []measure
	for _, line := range lines {
		match := perOp.FindStringSubmatch(line)
		if match == nil && !strings.Contains(line, ": ") {
			match = anyFigure.FindStringSubmatch(line)
		}
		if match == nil || strings.HasPrefix(line, "ok ") {
			continue
		}
		figure, err := strconv.ParseFloat(strings.ReplaceAll(match[1], ",", ""), 64)
		if err == nil {
			found = append(found, measure{cpus.ReplaceAllString(strings.Fields(line)[0], ""), figure})
		}
	}
	return found
}

// CompareOrder is Compare for a measurement: what was clearly more must still be
// more.
func CompareOrder(said, printed *Block) string {
	for i, c := range said.Commands {
		want := measures(c.lines())
		got := make(map[string]float64)
		for _, m := range measures(printed.Commands[i].lines()) {
			got[m.name] = m.figure
		}
		if len(want) == 0 {
			return fmt.Sprintf("$ %s: no figures", c.Line)
		}
		if wrong := misplaced(want, got); wrong != "" {
			return fmt.Sprintf("$ %s: %s", c.Line, wrong)
		}
	}
	return ""
}

func misplaced(want []measure, got map[string]float64) string {
	for _, more := range want {
		if _, ok := got[more.name]; !ok {
			return fmt.Sprintf("%s is not measured", more.name)
		}
		for _, less := range want {
			if more.name != less.name && more.figure > clearly*less.figure && got[more.name] <= got[less.name] {
				return fmt.Sprintf("%s was %v to %s's %v and is now %v to %v",
					more.name, more.figure, less.name, less.figure, got[more.name], got[less.name])
			}
		}
	}
	return ""
}
