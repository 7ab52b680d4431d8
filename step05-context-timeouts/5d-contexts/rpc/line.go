package rpc

import (
	"bufio"
	"fmt"
)

// maxLine is how many bytes a line may have, its newline not counted. Without
// a limit, one client that never sends a newline takes all our memory.
const maxLine = 1 << 20

var errLineTooLong = fmt.Errorf("message is longer than %d bytes", maxLine)

// readLine reads a line and returns it without its newline. TCP is a stream of
// bytes: a line may arrive in many pieces, or many lines in one. The newline ends
// a line; the end of a Read does not.
//
// The error is errLineTooLong, or the reader's; a last line without a newline
// was cut off and is not returned.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil {
			line = line[:len(line)-1]
		}
		switch {
		case len(line) > maxLine:
			return nil, errLineTooLong
		case err == nil:
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
