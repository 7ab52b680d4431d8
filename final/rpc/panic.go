package rpc

import (
	"fmt"
	"log"
)

// printPanic prints a panic that no panic handler is told of, with its stack, to
// the standard logger. Its value may hold what a peer has sent: it is quoted.
func printPanic(where string, value any, stack []byte) {
	log.Printf("rpc: panic %s: %s\n%s", where, cleanText(fmt.Sprint(value), maxErrorText), stack)
}
