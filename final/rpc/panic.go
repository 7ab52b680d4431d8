package rpc

import (
	"errors"
	"fmt"
	"log"
)

// errExited ends a connection whose reader or writer is gone: a user's code that it
// called has ended its goroutine by runtime.Goexit, as a test's FailNow does.
var errExited = errors.New("a hook or a decoder ended its goroutine")

// printPanic prints a panic that no panic handler is told of, with its stack, to
// the standard logger. Its value may hold what a peer has sent: it is quoted.
func printPanic(where string, value any, stack []byte) {
	log.Printf("rpc: panic %s: %s\n%s", where, cleanText(fmt.Sprint(value), maxErrorText), stack)
}
