package studio

import (
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// handler answers the requests of the reader's browser.
func (s *Studio) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.page)
	mux.HandleFunc("GET /studio/events", s.events)
	mux.HandleFunc("GET /studio/message", s.message)
	mux.HandleFunc("POST /studio/diff", s.postDiff)
	mux.HandleFunc("POST /studio/again", s.postAgain)
	mux.HandleFunc("POST /studio/predict", s.postPredict)
	mux.HandleFunc("POST /studio/wire", s.postWire)
	return s.guard(mux)
}

// page serves a page or a file of the book, or of the studio's own.
func (s *Studio) page(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	if data, ok := s.asset(name); ok {
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		w.Write(data)
		return
	}
	html, err := s.html(name)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case html == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(html)
	}
}

// asset returns a file that pages load.
func (s *Studio) asset(name string) ([]byte, bool) {
	if data, err := assets.ReadFile("assets/" + path.Base(name)); err == nil && path.Dir(name) == "studio" {
		return data, true
	}
	if path.Dir(name) != "assets" {
		return nil, false
	}
	if path.Base(name) == "search-index.js" {
		data, err := s.book.index()
		return data, err == nil
	}
	files, err := book.Assets()
	data, ok := files[name]
	return data, ok && err == nil
}

// html returns a page; nil if there is none.
func (s *Studio) html(name string) ([]byte, error) {
	up := strings.Repeat("../", strings.Count(name, "/"))
	all := s.panelsOf(name)
	extra := book.Extra{
		Head: template.HTML(`<link rel="stylesheet" href="` + up + `studio/studio.css">` + "\n" + `<script defer src="` + up + `studio/studio.js"></script>` + "\n"),
		Top:  template.HTML(`<aside class="studio-bar" id="`+barID+`" aria-label="Your folder" data-panel data-page="`+template.HTMLEscapeString(name)+`">`) + all[barID] + template.HTML(`</aside><p class="studio-live" role="status" id="studio-live"></p>`+"\n"),
	}
	if name == wirePage {
		return s.book.own(name, "The live wire", render("wirepage", struct{ Server template.HTML }{all[serverID]}), extra)
	}
	page := s.book.book.Lookup(name)
	if page == nil {
		return nil, nil
	}
	after, end := map[string]template.HTML{}, map[string]template.HTML{}
	for id, text := range all {
		place, ok := strings.CutPrefix(id, pieceID)
		label := "Your code of the piece " + place
		switch {
		case id == predictID:
			place, ok, label = predictAnchor, true, "Your prediction"
		case id == overviewID:
			place, ok, label = lesson.Anchor(page.Title), true, "Your folder"
		}
		to := after
		if id == predictID {
			to = end // below the question
		}
		if ok {
			to[place] = template.HTML(fmt.Sprintf(`<section class="studio-panel" id="%s" aria-label="%s" data-panel>%s</section>`+"\n", id, template.HTMLEscapeString(label), text))
		}
	}
	extra.After, extra.End = after, end
	return s.book.render(page, extra)
}

// panelsOf returns the panels of a page, by their ids.
func (s *Studio) panelsOf(name string) map[string]template.HTML {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	all := map[string]template.HTML{barID: render("bar", s.bar(name))}
	if name == wirePage {
		all[serverID] = render("server", s.wire.view(s.state.target))
		return all
	}
	page := s.book.book.Lookup(name)
	if page == nil || page.Station == nil || page.Source != page.Station.Page() {
		return all
	}
	if view, ok := s.predictView(*page.Station); ok {
		all[predictID] = render("predict", view)
	}
	if page.Station.Name != s.state.target.Station.Name {
		return all
	}
	all[overviewID] = render("overview", s.overview(name))
	for _, p := range s.pieces() {
		all[pieceID+p.ID] = render("piece", p)
	}
	return all
}

// events sends panels whenever they have changed, and messages of the wire to its page.
func (s *Studio) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	f := &feed{w: w, studio: s, page: strings.TrimPrefix(r.URL.Query().Get("page"), "/"), sent: map[string]template.HTML{}, at: -1}
	if r.URL.Query().Has("wire") {
		f.at, _ = strconv.Atoi(r.URL.Query().Get("wire"))
	}
	out := http.NewResponseController(w)
	for {
		changed := s.state.wait()
		f.news()
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-s.ended:
			return
		}
		select { // what changes often is sent at most so often
		case <-time.After(50 * time.Millisecond):
		case <-s.ended:
			return
		}
	}
}

// A feed is what one page is sent.
type feed struct {
	w      http.ResponseWriter
	studio *Studio
	page   string
	sent   map[string]template.HTML // the panels, as the page has them
	said   string
	at     int // the next message of the wire; -1: none are wanted
	from   int // the messages before it were cleared
}

// news sends what the page does not have yet.
func (f *feed) news() {
	news := map[string]template.HTML{}
	for id, text := range f.studio.panelsOf(f.page) {
		if f.sent[id] != text {
			news[id], f.sent[id] = text, text
		}
	}
	if len(news) > 0 {
		f.send("panels", news)
	}
	if text := f.studio.spoken(); text != "" && text != f.said {
		f.said = text
		f.send("say", text)
	}
	if from := f.studio.wire.from(); f.at >= 0 && from > f.from {
		f.from = from
		f.send("clear", from)
	}
	for more := f.at >= 0; more; {
		var rows []row
		if rows, f.at, more = f.studio.wire.since(f.at); len(rows) > 0 {
			f.send("wire", rows)
		}
	}
}

// send writes an event.
func (f *feed) send(event string, data any) {
	if text, err := json.Marshal(data); err == nil {
		fmt.Fprintf(f.w, "event: %s\ndata: %s\n\n", event, text)
	}
}

// spoken is what those hear who do not see the page: how a check ended.
func (s *Studio) spoken() string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.state.phase == checking {
		return ""
	}
	if s.state.err != nil {
		return s.state.err.Error()
	}
	text := s.state.tally
	if next, _ := s.next(); next != "" {
		text += " Next: " + next
	}
	return text
}

// done ends a request that a form has made: a script gets nothing, a browser without one
// goes back.
func done(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Studio") != "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	to := "/"
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
		to = from.Path
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// postDiff shows or hides how a piece differs from ours.
func (s *Studio) postDiff(w http.ResponseWriter, r *http.Request) {
	s.state.show(r.FormValue("piece"), r.FormValue("show") == "yes")
	done(w, r)
}

// postAgain runs the tests again.
func (s *Studio) postAgain(w http.ResponseWriter, r *http.Request) {
	select {
	case s.again <- struct{}{}:
	default: // it was asked already
	}
	done(w, r)
}

// postWire starts or stops the reader's server, or forgets what has passed.
func (s *Studio) postWire(w http.ResponseWriter, r *http.Request) {
	s.state.mu.Lock()
	target := s.state.target
	s.state.mu.Unlock()
	switch r.FormValue("do") {
	case "start":
		program := r.FormValue("program")
		if !slices.Contains(programsOf(target), program) {
			http.Error(w, "no such program", http.StatusBadRequest)
			return
		}
		s.wire.start(target, program)
	case "clear":
		s.wire.clear()
	default:
		s.wire.stop()
	}
	done(w, r)
}

// message serves what there is to say of one message.
func (s *Studio) message(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	m, ok := s.wire.find(n)
	if err != nil || !ok {
		http.Error(w, "that message is not kept any more", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	panels.ExecuteTemplate(w, "message", m)
}
