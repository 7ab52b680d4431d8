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

// WithCORS lets pages of these origins call, for example
// "https://shop.example". The gateway says yes to the questions that their
// browsers ask first, and shows them the answers. The pages may send any
// header, but no cookies: Authorization identifies the caller. Other origins
// are refused as without the option. A second WithCORS adds its origins. It
// panics unless each origin is a scheme and a host, with or without a port;
// there is no wildcard. Default: none.
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
