package rpc

import (
	"errors"
	"fmt"
	"log"
	"runtime/debug"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// errExited ends a connection whose reader or writer is gone: a user's code that it
// called has ended its goroutine by runtime.Goexit, as a test's FailNow does.
var errExited = errors.New("a hook or a decoder ended its goroutine")

// runApart runs f, which calls code of the user's, in a goroutine of its own, which
// that code may end, and waits for it. Its error is one that can be read; a panic and
// a Goexit are errors like others.
func runApart(who string, f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = fmt.Errorf("%s ended its goroutine", who)
		defer func() {
			if v := recover(); v != nil {
				printPanic("in "+who, v, debug.Stack())
				err = fmt.Errorf("%s panicked", who)
			}
		}()
		failed := f()
		p, sound := soundError(failed)
		if p != nil {
			printPanic("in an error of "+who, p.value, p.stack)
		}
		if e, ok := sound.(*Error); ok && failed != sound {
			sound = errors.New(e.Message) // its code says nothing of what has happened
		}
		err = sound
	}()
	<-done
	return err
}

// printPanic prints a panic that no panic handler is told of, with its stack, to
// the standard logger. Its value may hold what a peer has sent: it is quoted.
func printPanic(where string, value any, stack []byte) {
	log.Printf("rpc: panic %s: %s\n%s", where, cleanText(textOfPanic(value), wire.MaxErrorText), stack)
}
