package verify

import (
	"context"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// checkTime checks that the minutes of lessons and schedules are those of
// course.Stations, and that schedules add up.
func checkTime(_ context.Context, c *Course, f *Findings) error {
	for _, p := range c.pages {
		if p.IsLesson() || p.IsEntrance() {
			c.checkTimes(p, f)
		}
	}
	schedules := 0
	for _, p := range c.pages {
		for _, table := range p.Tables {
			if isSchedule(table) {
				schedules++
				checkSchedule(p, table, f)
			}
		}
	}
	if schedules == 0 && len(c.only) == 0 {
		f.note("schedules: no page has a table with the columns station and minutes")
	}
	return nil
}

// checkTimes checks the "Time:" line below the title of a lesson or an entrance.
func (c *Course) checkTimes(p *Page, f *Findings) {
	want, what := p.Station.Minutes, p.Station.Name
	if p.IsEntrance() {
		want, what = minutesOf(p.Station.Step), p.Station.Step
	}
	title := p.Sections[min(1, len(p.Sections)-1)]
	switch {
	case p.IsLesson() && p.Station.Entrance() != "" && !strings.HasPrefix(title.Title, p.Station.Name+": "):
		f.page(p, title.Line, "the title of a checkpoint's lesson begins with \"%s: \"", p.Station.Name)
	case title.Minutes == 0:
		f.page(p, title.Line, "no time below the title: write \"Time: %d minutes\"", want)
	case title.Minutes != want:
		f.page(p, title.Time, "%d minutes, and course/station.go says %d for %s", title.Minutes, want, what)
	}
}

// minutesOf returns how long all stations of a step take.
func minutesOf(step string) int {
	sum := 0
	for _, s := range course.OfStep(step) {
		sum += s.Minutes
	}
	return sum
}

func isSchedule(t *lesson.Table) bool {
	return len(t.Header) >= 2 && strings.EqualFold(t.Header[0], "station") && strings.EqualFold(t.Header[1], "minutes")
}

// checkSchedule checks a table of stations and minutes, whose last row is their
// sum. Rows that are no station, such as a break, may take any time.
func checkSchedule(p *Page, t *lesson.Table, f *Findings) {
	sum := 0
	for i, row := range t.Rows {
		line := t.Line + 2 + i
		minutes, err := strconv.Atoi(row[1])
		if err != nil {
			f.page(p, line, "%q are no minutes", row[1])
			return
		}
		if i == len(t.Rows)-1 {
			if minutes != sum {
				f.page(p, line, "the rows above add up to %d, not %d", sum, minutes)
			}
			return
		}
		sum += minutes
		for _, s := range course.Stations {
			if row[0] == s.Name && minutes != s.Minutes {
				f.page(p, line, "%d minutes for %s, and course/station.go says %d", minutes, s.Name, s.Minutes)
			}
		}
	}
}
