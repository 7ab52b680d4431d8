package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser remembers what it may send.
const preflightAge = 10 * time.Minute

// WithCORS lets pages of these origins call, "https://shop.example" for example:
// what their browsers ask first is answered with yes, and what comes is shown to
// them. They may send what any caller may, in the headers, but no cookies: what
// shows who calls is Authorization. Other origins are refused as without the
// option. A second WithCORS adds its origins. It panics if an origin is not a
// scheme and a host, with a port or without; there is none for all. Default: none.
func WithCORS(origins ...string) Option {
	check := http.NewCrossOriginProtection()
	var lower []string // as browsers send them
	for _, origin := range origins {
		err := check.AddTrustedOrigin(origin)
		if err != nil || strings.Contains(origin, "*") {
			panic(fmt.Sprintf("gateway: WithCORS: origin %q: want a scheme and a host, such as https://shop.example", origin))
		}
		lower = append(lower, strings.ToLower(origin))
	}
	return func(o *options) { o.origins = append(o.origins, lower...) }
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
