package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/numbers"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// style is the page's only style sheet. A browser that reads it turns line ends
// into newlines before it takes the hash.
var style = strings.ReplaceAll(pageCSS, "\r\n", "\n")

// script is of the pages of streams, and shows one. It is read as style is.
var script = strings.ReplaceAll(pageJS, "\r\n", "\n")

// policy lets the page have its style sheet, and nothing else: text injected
// into the page could load nothing and send nothing.
var policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hashOf(style))

// streamPolicy is policy for the page of a stream, which has its script as well. Text
// injected into it could still load nothing.
var streamPolicy = policy + fmt.Sprintf("; script-src 'sha256-%s'; connect-src 'self'", hashOf(script))

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"duration": span,
	"number":   numbers.Thousands[int64],
	"rate":     rate,
}).Parse(pageHTML))

// refresh is after how many seconds the list is loaded again.
const refresh = 5

// page is what the Gateway shows of its server.
type page struct {
	recorder *Recorder // nil: no figures
}

func newPage(recorder *Recorder) *page { return &page{recorder: recorder} }

// methodView is a method as the templates see it.
type methodView struct {
	Name          string // "CheckStock"
	Full          string // "Inventory.CheckStock"
	Link          string
	Params, Reply string
	Kind          string // "server stream"; empty: it is a call
	Runs          bool   // it is a stream that the page can show
	NonBlocking   bool
	Figures       *figures // nil: none are kept

	ParamsTypes, ReplyTypes []structType // on the method's own page
	Curl                    string
	Sample                  string // params to begin with
}

// Takes and Returns are what a method has of messages, as a program reads them.
func (m methodView) Takes() string {
	if m.streams(rpc.ClientStreaming) {
		return "stream " + m.Params
	}
	return m.Params
}

// Returns is what a caller gets.
func (m methodView) Returns() string {
	if m.streams(rpc.ServerStreaming) {
		return "stream " + m.Reply
	}
	return m.Reply
}

// streams reports whether items go in the direction that one has to itself.
func (m methodView) streams(one rpc.MethodKind) bool {
	return m.Kind == one.String() || m.Kind == rpc.BidiStreaming.String()
}

// Unused reports whether there is nothing to tell of the method, which saves room on a phone.
func (m methodView) Unused() bool {
	return m.Figures != nil && m.Figures.Calls == 0 && m.Figures.InFlight == 0
}

// serviceView is a service as the templates see it.
type serviceView struct {
	Name    string
	Methods []methodView
}

// view is what the templates get.
type view struct {
	Style    template.CSS
	Script   template.JS // empty: none
	Title    string
	State    string
	Host     string
	Up       time.Duration // 0: not known
	Refresh  int           // in seconds; 0: not by itself
	Self     string
	Services []serviceView
	Method   *methodView
	Error    string
}

// showMethods answers GET /rpc/.
func (g *Gateway) showMethods(w http.ResponseWriter, r *http.Request) {
	if wishForPage(r.Header).q <= 0 {
		g.refusePage(w, "")
		return
	}
	v := g.view(r, "Methods")
	if r.URL.Query().Get("refresh") != "off" {
		v.Refresh = refresh
	}
	for _, info := range g.server.Methods() {
		v.add(g.describe(info))
	}
	show(w, http.StatusOK, "list", v)
}

// showMethod answers GET /rpc/Service.Method.
func (g *Gateway) showMethod(w http.ResponseWriter, r *http.Request, name string) {
	info, found := g.server.Method(name)
	if !found {
		g.refuse(w, r, http.StatusNotFound, rpc.Errorf(rpc.NotFound, "method not found: %s", name))
		return
	}
	if wishForPage(r.Header).q <= 0 {
		g.refusePage(w, name)
		return
	}
	m := g.describe(info)
	m.ParamsTypes, m.ReplyTypes = structsIn(info.Params), structsIn(info.Reply)
	m.Curl, m.Sample = curlLine(r, m.Link, info), sample(info.Params)
	v := g.view(r, name)
	v.Method = &m
	if m.Runs {
		v.Script = template.JS(script)
	}
	show(w, http.StatusOK, "method", v)
}

// refuse says what is wrong with a request: on a page to a browser that asks for
// one, else as to a call.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, status int, err *rpc.Error) {
	if !g.isPage(r) || !wantsHTML(r.Header) {
		fail(w, status, err)
		return
	}
	v := g.view(r, http.StatusText(status))
	v.Error = plaintext.Line(err.Message) // it repeats what a link says
	show(w, status, "error", v)
}

func (g *Gateway) view(r *http.Request, title string) *view {
	v := &view{
		Style: template.CSS(style),
		Title: title,
		State: stateName(g.server.State()),
		Host:  r.Host,
		Self:  g.options.prefix + "/",
	}
	if rec := g.options.page.recorder; rec != nil {
		v.Up = time.Since(rec.began)
	}
	return v
}

func (g *Gateway) describe(info rpc.MethodInfo) methodView {
	m := methodView{
		Full:        info.Name,
		Link:        (&url.URL{Path: g.options.prefix + "/" + info.Name}).EscapedPath(), // the one spelling that ServeHTTP takes
		Params:      typeName(info.Params),
		Reply:       typeName(info.Reply),
		NonBlocking: info.NonBlocking,
		Runs:        info.Kind == rpc.ServerStreaming,
	}
	if info.Kind != rpc.Unary {
		m.Kind = info.Kind.String()
	}
	if rec := g.options.page.recorder; rec != nil {
		f := rec.of(info.Name).figures(time.Now())
		m.Figures = &f
	}
	return m
}

// add puts a method under its service: what stands before the name's last dot.
func (v *view) add(m methodView) {
	dot := strings.LastIndexByte(m.Full, '.')
	service := m.Full[:dot]
	if m.Name = m.Full[dot+1:]; m.Name == "" {
		m.Name = m.Full // "Service.Method." is a name, too
	}
	for i := range v.Services {
		if v.Services[i].Name == service {
			v.Services[i].Methods = append(v.Services[i].Methods, m)
			return
		}
	}
	v.Services = append(v.Services, serviceView{service, []methodView{m}})
}

// show sends a page, or an error if the template fails.
func show(w http.ResponseWriter, status int, name string, v *view) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, v); err != nil {
		fail(w, http.StatusInternalServerError, rpc.Errorf(rpc.Internal, "the page cannot be shown"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	if v.Script != "" {
		h.Set("Content-Security-Policy", streamPolicy)
	}
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// curlLine is a command that calls a method of this server from a shell; none for a stream
// that only a connection of package rpc can have.
func curlLine(r *http.Request, path string, info rpc.MethodInfo) string {
	options := ""
	switch info.Kind {
	case rpc.Unary:
	case rpc.ServerStreaming:
		options = "-N "
	default:
		return ""
	}
	target := &url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		target.Scheme = "https"
	}
	return fmt.Sprintf("curl %s-H 'Content-Type: application/json' -d %s %s",
		options, shellQuote(sample(info.Params)), shellQuote(target.String()+path))
}

// shellQuote makes text one word for sh, bash, zsh and fish.
func shellQuote(text string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`).Replace(text) + "'"
}

func stateName(s rpc.State) string {
	switch s {
	case rpc.Serving:
		return "serving"
	case rpc.Draining:
		return "draining"
	}
	return "closed"
}
