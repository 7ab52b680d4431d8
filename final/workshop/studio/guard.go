package studio

import (
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
)

// policy lets a page load what this server has, and nothing from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard lets nothing pass but the reader's own browser: the name of the host must be that
// of this machine, since another name that leads here would make other sites' pages ours;
// the token must be there; and what changes something must come from our own pages.
func (s *Studio) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !slices.Contains(s.hosts(), r.Host):
			http.Error(w, "this studio is at "+s.host+", not at "+r.Host, http.StatusMisdirectedRequest)
		case !s.knows(w, r):
			http.Error(w, s.refusal(r), http.StatusForbidden)
		case r.Method == http.MethodPost && r.Header.Get("Origin") != "http://"+r.Host:
			http.Error(w, "this is not from the studio's own pages", http.StatusForbidden)
		case r.Method != http.MethodPost && r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
			next.ServeHTTP(w, r)
		}
	})
}

// hosts are the names by which this machine calls itself.
func (s *Studio) hosts() []string {
	_, port, _ := net.SplitHostPort(s.host)
	return []string{s.host, "127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}
}

// knows reports whether a request has the token. That of the address becomes a cookie.
func (s *Studio) knows(w http.ResponseWriter, r *http.Request) bool {
	if s.isToken(r.URL.Query().Get("token")) {
		http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		return true
	}
	cookie, err := r.Cookie(s.cookie())
	return err == nil && s.isToken(cookie.Value)
}

// cookie is the name of ours: the cookies of one host are shared by its ports.
func (s *Studio) cookie() string {
	_, port, _ := net.SplitHostPort(s.host)
	return "studio-" + port
}

// refusal says what is wrong with a request that s does not know.
func (s *Studio) refusal(r *http.Request) string {
	what := "no token, which the address has"
	if r.URL.Query().Has("token") {
		what = "a wrong token, maybe that of a studio that has ended"
	} else if _, err := r.Cookie(s.cookie()); err == nil {
		what = "the token of a studio that has ended"
	}
	return "open the address that the studio printed at its start: this request has " + what
}

func (s *Studio) isToken(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(s.token)) == 1
}
