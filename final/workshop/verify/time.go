package verify

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// checkTime checks that the minutes of lessons and schedules are those of
// course.Stations, and that schedules add up.
func checkTime(_ context.Context, c *Course, f *Findings) error {
	for _, p := range c.lessons() {
		c.checkTimes(p, f)
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

// checkTimes checks the lesson's "Time:" lines: one below its title, or, where it
// tells several checkpoints, one below the heading of each.
func (c *Course) checkTimes(p *Page, f *Findings) {
	stations := p.stations()
	for _, s := range stations {
		section := p.sectionOf(s, len(stations) > 1)
		switch {
		case section == nil:
			f.page(p, 0, "no heading \"%s: %s\": it tells the checkpoint", s.Name, s.Title)
		case section.Minutes == 0:
			f.page(p, section.Line, "no time below the heading: write \"Time: %d minutes\"", s.Minutes)
		case section.Minutes != s.Minutes:
			f.page(p, section.Time, "%d minutes, and course/station.go says %d for %s", section.Minutes, s.Minutes, s.Name)
		}
	}
}

// sectionOf returns the section below whose heading a station's time stands.
func (p *Page) sectionOf(s course.Station, checkpoint bool) *lesson.Section {
	i := slices.IndexFunc(p.Sections, func(section *lesson.Section) bool {
		if checkpoint {
			return strings.HasPrefix(section.Title, s.Name+": ")
		}
		return section.Level == 1
	})
	if i < 0 {
		return nil
	}
	return p.Sections[i]
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
