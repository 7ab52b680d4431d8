package rpc

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// A gobCodec speaks gob: for each message a Request or Response without its
// value, then the value. It keeps one encoder and one decoder for as long as the
// connection lasts, since gob describes a type only when it is first used; that
// makes gob fast, and ties each message to all that went before.
//
// Gob is for trusted peers. Go does not promise that decoding survives hostile
// input: 4 MB of nested data overflow the stack, which ends the process, and a
// forged length of a map allocates gigabytes.
type gobCodec struct {
	enc    *gob.Encoder
	dec    *gob.Decoder
	broken bool // a message may have been encoded in part
}

func newGobCodec(r *bufio.Reader, w io.Writer) Codec {
	return &gobCodec{enc: gob.NewEncoder(w), dec: gob.NewDecoder(r)}
}

// noValue is sent where there are no params or no result.
type noValue struct{}

func (c *gobCodec) WriteRequest(req Request) error { return c.write(req, req.value) }

func (c *gobCodec) WriteResponse(resp Response) error {
	err := c.write(resp, resp.value)
	if errors.Is(err, errCannotSend) {
		err = c.write(Response{ID: resp.ID, Error: err.Error()}, nil)
	}
	return err
}

// write encodes a message. If that fails half-way, the encoder believes that
// the other side knows types which were never sent: the stream is broken.
func (c *gobCodec) write(message, value any) error {
	for v := reflect.ValueOf(value); v.Kind() == reflect.Pointer; v = v.Elem() {
		if v.IsNil() {
			return fmt.Errorf("%w: gob has no nil pointers", errCannotSend)
		}
	}
	if c.broken {
		return errors.New("gob stream is broken")
	}
	if value == nil {
		value = noValue{}
	}
	c.broken = true
	err := c.enc.Encode(message)
	if err == nil {
		err = c.enc.Encode(value)
	}
	c.broken = err != nil
	return err
}

func (c *gobCodec) ReadRequest(params func(method string) any) (Request, error) {
	var req Request
	if err := c.dec.Decode(&req); err != nil {
		return Request{}, err
	}
	req.value, req.valueErr = c.readValue(params(req.Method))
	if isEOF(req.valueErr) {
		return req, io.ErrUnexpectedEOF
	}
	return req, req.check()
}

func (c *gobCodec) ReadResponse(result func(id uint64) any) (Response, error) {
	var resp Response
	if err := c.dec.Decode(&resp); err != nil {
		return Response{}, err
	}
	resp.value, resp.valueErr = c.readValue(result(resp.ID))
	if isEOF(resp.valueErr) {
		return resp, io.ErrUnexpectedEOF
	}
	return resp, nil
}

// isEOF reports whether the stream ended where a value should have been.
func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// readValue decodes the value that follows a message into what target points
// to. A value that does not fit is read to its end, too, so the stream goes on.
// One exception: if it has new types inside an interface, the decoder does not
// learn them.
func (c *gobCodec) readValue(target any) (value any, err error) {
	defer func() {
		if v := recover(); v != nil { // in the GobDecode of the target's type
			value, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	if err := c.dec.Decode(target); err != nil {
		return nil, err
	}
	return target, nil
}

// assign copies what value points to into what v points to. Both are pointers to
// the same type.
func assign(v, value any) {
	reflect.ValueOf(v).Elem().Set(reflect.ValueOf(value).Elem())
}
