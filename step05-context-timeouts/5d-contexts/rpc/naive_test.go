package rpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// naiveCall is the article's call with a context: it ends the wait, but the
// method does not learn of it, since it has no context to check.
func naiveCall(ctx context.Context, method func() int) (int, error) {
	result := make(chan int, 1)
	go func() { result <- method() }()
	select {
	case n := <-result:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestNaive_AContextThatNobodyReadsStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sold := 0
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := naiveCall(ctx, func() int {
			<-time.After(time.Hour) // of the bubble's clock
			sold++
			return sold
		})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		<-time.After(2 * time.Hour)
		synctest.Wait()
		t.Logf("the customer got %q, and two hours later the shop has sold %d", err, sold)
		assert.Equal(t, 1, sold, "sold to a customer who was told that it failed")
	})
}
