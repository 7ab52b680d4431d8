package board

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A view is what the projector shows: numbers, and nothing of a single participant.
type view struct {
	Station string // "03 client"; "": no participant has reported
	Auto    bool   // the station is that of most participants
	Rows    []row
	Here    int // participants that count
	Quiet   int // those that do not, since they have not reported for long
	Median  string
	Ends    time.Time // of the countdown
	Left    int       // seconds of it
	Counts  bool      // there is a countdown
	Full    string    // said of a board that has refused a participant
}

// A row is a place in the station's lesson, with how many participants are there.
type row struct {
	Number int // of the piece; 0: it is none
	Label  string
	Count  int
	Share  float64 // of all, in percent
	Median bool    // the median participant is there
}

// A seat is what the instructor sees of one participant.
type seat struct {
	Number   int
	Name     string
	Station  string
	Piece    string
	Passing  int
	All      int
	Compiles bool
	Finished bool
	Red      string
	RedFor   time.Duration
	Ago      time.Duration // since the last report
	Quiet    bool
}

// look returns what the projector shows now.
func (r *room) look() view {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	here := r.counted(now)
	v := view{Here: len(here), Quiet: len(r.present) - len(here), Auto: r.station < 0, Ends: r.ends, Counts: !r.ends.IsZero()}
	if v.Counts {
		v.Left = int(max(0, r.ends.Sub(now)).Round(time.Second) / time.Second)
	}
	if !r.refused.IsZero() && len(r.present) >= r.most {
		v.Full = fullError{r.most}.Error()
	}
	at := r.station
	if at < 0 {
		at = mostAt(here)
	}
	if at < 0 {
		return v
	}
	v.Station = r.plan[at].Name + " " + r.plan[at].Title
	v.Rows, v.Median = r.plan[at].rows(at, here)
	return v
}

// mostAt returns the station at which most participants are, the earlier one of two; -1
// if there is no participant.
func mostAt(here []*participant) int {
	count := map[int]int{}
	most := -1
	for _, p := range here {
		count[p.station]++
	}
	for at, n := range count {
		if most < 0 || n > count[most] || n == count[most] && at < most {
			most = at
		}
	}
	return most
}

// rows counts participants, place by place: at stations before, at each piece, at the
// end of the station, at stations after. The median is the place of the participant in
// the middle; of two, the one who is less far.
func (s stationPlan) rows(at int, here []*participant) (rows []row, median string) {
	rows = []row{{Label: "at an earlier station"}}
	for i, p := range s.pieces {
		rows = append(rows, row{Number: i + 1, Label: p.label})
	}
	rows = append(rows, row{Label: "finished " + s.Name}, row{Label: "at a later station"})
	var places []int
	for _, p := range here {
		place := p.piece + 1
		switch {
		case p.station < at:
			place = 0
		case p.station > at:
			place = len(rows) - 1
		case !p.finished():
			place = min(place, len(s.pieces)) // such as one who has deleted a test
		}
		rows[place].Count++
		places = append(places, place)
	}
	if len(places) == 0 {
		return rows, ""
	}
	for i := range rows {
		rows[i].Share = 100 * float64(rows[i].Count) / float64(len(places))
	}
	slices.Sort(places)
	middle := &rows[places[(len(places)-1)/2]]
	middle.Median = true
	return rows, middle.String()
}

func (r row) String() string {
	if r.Number == 0 {
		return r.Label
	}
	return fmt.Sprintf("piece %d, %s", r.Number, r.Label)
}

// seats returns what the instructor sees of the participants: first those whose test has
// been red for longest, then those who have finished, then those who are quiet.
func (r *room) seats() []seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var all []seat
	for _, p := range r.present {
		s := r.plan[p.station]
		one := seat{
			Number: p.number, Name: p.called(), Station: s.Name, Passing: p.passing, All: p.all,
			Compiles: p.compiles, Finished: p.finished(), Red: p.red, Ago: now.Sub(p.seen), Quiet: now.Sub(p.seen) >= quietAfter,
		}
		if p.piece < len(s.pieces) {
			one.Piece = row{Number: p.piece + 1, Label: s.pieces[p.piece].label}.String()
		}
		if p.red != "" {
			one.RedFor = now.Sub(p.redSince)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b seat) int {
		return cmp.Or(last(a.Quiet)-last(b.Quiet), last(a.Finished)-last(b.Finished), cmp.Compare(b.RedFor, a.RedFor), a.Number-b.Number)
	})
	return all
}

func last(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
