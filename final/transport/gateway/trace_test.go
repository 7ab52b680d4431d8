package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/rpc"
)

// What a client, or a proxy between, says of a trace fails no call.
func TestCall_TracesFailNoCall(t *testing.T) {
	const (
		parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		other  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01"
	)
	member := "key=" + strings.Repeat("v", 59) // 63 bytes, and a comma
	full := strings.TrimSuffix(strings.Repeat(member+",", 128), ",")
	for name, c := range map[string]struct {
		headers []string
		want    rpc.Metadata
	}{
		"a trace":              {[]string{"Traceparent: " + parent, "Tracestate: a=1", "Baggage: b=2"}, rpc.Metadata{"traceparent": parent, "tracestate": "a=1", "baggage": "b=2"}},
		"two baggages":         {[]string{"Baggage: a=1", "Baggage: b=2;p=q , c=3"}, rpc.Metadata{"baggage": "a=1,b=2;p=q,c=3"}},
		"two states":           {[]string{"Traceparent: " + parent, "Tracestate: a=1", "Tracestate: b=2"}, rpc.Metadata{"traceparent": parent, "tracestate": "a=1,b=2"}},
		"many of each":         {[]string{"Traceparent: " + parent, "Tracestate: a=1,,", "Tracestate: ", "Tracestate: ,b=2", "Baggage: ,", "Baggage: x=y"}, rpc.Metadata{"traceparent": parent, "tracestate": "a=1,b=2", "baggage": "x=y"}},
		"two parents":          {[]string{"Traceparent: " + parent, "Traceparent: " + other, "Tracestate: a=1", "Baggage: b=2"}, rpc.Metadata{"baggage": "b=2"}},
		"parents by two names": {[]string{"Traceparent: " + parent, "Rpc-Meta-Traceparent: " + other}, nil},
		"bags by two names":    {[]string{"Baggage: a=1", "Rpc-Meta-Baggage: b=2"}, rpc.Metadata{"baggage": "a=1,b=2"}},
		"a state alone":        {[]string{"Tracestate: a=1"}, nil},
		"a long parent":        {[]string{"Traceparent: " + strings.Repeat("0", 8000), "Tracestate: a=1"}, nil},
		"a parent in Latin-1":  {[]string{"Traceparent: \xe9", "Tracestate: a=1"}, nil},
		"an empty parent":      {[]string{"Traceparent: "}, nil},
		"8 KiB":                {[]string{"Baggage: " + full + "x"}, rpc.Metadata{"baggage": full + "x"}},
		"more than that":       {[]string{"Baggage: " + full, "Baggage: last=1"}, rpc.Metadata{"baggage": full}},
		"one large member":     {[]string{"Baggage: a=1," + strings.Repeat("x", 9000) + ",b=2"}, rpc.Metadata{"baggage": "a=1,b=2"}},
		"much state":           {[]string{"Traceparent: " + parent, "Tracestate: " + full}, rpc.Metadata{"traceparent": parent, "tracestate": full[:32*64-1]}},
		"Latin-1":              {[]string{"Baggage: a=1,name=Ren\xe9,b=2", "Traceparent: " + parent, "Tracestate: x=\xe9,y=2"}, rpc.Metadata{"baggage": "a=1,b=2", "traceparent": parent, "tracestate": "y=2"}},
		"UTF-8":                {[]string{"Baggage: name=René"}, rpc.Metadata{"baggage": "name=René"}},
		"tabs":                 {[]string{"Baggage: a=1\t,\tb=2\t;p"}, rpc.Metadata{"baggage": "a=1,b=2 ;p"}},
		"with other metadata":  {[]string{"Baggage: " + full, "Rpc-Meta-A: " + strings.Repeat("x", 90)}, rpc.Metadata{"baggage": full, "a": strings.Repeat("x", 90)}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var got rpc.Metadata
			inv := newInventory()
			inv.saw = func(ctx context.Context) { got = rpc.MetadataFrom(ctx) }
			_, url := serve(t, inv, nil, WithMaxMetadata(100))
			a := post(t, url+method, `{}`, c.headers...)
			assert.Equal(t, http.StatusOK, a.StatusCode, a.text)
			assert.Equal(t, c.want, got)
		})
	}
}

// Metadata has a number of pairs, too. What of a trace exceeds it is left out.
func TestCall_TracesFailNoCallThatHasManyPairs(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for pairs, want := range map[int][]string{
		125: {"baggage", "traceparent", "tracestate"},
		126: {"traceparent", "tracestate"},
		127: {"traceparent"},
		128: nil,
	} {
		var got rpc.Metadata
		inv := newInventory()
		inv.saw = func(ctx context.Context) { got = rpc.MetadataFrom(ctx) }
		_, url := serve(t, inv, nil)
		headers := []string{"Traceparent: " + parent, "Tracestate: a=1", "Baggage: b=2"}
		for i := range pairs {
			headers = append(headers, fmt.Sprintf("Rpc-Meta-K%d: v", i))
		}
		a := post(t, url+method, `{}`, headers...)
		assert.Equal(t, http.StatusOK, a.StatusCode, a.text)
		var trace []string
		for _, key := range []string{"baggage", "traceparent", "tracestate"} {
			if got[key] != "" {
				trace = append(trace, key)
			}
		}
		assert.Equal(t, want, trace, "%d pairs", pairs)
		assert.Len(t, got, pairs+len(want))
	}
}
