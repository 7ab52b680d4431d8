package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A client that wants another codec than JSON says hello before anything else,
// with a line of text that needs no codec, and the server answers likewise:
//
//	RPC/1 gob
//	RPC/1 ok
//	RPC/1 error unknown codec "xml"
//
// A connection that does not begin with an R has no hello, and speaks JSON.
const version = "RPC/1"

// maxHello is how many bytes a hello or its answer may have.
const maxHello = 128

// sayHello asks the server for a codec. It reads the answer through r, and so
// must the codec: r may hold the first bytes of what comes after.
func sayHello(ctx context.Context, conn net.Conn, r *bufio.Reader, codec string) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(0, 1)) }) // long ago
	_, err := fmt.Fprintf(conn, "%s %s\n", version, codec)
	var answer string
	if err == nil {
		answer, err = readHello(r)
	}
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("rpc: hello: %w", err)
	}
	if reason, ok := strings.CutPrefix(answer, version+" error "); ok {
		return fmt.Errorf("rpc: the server refuses: %s", reason)
	}
	if answer != version+" ok" {
		return fmt.Errorf("rpc: the server answers the hello with %q", answer)
	}
	return nil
}

// answerHello reads the client's hello, if there is one, and returns the codec
// that it asks for, on r and w. A hello that cannot be granted is answered with
// the reason, which is also the error.
func (s *Server) answerHello(r *bufio.Reader, w, answer io.Writer) (Codec, error) {
	if first, err := r.Peek(1); err != nil || first[0] != version[0] {
		return newCodec["json"](r, w), err
	}
	hello, err := readHello(r)
	if err != nil {
		return nil, err
	}
	theirs, codec, _ := strings.Cut(hello, " ")
	switch {
	case theirs != version:
		err = fmt.Errorf("unknown version %.20q", theirs)
	case newCodec[codec] == nil:
		err = fmt.Errorf("unknown codec %.20q", codec)
	case codec == "gob" && !s.AllowGob:
		err = fmt.Errorf("codec %q is not allowed: this server offers json", codec)
	}
	if err != nil {
		fmt.Fprintf(answer, "%s error %v\n", version, err)
		return nil, err
	}
	_, err = fmt.Fprintf(answer, "%s ok\n", version)
	return newCodec[codec](r, w), err
}

// readHello reads a line of at most maxHello bytes, and nothing beyond it.
func readHello(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) <= maxHello {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b)
	}
	return "", errors.New("hello is too long")
}
