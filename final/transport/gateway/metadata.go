package gateway

import (
	"net/http"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// metaPrefix begins the headers that are metadata, in the spelling of net/http.
const metaPrefix = "Rpc-Meta-"

// passedOn are headers of HTTP that are metadata by their own names.
var passedOn = map[string]bool{"Authorization": true, "Baggage": true, "Traceparent": true, "Tracestate": true}

// metadataOf collects a call's metadata, at most limit bytes. A header that comes
// twice is refused: whoever looks at it must not see another value than the handler.
// rpc.Server checks the rest.
func metadataOf(h http.Header, limit int) (md rpc.Metadata, status int, err error) {
	size := 0
	for name, values := range h {
		key, ours := strings.CutPrefix(name, metaPrefix)
		if !ours && !passedOn[name] {
			continue
		}
		key = strings.ToLower(key)
		if _, twice := md[key]; twice || len(values) > 1 {
			return nil, http.StatusBadRequest, rpc.Errorf(rpc.InvalidArgument, "metadata %s is given more than once", key)
		}
		if size += len(key) + len(values[0]) + 4; size > limit {
			return nil, http.StatusRequestHeaderFieldsTooLarge, rpc.Errorf(rpc.ResourceExhausted, "metadata of more than %d bytes", limit)
		}
		if md == nil {
			md = rpc.Metadata{}
		}
		md[key] = values[0]
	}
	return md, 0, nil
}
