package demo

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFeed_KeepsThePace(t *testing.T) {
	for _, c := range []struct {
		pace int
		want time.Duration // for 301 orders
	}{{0, 0}, {100, 3 * time.Second}, {1, 5 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			begin, queue := time.Now(), make(chan wish)
			go feed(t.Context(), queue, c.pace, make([]wish, 301))
			n := 0
			for range queue {
				n++
			}
			assert.Equal(t, 301, n)
			assert.InDelta(t, c.want, time.Since(begin), float64(time.Millisecond), c.pace)
		})
	}
}

func TestFeed_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		queue := make(chan wish)
		go feed(ctx, queue, 1, make([]wish, 1000))
		n := 0
		for range queue {
			n++
		}
		assert.InDelta(t, 10, n, 1)
	})
}
