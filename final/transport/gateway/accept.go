package gateway

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// The kinds of a page. What is sent is the first.
const (
	htmlPage  = "text/html"
	xhtmlPage = "application/xhtml+xml"
)

// A wish is what Accept says of a kind of answer.
type wish struct {
	q     float64 // from 0, not acceptable, to 1
	named bool    // it is named, and not only among */* or text/*
}

// wishFor finds what Accept says of a kind. Without Accept any is acceptable.
func wishFor(h http.Header, kind string) wish {
	best, found, any := -1, wish{}, true
	family, _, _ := strings.Cut(kind, "/")
	for _, list := range h.Values("Accept") {
		for accepted := range strings.SplitSeq(list, ",") {
			name, params, err := mime.ParseMediaType(accepted)
			if err != nil {
				continue
			}
			any = false
			precision := -1
			switch name {
			case kind:
				precision = 2
			case family + "/*":
				precision = 1
			case "*/*":
				precision = 0
			}
			if precision <= best {
				continue
			}
			q, err := strconv.ParseFloat(params["q"], 64)
			if err != nil {
				q = 1
			}
			best, found = precision, wish{q: q, named: precision == 2}
		}
	}
	if any {
		return wish{q: 1}
	}
	return found
}

// over reports whether w is preferred to other.
func (w wish) over(other wish) bool {
	return w.q > other.q || w.q == other.q && w.named && !other.named
}

// wishForPage is what Accept says of a page.
func wishForPage(h http.Header) wish {
	html, xhtml := wishFor(h, htmlPage), wishFor(h, xhtmlPage)
	if xhtml.named && xhtml.over(html) {
		return xhtml
	}
	return html
}

// wantsHTML reports whether a page is among what Accept names. A program that
// takes anything, such as curl, does not name it.
func wantsHTML(h http.Header) bool {
	w := wishForPage(h)
	return w.named && w.q > 0
}

// wantsEvents reports whether a stream is to be sent as events. Lines are what a program
// gets that takes anything.
func wantsEvents(h http.Header) bool {
	events := wishFor(h, eventStream)
	return events.named && events.q > 0 && events.q >= wishFor(h, ndjson).q
}

// isStreamByGET reports whether a request opens a stream that WithGET has named: if it
// names a form of streams, and does not prefer the page.
func (g *Gateway) isStreamByGET(r *http.Request, name string) bool {
	if r.Method != http.MethodGet || !g.options.get[name] {
		return false
	}
	best := wishFor(r.Header, ndjson)
	if events := wishFor(r.Header, eventStream); events.over(best) {
		best = events
	}
	return best.named && best.q > 0 && (g.options.page == nil || best.over(wishForPage(r.Header)))
}

// refusePage says what there is where Accept takes no page: 406. The name is a method's,
// or empty for the list of all.
func (g *Gateway) refusePage(w http.ResponseWriter, name string) {
	text := "by GET there is a page here, text/html"
	info, _ := g.server.Method(name)
	switch {
	case name == "":
	case info.Kind == rpc.Unary:
		text += "; a call is a POST"
	case info.Kind != rpc.ServerStreaming:
		text += "; a " + info.Kind.String() + " needs a connection of package rpc"
	case g.options.get[name]:
		text += ", or the stream, " + eventStream + " or " + ndjson
	default:
		text += "; a stream is opened by POST, or by GET if the server allows it (WithGET)"
	}
	fail(w, http.StatusNotAcceptable, rpc.Errorf(rpc.InvalidArgument, "%s", text))
}
