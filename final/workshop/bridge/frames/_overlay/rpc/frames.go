package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A frame begins with its length, and ends without a newline, so that it can hold
// any bytes. Numbers are big-endian, and the length counts what follows it:
//
//	0        4         12
//	| length | call ID | a message in gob, a stream of its own |
//
// A message that cannot be read does not affect the next one, and its ID is still
// known.
const (
	frameHeader = 12
	maxFrame    = maxLine
)

// A frameCodec speaks frames. Gob is for trusted peers: see gobCodec.
type frameCodec struct {
	r *bufio.Reader
	w io.Writer
}

func init() {
	newCodec["frames"] = func(r *bufio.Reader, w io.Writer) Codec { return &frameCodec{r, w} }
}

func (c *frameCodec) WriteRequest(req Request) error {
	return c.writeFrame(req.ID, func(message Codec) error { return message.WriteRequest(req) })
}

func (c *frameCodec) WriteResponse(resp Response) error {
	err := c.writeFrame(resp.ID, func(message Codec) error { return message.WriteResponse(resp) })
	if errors.Is(err, errCannotSend) && resp.Error == "" {
		return c.WriteResponse(Response{ID: resp.ID, Error: err.Error()})
	}
	return err
}

// writeFrame writes what encode has written as a frame, in one Write. If that
// fails or is too long, nothing is written, and the error is errCannotSend
// (wrapped).
func (c *frameCodec) writeFrame(id uint64, encode func(Codec) error) error {
	frame := bytes.NewBuffer(make([]byte, frameHeader, 512)) // the header comes last
	err := encode(newGobCodec(nil, frame))
	length := frame.Len() - 4
	if err == nil && length > maxFrame {
		err = errLineTooLong
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errCannotSend, err)
	}
	binary.BigEndian.PutUint32(frame.Bytes(), uint32(length))
	binary.BigEndian.PutUint64(frame.Bytes()[4:], id)
	_, err = c.w.Write(frame.Bytes())
	return err
}

// readFrame reads a frame. Its length is checked before anything is allocated,
// and what is allocated grows with what arrives.
func (c *frameCodec) readFrame() (id uint64, message Codec, err error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length < frameHeader-4 || length > maxFrame {
		return 0, nil, errLineTooLong
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, c.r, int64(length)-(frameHeader-4)); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return binary.BigEndian.Uint64(header[4:]), newGobCodec(bufio.NewReader(&body), nil), nil
}

func (c *frameCodec) ReadRequest(params func(method string) any) (Request, error) {
	id, message, err := c.readFrame()
	if err != nil {
		return Request{}, err
	}
	req, err := message.ReadRequest(params)
	req.ID = id
	if err != nil && !errors.Is(err, errInvalidRequest) {
		err = fmt.Errorf("%w: %w", errInvalidRequest, err) // and the next frame may be fine
	}
	return req, err
}

// ReadResponse makes a message that cannot be read an error of its call alone.
func (c *frameCodec) ReadResponse(result func(id uint64) any) (Response, error) {
	id, message, err := c.readFrame()
	if err != nil {
		return Response{}, err
	}
	resp, err := message.ReadResponse(result)
	if err != nil {
		resp = Response{valueErr: err}
	}
	resp.ID = id
	return resp, nil
}
