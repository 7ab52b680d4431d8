package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/cors"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// preflightAge is how long a browser remembers what it may send.
const preflightAge = 10 * time.Minute

// WithCORS lets pages of these origins call, for example
// "https://shop.example". The gateway says yes to the questions that their
// browsers ask first, and shows them the answers. The pages may send any
// header, but no cookies: Authorization identifies the caller. Other origins
// are refused as without the option. A second WithCORS adds its origins. It
// panics unless each origin is a scheme and a host, with or without a port;
// there is no wildcard, and a host of another script is to be written as DNS
// has it (xn--…). Default: none.
func WithCORS(origins ...string) Option {
	var sent []string
	for _, origin := range origins {
		text, ok := asSent(origin)
		if !ok {
			panic(fmt.Sprintf("gateway: WithCORS: origin %q: want a scheme and a host, such as https://shop.example", origin))
		}
		sent = append(sent, text)
	}
	return func(o *options) { o.origins = append(o.origins, sent...) }
}

// asSent returns an origin as browsers send it: in lower case, and without the port
// that its scheme has anyhow.
func asSent(origin string) (string, bool) {
	if http.NewCrossOriginProtection().AddTrustedOrigin(origin) != nil {
		return "", false
	}
	at, err := url.Parse(strings.ToLower(origin))
	if err != nil || at.User != nil || misuse.CheckHost(at.Hostname()) != nil {
		return "", false
	}
	if at.Scheme == "https" && at.Port() == "443" || at.Scheme == "http" && at.Port() == "80" {
		at.Host = at.Host[:strings.LastIndexByte(at.Host, ':')]
	}
	return at.String(), true
}

// share puts around next what lets pages of origins call.
func share(origins []string, next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         int(preflightAge.Seconds()),
	}).Handler(next)
}
