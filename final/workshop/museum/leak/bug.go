// Leak is a room of the bug museum: a goroutine that stays behind each time a
// caller gives up.
package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

func main() {
	finish := make(chan struct{})
	slow := func() string {
		<-finish
		return "done"
	}
	for range 1_000 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
		Call(ctx, slow)
		cancel()
	}
	close(finish)
	<-time.After(time.Second) // far more than any of them needs now
	fmt.Println("nothing runs any more; goroutines:", runtime.NumGoroutine())
}

// Call runs work and returns its result, or the error of ctx when that ends
// first. Work is not stopped then; its result is of no use to anybody.
func Call(ctx context.Context, work func() string) (string, error) {
	result := make(chan string)
	go func() { result <- work() }()
	select {
	case s := <-result:
		return s, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
