package consul

import (
	"fmt"
	"io"
	"net/http"

	"github.com/hashicorp/consul/api"
)

const (
	maxAnswer  = 8 << 20  // bytes of an answer, without compression: of thousands of instances
	maxFailure = 64 << 10 // bytes of an answer that is an error
	maxHeaders = 64 << 10
)

// NewClient returns a client as [api.NewClient] does, and bounds what an agent may answer: 8 MiB
// of body, without compression, and 64 KiB of headers. A longer answer is an error. Decoded, it
// may take many times its length for a moment. The client of api.NewClient keeps all that an
// agent sends, for as long as it sends.
//
// A nil config stands for api.DefaultConfig. The config does not change, and its HttpClient and
// Transport are copied. The client may be used by many goroutines.
func NewClient(config *api.Config) (*api.Client, error) {
	if config == nil {
		config = api.DefaultConfig()
	}
	own := *config
	if own.HttpClient != nil {
		copied := *own.HttpClient
		own.HttpClient = &copied
	}
	if own.Transport != nil {
		own.Transport = own.Transport.Clone()
	}
	client, err := api.NewClient(&own)
	if err != nil {
		return nil, err
	}
	// Only now: for an address of a Unix socket, api has made another HttpClient. The client has
	// the same one.
	own.HttpClient.Transport = bound(own.HttpClient.Transport)
	return client, nil
}

func bound(by http.RoundTripper) http.RoundTripper {
	if by == nil {
		by = http.DefaultTransport
	}
	if t, ok := by.(*http.Transport); ok && t.MaxResponseHeaderBytes <= 0 {
		t = t.Clone()
		t.MaxResponseHeaderBytes = maxHeaders
		by = t
	}
	return bounded{by}
}

// bounded is a RoundTripper whose answers have bodies of bounded length.
type bounded struct{ by http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.by.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body := &boundedBody{ReadCloser: resp.Body, left: maxAnswer + 1, end: fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)}
	if resp.StatusCode >= http.StatusBadRequest {
		body.left, body.end = maxFailure, io.EOF // api makes it the text of an error
	}
	resp.Body = body
	return resp, nil
}

// boundedBody ends with an error after so many bytes.
type boundedBody struct {
	io.ReadCloser
	left int
	end  error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, b.end
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
