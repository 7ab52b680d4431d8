package board

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/workshop/check"
)

const (
	answerWithin = 5 * time.Second  // a board's time for one answer
	grace        = time.Second      // for which Finish waits at most
	tryAgain     = 15 * time.Second // after a failure
	slowest      = time.Minute      // that a board can have a reporter wait
)

// A Reporter reports a participant's progress to a board, in the background. A board that
// is slow or does not answer costs the caller nothing but a line to show. The methods may
// not be called concurrently, apart from Notices. A nil Reporter reports nothing.
type Reporter struct {
	url    string // of the room, without a slash at its end
	host   string
	name   string
	client *http.Client
	stop   context.CancelFunc

	newest  chan *outgoing // of one: only the newest report matters
	notices chan string
	reached atomic.Bool            // the board has answered
	failure atomic.Pointer[string] // the last one, as the participant reads it
	last    *outgoing              // that Report was called for
}

// outgoing is a report on its way.
type outgoing struct {
	*message
	tried  chan struct{} // closed when it has arrived, or failed for the first time
	notice string        // to be read when tried is closed
}

// NewReporter returns a reporter to the room at address, the URL that the board prints for
// participants. With an empty name, it is the last one that was used in the folder. The
// reporter looks for the board at once, so that a report need not wait for that.
func NewReporter(address, name string) (*Reporter, error) {
	return newReporter(address, name, &http.Transport{DisableCompression: true}) // no proxy: a board is in the room
}

func newReporter(address, name string, transport http.RoundTripper) (*Reporter, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("-board %s: want the URL that the board prints, such as http://192.168.1.7:7070/xyz", clean(address, maxAnswer))
	}
	if letters := utf8.RuneCountInString(name); letters > maxName {
		return nil, fmt.Errorf("-name has %d letters: at most %d", letters, maxName)
	}
	u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
	ctx, stop := context.WithCancel(context.Background())
	r := &Reporter{
		url: strings.TrimRight(u.String(), "/"), host: u.Host, name: clean(name, maxName), stop: stop,
		newest: make(chan *outgoing, 1), notices: make(chan string, 8),
	}
	r.client = &http.Client{
		Transport:     transport,
		Timeout:       answerWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a report goes where its participant sends it
	}
	go r.run(ctx)
	return r, nil
}

// Refuse returns why nothing can be reported from a folder; nil if it can.
func Refuse(t check.Target) error {
	if t.Progress == nil {
		return errors.New("-board is for a folder that start made: nothing is written into the course's own, and a board knows a participant by a file there")
	}
	return nil
}

// Report sends what a check of all tests saw. It does not wait for the board. A report
// that has not left yet is replaced by this one.
func (r *Reporter) Report(c *check.Report) {
	if r == nil || c.Target.Progress == nil {
		return
	}
	f := openFolder(c.Target.Dir)
	f.Name = cmp.Or(r.name, f.Name)
	m := f.see(seen{c.Target.Station.Name, c.OfCourse(), c.Passed(), c.ToDo(), c.NotCompiled()}, time.Now())
	if err := f.save(c.Target.Dir); err != nil {
		r.tell(fmt.Sprintf("board: %v: the board will count you as new", err))
	}
	r.send(m)
}

func (r *Reporter) send(m *message) {
	out := &outgoing{message: m, tried: make(chan struct{})}
	r.last = out
	for {
		select {
		case r.newest <- out:
			return
		case <-r.newest:
		}
	}
}

// Notices returns a channel with lines for the participant: when reports begin to
// arrive, and when they fail. A nil Reporter has none.
func (r *Reporter) Notices() <-chan string {
	if r == nil {
		return nil
	}
	return r.notices
}

// Finish ends the reporter, and returns a line about the last report for the participant,
// "" if there was none. It waits a second at most, and not at all for a board that has
// not answered since NewReporter.
func (r *Reporter) Finish() string {
	if r == nil {
		return ""
	}
	defer r.stop()
	if r.last == nil {
		return ""
	}
	wait := time.Duration(0)
	if r.reached.Load() {
		wait = grace
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-r.last.tried:
		return r.last.notice
	case <-late.C:
	}
	if why := r.failure.Load(); why != nil && wait == 0 {
		return *why
	}
	return r.failed("no answer from " + r.host)
}

// run sends reports until ctx ends. Of failures in a row, it tells only the first.
func (r *Reporter) run(ctx context.Context) {
	defer r.client.CloseIdleConnections()
	var pending *outgoing // has not arrived yet
	again := time.NewTimer(0)
	defer again.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case pending = <-r.newest:
		case <-again.C:
		}
		wait, err := r.try(ctx, pending)
		state, notice := "fine", ""
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			state, notice = "failing", r.failed(err.Error())
			again.Reset(wait)
		case pending != nil:
			notice = r.arrived(pending.message)
		}
		if notice != "" && state != told {
			r.tell(notice)
			told = state
		}
		pending.conclude(notice)
		if err == nil {
			pending = nil
		}
	}
}

// conclude says how sending o ended the first time.
func (o *outgoing) conclude(notice string) {
	if o != nil && o.notice == "" {
		o.notice = notice
		close(o.tried)
	}
}

// try looks for the board until it has answered once, and sends the report, if there is
// one. It returns when to try again after an error.
func (r *Reporter) try(ctx context.Context, o *outgoing) (again time.Duration, err error) {
	if !r.reached.Load() {
		if again, err := r.ask(ctx, http.MethodGet, "/hello", nil); err != nil {
			return again, err
		}
		r.reached.Store(true)
	}
	if o == nil {
		return 0, nil
	}
	body, err := json.Marshal(o.message)
	if err != nil {
		return tryAgain, err
	}
	return r.ask(ctx, http.MethodPost, "/report", body)
}

// ask sends one request. Its error is for the participant's terminal.
func (r *Reporter) ask(ctx context.Context, method, path string, body []byte) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return tryAgain, errors.New(clean(err.Error(), maxAnswer))
	}
	req.Header.Set("User-Agent", "workshop")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return tryAgain, r.unreachable(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	switch resp.StatusCode {
	case http.StatusNoContent:
		return 0, nil
	case http.StatusNotFound:
		return tryAgain, fmt.Errorf("%s has no such board: compare the URL with the one that it prints for participants", r.host)
	}
	again = tryAgain
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		again = min(time.Duration(seconds)*time.Second, slowest)
	}
	return again, fmt.Errorf("%s answers: %s", r.host, cmp.Or(clean(string(text), maxAnswer), strconv.Itoa(resp.StatusCode)))
}

// unreachable says in a line why there is no answer, without the URL and its secret.
func (r *Reporter) unreachable(err error) error {
	if os.IsTimeout(err) {
		return errors.New("no answer from " + r.host)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("cannot reach %s: %s", r.host, clean(err.Error(), maxAnswer))
}

func (r *Reporter) failed(why string) string {
	line := "board: not reported: " + why
	r.failure.Store(&line)
	return line
}

func (r *Reporter) arrived(m *message) string {
	as := strconv.Quote(m.Name)
	if m.Name == "" {
		as = "no name (-name NAME)"
	}
	return fmt.Sprintf("board: reported as %s: %s, %d of %d tests pass", as, m.Station, len(m.Passing), len(m.Passing)+len(m.ToDo))
}

// tell passes a line on to whoever looks at Notices. One too many is dropped.
func (r *Reporter) tell(line string) {
	select {
	case r.notices <- line:
	default:
	}
}
