package rpc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// A Codec reads and writes the messages of one connection: requests one way,
// responses the other. One goroutine may write while another reads.
//
// Some codecs must know a value's Go type while they read it. They ask for a
// pointer to decode into: params(method) returns one for the params of that
// method, result(id) one for the result of the call with that id. If it is nil,
// the codec reads the value and drops it.
type Codec interface {
	// The error of WriteRequest is errCannotSend (wrapped) if nothing has been
	// written. After any other error, of any method, the stream is broken, with
	// one exception: after errInvalidRequest (wrapped) from ReadRequest, the next
	// request can be read.
	WriteRequest(Request) error
	ReadRequest(params func(method string) any) (Request, error)
	WriteResponse(Response) error
	ReadResponse(result func(id uint64) any) (Response, error)
}

// newCodec maps the name of a codec to the function that makes one.
var newCodec = map[string]func(*bufio.Reader, io.Writer) Codec{
	"json": func(r *bufio.Reader, w io.Writer) Codec { return &jsonCodec{r, w} },
	"gob":  newGobCodec,
}

// A jsonCodec speaks JSON, one value a line.
type jsonCodec struct {
	r *bufio.Reader
	w io.Writer
}

func (c *jsonCodec) WriteRequest(req Request) error {
	if req.value != nil {
		raw, err := json.Marshal(req.value)
		if err != nil {
			return fmt.Errorf("%w: %w", errCannotSend, err)
		}
		req.Params = raw
	}
	return writeRequest(c.w, req)
}

func (c *jsonCodec) ReadRequest(func(string) any) (Request, error) { return readRequest(c.r) }

func (c *jsonCodec) WriteResponse(resp Response) error {
	if resp.value != nil {
		raw, err := json.Marshal(resp.value)
		if err != nil {
			resp.Error = fmt.Sprintf("%v: %v", errCannotSend, err)
		}
		resp.Result = raw
	}
	return writeResponse(c.w, resp)
}

func (c *jsonCodec) ReadResponse(func(uint64) any) (Response, error) { return readResponse(c.r) }

// newParams returns a pointer to a new value of the method's parameter type, to
// decode params into; nil if there is no such method.
func (s *Server) newParams(name string) any {
	m := s.method(name)
	switch {
	case m == nil:
		return nil
	case m.param == nil:
		return &struct{}{}
	}
	return reflect.New(m.param).Interface()
}
