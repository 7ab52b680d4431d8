// Package board is the view of a room: participants who want to report how far they are,
// the projector shows where the room is, and the instructor sees who is stuck. A board
// keeps everything in memory, and only what its bounds allow.
package board

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"example.com/rpc-from-scratch/final/workshop/book"
)

const (
	maxConns  = 512 // at the same time
	maxHeader = 8 << 10
	maxForm   = 1 << 10
	readFor   = 10 * time.Second // a request, its body included
	writeFor  = 10 * time.Second
	idleFor   = time.Minute
	longest   = 24 * 60 // minutes of a countdown
)

// A Board serves one room. Create it with New.
type Board struct {
	// Room and Instructor are the secrets of the two pages: whoever knows the first may
	// report and see numbers, whoever knows the second sees names. They may be read only.
	Room, Instructor string

	// Join is the room's URL as participants reach it, for the projector's page. It is set
	// before the board serves.
	Join string

	// Joined is called with the name of each new participant, cleaned for a terminal, and
	// how many there are. It may be nil.
	Joined func(name string, participants int)

	room             *room
	roomSum, instSum [sha256.Size]byte
	shared           map[string][]byte // the book's files
	mux              *http.ServeMux
}

// New returns a board for the course at root that takes up to most participants.
func New(root string, most int) (*Board, error) {
	if most < 1 {
		return nil, fmt.Errorf("-participants %d: want at least 1", most)
	}
	p, err := loadPlan(root)
	if err != nil {
		return nil, err
	}
	room, instructor := secrets()
	return newBoard(p, most, room, instructor)
}

// secrets returns new ones. The room's is typed by hand: its 50 bits are beyond guessing
// over a network.
func secrets() (room, instructor string) {
	return strings.ToLower(rand.Text()[:10]), strings.ToLower(rand.Text())
}

func newBoard(p plan, most int, roomSecret, instructorSecret string) (*Board, error) {
	shared, err := book.Assets()
	if err != nil {
		return nil, err
	}
	b := &Board{
		Room: roomSecret, Instructor: instructorSecret, room: newRoom(p, most), shared: shared, mux: http.NewServeMux(),
		roomSum: sha256.Sum256([]byte(roomSecret)), instSum: sha256.Sum256([]byte(instructorSecret)),
	}
	b.mux.HandleFunc("GET /{secret}/{$}", b.page)
	b.mux.HandleFunc("GET /{secret}/now", b.now)
	b.mux.HandleFunc("GET /{secret}/hello", b.only(forRoom, b.hello))
	b.mux.HandleFunc("POST /{secret}/report", b.only(forRoom, b.report))
	b.mux.HandleFunc("GET /{secret}/board.csv", b.only(forInstructor, b.csv))
	b.mux.HandleFunc("POST /{secret}/countdown", b.only(forInstructor, b.countdown))
	b.mux.HandleFunc("POST /{secret}/station", b.only(forInstructor, b.station))
	b.mux.HandleFunc("POST /{secret}/remove", b.only(forInstructor, b.remove))
	b.mux.HandleFunc("GET /{secret}", b.withSlash)
	b.mux.HandleFunc("GET /{secret}/assets/{name}", b.asset)
	b.mux.HandleFunc("/", nothing)
	return b, nil
}

// nothing answers a request without a secret, the same everywhere: it does not tell which
// addresses there are.
func nothing(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "There is no page here. The address of a board ends in a secret: open all of the address that "+
		"your instructor shows, or that the board printed at its start.", http.StatusNotFound)
}

// Most returns how many participants the board takes.
func (b *Board) Most() int { return b.room.most }

// Serve serves the board on ln until ctx ends.
func (b *Board) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: b, ReadTimeout: readFor, WriteTimeout: writeFor, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0), // it prints what peers send
	}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(netutil.LimitListener(ln, maxConns)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers one request.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; font-src data:; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	b.mux.ServeHTTP(w, r)
}

// A role is what a secret allows.
type role int

const (
	forNothing role = iota
	forRoom
	forInstructor
)

// roleOf compares a request's secret with both, in a time that does not depend on how
// much of it is right.
func (b *Board) roleOf(r *http.Request) role {
	sum := sha256.Sum256([]byte(r.PathValue("secret")))
	inRoom := subtle.ConstantTimeCompare(sum[:], b.roomSum[:])
	instructs := subtle.ConstantTimeCompare(sum[:], b.instSum[:])
	return role(subtle.ConstantTimeSelect(instructs, int(forInstructor), inRoom*int(forRoom)))
}

// only passes on requests with the secret of a role. To others there is nothing.
func (b *Board) only(want role, f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch have := b.roleOf(r); {
		case have == want:
			f(w, r)
		case have == forInstructor && r.Method == http.MethodPost:
			http.Error(w, "this is the instructor's URL: report to the other one", http.StatusForbidden)
		default:
			nothing(w, r)
		}
	}
}

func (b *Board) withSlash(w http.ResponseWriter, r *http.Request) {
	if b.roleOf(r) == forNothing {
		nothing(w, r)
		return
	}
	http.Redirect(w, r, r.URL.Path+"/", http.StatusSeeOther)
}

func (b *Board) hello(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// report takes a participant's report.
func (b *Board) report(w http.ResponseWriter, r *http.Request) {
	if !b.room.admits() {
		refuse(w, errTooOften)
		return
	}
	m, err := readMessage(http.MaxBytesReader(w, r.Body, maxBytes))
	if err != nil {
		refuse(w, err)
		return
	}
	name, first, err := b.room.enter(m)
	if err != nil {
		refuse(w, err)
		return
	}
	if first && b.Joined != nil {
		b.Joined(name, b.room.size())
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse says why a report is not kept, in a line.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var full fullError
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errTooOften):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "10")
	case errors.As(err, &full):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "60")
	case errors.As(err, &large):
		status = http.StatusRequestEntityTooLarge
		err = fmt.Errorf("a report of more than %d KiB", maxBytes>>10)
	}
	http.Error(w, clean(err.Error(), maxAnswer), status)
}

func (b *Board) csv(w http.ResponseWriter, _ *http.Request) {
	var out bytes.Buffer
	now := time.Now()
	if err := writeCSV(&out, b.room.seats(), now); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="board-`+now.Format("2006-01-02-1504")+`.csv"`)
	w.Write(out.Bytes())
}

// countdown starts the countdown, or ends it with 0 minutes.
func (b *Board) countdown(w http.ResponseWriter, r *http.Request) {
	minutes, err := number(w, r, "minutes")
	if err != nil || minutes < 0 || minutes > longest {
		http.Error(w, fmt.Sprintf("minutes: want 0 to %d", longest), http.StatusBadRequest)
		return
	}
	b.room.countDown(time.Duration(minutes) * time.Minute)
	back(w, r)
}

// station sets the station that the room is at; none: where most participants are.
func (b *Board) station(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	name := r.PostFormValue("station")
	at := b.room.plan.at(name)
	if at < 0 && name != "" {
		http.Error(w, "the course has no such station", http.StatusBadRequest)
		return
	}
	b.room.choose(at)
	back(w, r)
}

// remove gives a participant's place away, or all places without a number.
func (b *Board) remove(w http.ResponseWriter, r *http.Request) {
	who, err := number(w, r, "participant")
	switch {
	case err == nil:
		b.room.remove(who)
	case r.PostFormValue("all") == "yes":
		b.room.clear()
	default:
		http.Error(w, "which participant?", http.StatusBadRequest)
		return
	}
	back(w, r)
}

func number(w http.ResponseWriter, r *http.Request, field string) (int, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return strconv.Atoi(r.PostFormValue(field))
}

// back leads to the page that a form is on.
func back(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "./", http.StatusSeeOther) }

// page sends the page of the secret's role.
func (b *Board) page(w http.ResponseWriter, r *http.Request) { b.render(w, r, "page") }

// now sends the part of a page that changes.
func (b *Board) now(w http.ResponseWriter, r *http.Request) { b.render(w, r, "now") }

//go:embed assets
var own embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"ago": ago, "clock": clock, "minutes": minutes,
}).ParseFS(own, "assets/*.html"))

// shown is what the templates show.
type shown struct {
	view
	Instructs bool
	Seats     []seat
	Most      int
	Join      string
	Stations  []stationPlan
	Chosen    string
	Minutes   int // of the station, as the course has it
}

func (b *Board) render(w http.ResponseWriter, r *http.Request, part string) {
	as := b.roleOf(r)
	if as == forNothing {
		nothing(w, r)
		return
	}
	s := shown{view: b.room.look(), Most: b.room.most, Join: b.Join}
	if as == forInstructor {
		s.Instructs, s.Seats, s.Stations = true, b.room.seats(), b.room.plan
		s.Chosen, s.Minutes = b.room.chosen()
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, part, s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(out.Bytes())
}

// minutes is a duration as people say it.
func minutes(d time.Duration) string {
	m := int(d / time.Minute)
	switch {
	case d < time.Minute:
		return "under 1 min"
	case m < 60:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d h %d min", m/60, m%60)
}

// ago is how long ago something was, as people say it.
func ago(d time.Duration) string {
	if d < time.Minute {
		return "now"
	}
	return minutes(d) + " ago"
}

// clock is the seconds of a countdown as a clock shows them.
func clock(seconds int) string { return fmt.Sprintf("%d:%02d", seconds/60, seconds%60) }

// asset sends one of the board's own files, or of those that it shares with the book.
func (b *Board) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	switch {
	case b.roleOf(r) == forNothing:
		nothing(w, r)
	case name == "board.css" || name == "board.js":
		http.ServeFileFS(w, r, own, "assets/"+name)
	case name == "book.css" || name == "fonts.css" || name == "theme.js" || name == "icon.svg":
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b.shared["assets/"+name]))
	default:
		nothing(w, r)
	}
}

// Hosts returns the addresses at which ln can be reached: its own, or for one that
// listens on all of them those of this machine's networks, at most four.
func Hosts(addr net.Addr, networks []net.Addr) []string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return []string{addr.String()}
	}
	port := strconv.Itoa(tcp.Port)
	var hosts []string
	for _, network := range networks {
		ip, ok := network.(*net.IPNet)
		if ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil && len(hosts) < 4 {
			hosts = append(hosts, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	if len(hosts) == 0 {
		hosts = append(hosts, net.JoinHostPort("127.0.0.1", port))
	}
	return hosts
}
