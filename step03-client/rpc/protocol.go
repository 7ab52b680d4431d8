package rpc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A Request asks for a call of a method. On the wire it is a line of JSON:
//
//	{"method":"Inventory.CheckStock","params":"item1"}
type Request struct {
	Method string `json:"method,omitempty"`

	// Params is the method's one parameter, still as JSON: only the method
	// knows its type. Nil if the request has none.
	Params json.RawMessage `json:"params,omitempty"`
}

// A Response answers a Request with a result or an error, never both:
//
//	{"result":100}
//	{"error":"method not found: Inventory.Nope"}
type Response struct {
	Result json.RawMessage `json:"result,omitempty"` // empty means null, unless there is an Error
	Error  string          `json:"error,omitempty"`  // empty: the call succeeded
}

// errInvalidRequest is the error of a line that is no request. The line has
// been read to its end, so that the next one can be served.
var errInvalidRequest = errors.New("invalid request")

// errInvalidResponse is the error of a line that is no response.
var errInvalidResponse = errors.New("invalid response")

// readRequest reads the next request and skips empty lines. Its error is
// errInvalidRequest (wrapped, with the reason), errLineTooLong or the reader's.
func readRequest(r *bufio.Reader) (Request, error) {
	line, err := readMessage(r)
	if err != nil {
		return Request{}, err
	}
	var req Request
	if err := unmarshal(line, &req); err != nil {
		return Request{}, fmt.Errorf("%w: %w", errInvalidRequest, err)
	}
	if req.Method == "" {
		return Request{}, fmt.Errorf("%w: method is missing", errInvalidRequest)
	}
	return req, nil
}

// writeResponse writes resp as a line, in one Write. A response that cannot be
// sent as it is becomes one that says why.
func writeResponse(w io.Writer, resp Response) error {
	if len(resp.Result) == 0 && resp.Error == "" {
		resp.Result = json.RawMessage("null")
	}
	line, err := marshalLine(resp)
	if err != nil {
		line, err = marshalLine(Response{Error: err.Error()})
	}
	if err != nil {
		return err
	}
	_, err = w.Write(line)
	return err
}

// writeRequest writes req as a line, in one Write. If req cannot be sent as it
// is, nothing is written and the error is errCannotSend (wrapped).
func writeRequest(w io.Writer, req Request) error {
	line, err := marshalLine(req)
	if err != nil {
		return err
	}
	_, err = w.Write(line)
	return err
}

// readResponse reads the next response. Its error is errInvalidResponse (wrapped,
// with the reason), errLineTooLong or the reader's. After an error, nothing that
// follows can be trusted.
func readResponse(r *bufio.Reader) (Response, error) {
	line, err := readMessage(r)
	if err != nil {
		return Response{}, err
	}
	var resp Response
	if err := unmarshal(line, &resp); err != nil {
		return Response{}, fmt.Errorf("%w: %w", errInvalidResponse, err)
	}
	if resp.Result == nil && resp.Error == "" {
		return Response{}, fmt.Errorf("%w: neither result nor error", errInvalidResponse)
	}
	return resp, nil
}

// newRequest encodes params, unless they are nil.
func newRequest(method string, params any) (Request, error) {
	if params == nil {
		return Request{Method: method}, nil
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return Request{}, fmt.Errorf("%w: %w", errCannotSend, err)
	}
	return Request{Method: method, Params: raw}, nil
}

// decode stores the response's result in *result, unless result is nil. If the
// response has an error, decode returns it, and *result stays as it is.
func (resp Response) decode(method string, result any) error {
	if resp.Error != "" {
		return &Error{Message: resp.Error}
	}
	if result == nil {
		return nil
	}
	if err := unmarshalNew(resp.Result, result); err != nil {
		return fmt.Errorf("rpc: result of %s: %w", method, err)
	}
	return nil
}

// readMessage returns the next line that is not empty.
func readMessage(r *bufio.Reader) ([]byte, error) {
	for {
		line, err := readLine(r)
		if line = bytes.TrimSpace(line); len(line) > 0 || err != nil {
			return line, err
		}
	}
}

// errCannotSend is the error of a message that is not fit for the wire. Nothing
// of it has been written.
var errCannotSend = errors.New("cannot send")

// marshalLine returns v as a line of JSON, newline included. JSON has no bare
// newlines, so the only one is at the end. Its error is errCannotSend (wrapped,
// with the reason).
func marshalLine(v any) ([]byte, error) {
	line, err := json.Marshal(v)
	if err == nil && len(line) > maxLine {
		err = errLineTooLong
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCannotSend, err)
	}
	return append(line, '\n'), nil
}

// unmarshal is json.Unmarshal, but refuses invalid UTF-8, which json.Unmarshal
// replaces without a word.
func unmarshal(line []byte, v any) error {
	if !utf8.Valid(line) {
		return errors.New("not valid UTF-8")
	}
	return json.Unmarshal(line, v)
}
