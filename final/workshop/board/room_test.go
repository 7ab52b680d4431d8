package board

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// small is a course of two stations: 01 has the pieces A, B and C D, 02 has E.
func small() plan {
	turn := func(heading string, names ...string) course.Turn {
		t := course.Turn{Heading: heading}
		for _, name := range names {
			t.Tests = append(t.Tests, course.Test{Name: "Test" + name, Package: "rpc"})
		}
		return t
	}
	return plan{
		{course.Station{Name: "01", Title: "tcp-server", Minutes: 80}, piecesOf([]course.Turn{turn("A line", "A"), turn("A connection", "B"), turn("Close", "C", "D")}),
			[]string{"TestA", "TestB", "TestC", "TestD", "TestLimit_L"}},
		{course.Station{Name: "02", Title: "json-protocol", Minutes: 65}, piecesOf([]course.Turn{turn("A field", "E")}), []string{"TestE"}},
	}
}

func TestPlan_HasAllStations(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	p, err := loadPlan(root)
	require.NoError(t, err)
	require.Len(t, p, len(course.Stations))
	for _, s := range p {
		known := map[string]bool{}
		for _, piece := range s.pieces {
			assert.False(t, known[piece.label], "%s: two pieces are called %q", s.Name, piece.label)
			known[piece.label] = true
			assert.Subset(t, s.tests, piece.tests)
		}
	}
	assert.Equal(t, "A goroutine for each, 1 of 2", p[0].pieces[1].label)
}

// id returns that of the nth participant.
func id(n int) string { return fmt.Sprintf("%032x", n) }

// report returns one of the nth participant, who has the tests of todo to do.
func report(n int, name, station string, todo ...string) *message {
	m := &message{Version: version, ID: id(n), Name: name, Station: station, Compiles: true, ToDo: todo}
	tests := map[string][]string{"01": {"TestA", "TestB", "TestC", "TestD", "TestLimit_L"}, "02": {"TestE"}}[station]
	for _, test := range tests {
		if !strings.Contains(strings.Join(todo, " ")+" ", test+" ") {
			m.Passing = append(m.Passing, test)
		}
	}
	if len(todo) > 0 {
		m.Red = &red{Test: todo[0], Seconds: 60 * n}
	}
	return m
}

func enter(t *testing.T, r *room, all ...*message) {
	t.Helper()
	for _, m := range all {
		_, _, err := r.enter(m)
		require.NoError(t, err)
	}
}

// wait lets the bubble's clock go on.
func wait(d time.Duration) { <-time.After(d) }

func counts(v view) string {
	var b strings.Builder
	for _, r := range v.Rows {
		fmt.Fprintf(&b, "%d ", r.Count)
	}
	return strings.TrimSpace(b.String())
}

func TestRoom_CountsByPiece(t *testing.T) {
	r := newRoom(small(), 10)
	assert.Empty(t, r.look().Rows, "no participant, no station")
	enter(t, r,
		report(1, "a", "01", "TestA", "TestB", "TestC", "TestD"),
		report(2, "b", "01", "TestC", "TestD"),
		report(3, "c", "01", "TestD"),
		report(4, "d", "01"),
		report(5, "e", "02", "TestE"),
	)
	v := r.look()
	assert.Equal(t, "01 tcp-server", v.Station, "where most are")
	assert.Equal(t, "0 1 0 2 1 1", counts(v))
	assert.Equal(t, "piece 3, Close", v.Median)
	assert.InDelta(t, 40, v.Rows[3].Share, 0.01)
	assert.True(t, v.Rows[3].Median)

	r.choose(1)
	v = r.look()
	assert.Equal(t, "02 json-protocol", v.Station)
	assert.Equal(t, "4 1 0 0", counts(v))
	assert.Equal(t, "at an earlier station", v.Median)

	r.choose(-1)
	enter(t, r, report(2, "b", "02"), report(3, "c", "02"))
	v = r.look()
	assert.Equal(t, "02 json-protocol", v.Station)
	assert.Equal(t, "2 1 2 0", counts(v))
	assert.Equal(t, "piece 1, A field", v.Median)
}

// Of two in the middle, the one who is less far is the median: the room waits for them.
func TestRoom_MedianOfAnEvenNumber(t *testing.T) {
	r := newRoom(small(), 10)
	enter(t, r, report(1, "", "01", "TestA"), report(2, "", "01"))
	assert.Equal(t, "piece 1, A line", r.look().Median)
}

// A test beside the pieces, such as a pin, is to do: that is no finish.
func TestRoom_FinishedIsWithoutAnyTestToDo(t *testing.T) {
	r := newRoom(small(), 10)
	enter(t, r, report(1, "", "01", "TestLimit_L"))
	assert.Equal(t, "0 0 0 1 0 0", counts(r.look()))
	assert.False(t, r.seats()[0].Finished)

	enter(t, r, &message{Version: version, ID: id(1), Station: "01", Passing: []string{"TestOfAnotherCourse"}})
	assert.Equal(t, "0 1 0 0 0 0", counts(r.look()))
	assert.False(t, r.seats()[0].Finished)
}

func TestRoom_SeatsBeginWithTheOneWhoIsStuckLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(small(), 10)
		enter(t, r, report(4, "quiet", "01", "TestA"))
		wait(50 * time.Minute)
		enter(t, r, report(2, "two", "01", "TestA"), report(3, "three", "01", "TestB"), report(1, "done", "01"), report(5, "", "02", "TestE"))
		wait(10 * time.Minute)
		var names []string
		for _, s := range r.seats() {
			names = append(names, fmt.Sprintf("%s %v", s.Name, s.RedFor))
		}
		assert.Equal(t, []string{"no name, no. 5 15m0s", "three 13m0s", "two 12m0s", "done 0s", "quiet 1h4m0s"}, names)
		v := r.look()
		assert.Equal(t, 4, v.Here, "the quiet one does not count")
		assert.Equal(t, 1, v.Quiet)
	})
}

func TestRoom_Countdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(small(), 10)
		assert.False(t, r.look().Counts)
		r.countDown(10 * time.Minute)
		wait(4 * time.Minute)
		assert.Equal(t, 360, r.look().Left)
		wait(10 * time.Minute)
		assert.Equal(t, 0, r.look().Left)
		assert.True(t, r.look().Counts, "time is over")
		r.countDown(0)
		assert.False(t, r.look().Counts)
	})
}

func TestRoom_IsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(small(), 3)
		for n := range 1000 {
			_, _, err := r.enter(report(n, "x", "01"))
			if n < 3 {
				assert.NoError(t, err)
				continue
			}
			require.EqualError(t, err, "the board is full, with 3 of 3 participants")
		}
		assert.Equal(t, 3, r.size())
		enter(t, r, report(1, "x", "01", "TestA")) // those who have a place keep it
		assert.Equal(t, "the board is full, with 3 of 3 participants", r.look().Full)

		r.remove(2)
		assert.Empty(t, r.look().Full)
		enter(t, r, report(500, "x", "01"))
		r.clear()
		assert.Zero(t, r.size())
	})
}

func TestRoom_BoundsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(small(), 3)
		kept := func(n int) (kept int) {
			for range 100 {
				_, _, err := r.enter(report(n, "x", "01"))
				if err == nil {
					kept++
				} else {
					require.True(t, errors.Is(err, errTooOften), err)
				}
			}
			return kept
		}
		assert.Equal(t, few, kept(1))
		assert.Equal(t, few, kept(2), "another participant's flood does not count")
		wait(every)
		assert.Equal(t, 1, kept(1))

		admitted := 0
		for range 10 * burst {
			if r.admits() {
				admitted++
			}
		}
		assert.Equal(t, burst, admitted)
		wait(time.Second)
		assert.True(t, r.admits())
	})
}

// Nothing of a peer's text stays but the name, and that is short and clean.
func TestRoom_KeepsNoTextOfAPeer(t *testing.T) {
	r := newRoom(small(), 3)
	m := report(1, strings.Repeat("x\x1b[2J\u202e", 10_000), "01", "TestNot_OfTheCourse", "TestA")
	m.Passing = append(m.Passing, "TestA", "TestA", "func main() {}")
	m.Red = &red{"func main() {}", -1 << 30}
	enter(t, r, m)
	s := r.seats()[0]
	assert.Equal(t, strings.Repeat("x[2J", 10), s.Name)
	assert.Equal(t, 5, s.All)
	assert.Equal(t, 4, s.Passing, "what is both done and to do is to do")
	assert.Empty(t, s.Red)
	_, _, err := r.enter(report(2, "x", "99"))
	assert.EqualError(t, err, "not a report: the course has no such station")
	assert.Equal(t, 1, r.size())

	m.Red = &red{"TestA", 1 << 30}
	enter(t, r, m)
	assert.InDelta(t, maxRed, r.seats()[0].RedFor, float64(time.Hour))
}
