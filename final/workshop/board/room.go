package board

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/workshop/course"
)

const (
	// DefaultMost is how many participants a board takes.
	DefaultMost = 100

	perSecond = 50 // reports to a board
	burst     = 200

	every = 2 * time.Second // a participant's reports
	few   = 5               // that may come at once

	// quietAfter is how long a participant counts without a report.
	quietAfter = time.Hour
)

// A fullError refuses a participant: a board is bounded.
type fullError struct{ most int }

func (e fullError) Error() string {
	return fmt.Sprintf("the board is full, with %d of %[1]d participants", e.most)
}

var errTooOften = errors.New("too many reports: wait a moment")

// A plan is what a board knows of the course: its stations, with their pieces.
type plan []stationPlan

type stationPlan struct {
	course.Station
	pieces []piece
	tests  []string // in the order of the lesson's pieces
}

// A piece is what a participant writes until more tests are green.
type piece struct {
	label string // the heading in the lesson
	tests []string
}

// loadPlan reads the course at root.
func loadPlan(root string) (plan, error) {
	var p plan
	for _, s := range course.Stations {
		turns, err := course.Turns(root, s)
		if err != nil {
			return nil, err
		}
		tests, err := course.Tests(root, s)
		if err != nil {
			return nil, err
		}
		p = append(p, stationPlan{s, piecesOf(turns), namesOf(tests)})
	}
	return p, nil
}

// piecesOf returns the pieces of a lesson. Those under one heading are numbered.
func piecesOf(turns []course.Turn) []piece {
	under, seen := map[string]int{}, map[string]int{}
	for _, t := range turns {
		under[t.Heading]++
	}
	var all []piece
	for _, t := range turns {
		label := t.Heading
		if n := under[label]; n > 1 {
			seen[label]++
			label = fmt.Sprintf("%s, %d of %d", label, seen[label], n)
		}
		all = append(all, piece{label, namesOf(t.Tests)})
	}
	return all
}

func namesOf(tests []course.Test) []string {
	var names []string
	for _, t := range tests {
		names = append(names, t.Name)
	}
	return names
}

// at returns the index of a station, -1 if there is none of that name.
func (p plan) at(station string) int {
	return slices.IndexFunc(p, func(s stationPlan) bool { return s.Name == station })
}

// pieceOf returns the first piece that is not done, by its index; len(pieces) if all are.
func (s stationPlan) pieceOf(todo []string) int {
	i := slices.IndexFunc(s.pieces, func(p piece) bool {
		return slices.ContainsFunc(p.tests, func(t string) bool { return slices.Contains(todo, t) })
	})
	if i < 0 {
		return len(s.pieces)
	}
	return i
}

// A participant is what a board keeps of one. Nothing but the name is text of a peer.
type participant struct {
	number   int // in the order of their first reports
	name     string
	station  int // an index of the plan
	piece    int // the first one that is not done
	passing  int
	all      int // tests
	compiles bool
	red      string // a test of the plan; "": none
	redSince time.Time
	seen     time.Time // when the last report arrived
	limit    *rate.Limiter
}

// finished reports whether nothing is to do at the participant's station.
func (p *participant) finished() bool { return p.passing == p.all && p.all > 0 }

// A room is all that a board knows, in memory. Its methods may be called concurrently.
type room struct {
	plan plan
	most int // participants

	mu      sync.Mutex // guards what follows
	present map[string]*participant
	joined  int       // ever
	refused time.Time // when the board was last too full for a participant; zero: never
	station int       // that the room is at; -1: where most participants are
	ends    time.Time // of the countdown; zero: there is none
	limit   *rate.Limiter
}

func newRoom(p plan, most int) *room {
	return &room{plan: p, most: most, present: map[string]*participant{}, station: -1, limit: rate.NewLimiter(perSecond, burst)}
}

// admits reports whether a report may be read now.
func (r *room) admits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limit.Allow()
}

// enter keeps a report. It returns the participant's name if it is the first one, cleaned
// for a page or a terminal.
func (r *room) enter(m *message) (name string, first bool, err error) {
	at := r.plan.at(m.Station)
	if at < 0 {
		return "", false, errors.New("not a report: the course has no such station")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.present[m.ID]
	if first = p == nil; first {
		if p, err = r.admit(m.ID); err != nil {
			return "", false, err
		}
	}
	if !p.limit.Allow() {
		return "", false, errTooOften
	}
	p.see(r.plan[at], at, m)
	return p.called(), first, nil
}

// admit gives a new participant a place.
func (r *room) admit(id string) (*participant, error) {
	if len(r.present) >= r.most {
		r.refused = time.Now()
		return nil, fullError{r.most}
	}
	r.joined++
	p := &participant{number: r.joined, limit: rate.NewLimiter(rate.Every(every), few)}
	r.present[id] = p
	return p, nil
}

// see takes over a report. Of the tests, only those of the plan count.
func (p *participant) see(s stationPlan, at int, m *message) {
	now := time.Now()
	p.name, p.station, p.compiles, p.seen = clean(m.Name, maxName), at, m.Compiles, now
	known := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(s.tests), func(t string) bool { return !slices.Contains(names, t) })
	}
	todo := known(m.ToDo)
	p.passing = len(slices.DeleteFunc(known(m.Passing), func(t string) bool { return slices.Contains(todo, t) }))
	p.all = p.passing + len(todo)
	if p.piece = s.pieceOf(todo); p.all == 0 {
		p.piece = 0 // such as with a course that has other tests
	}
	p.red, p.redSince = "", time.Time{}
	if m.Red != nil && slices.Contains(todo, m.Red.Test) {
		i := slices.Index(s.tests, m.Red.Test)
		p.red, p.redSince = s.tests[i], now.Add(-m.Red.redFor())
	}
}

// called returns the participant's name, or a number for one without.
func (p *participant) called() string {
	return cmp.Or(p.name, fmt.Sprintf("no name, no. %d", p.number))
}

// remove gives the place of a participant away, by its number.
func (r *room) remove(number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.present {
		if p.number == number {
			delete(r.present, id)
		}
	}
}

// clear gives all places away.
func (r *room) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.present)
}

// choose sets the station that the room is at; -1: where most participants are.
func (r *room) choose(station int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.station = station
}

// countDown starts the countdown, or ends it if d is 0.
func (r *room) countDown(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = time.Time{}
	if d > 0 {
		r.ends = time.Now().Add(d)
	}
}

// size returns how many places are taken.
func (r *room) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.present)
}

// chosen returns the name of the station that the instructor has chosen, "" for none, and
// the minutes of the one that the room is at.
func (r *room) chosen() (name string, minutes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.station
	if at >= 0 {
		name = r.plan[at].Name
	} else {
		at = max(0, mostAt(r.counted(time.Now())))
	}
	return name, r.plan[at].Minutes
}

// counted returns the participants who have reported lately.
func (r *room) counted(now time.Time) []*participant {
	var here []*participant
	for _, p := range r.present {
		if now.Sub(p.seen) < quietAfter {
			here = append(here, p)
		}
	}
	return here
}
