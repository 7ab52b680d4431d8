package rpc

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// chance is where the random numbers of jitter and balancing come from. A nil one uses the
// source of package rand, which many goroutines share without a lock. Tests that have to run
// the same way again have a source of their own, with a seed.
type chance struct {
	mu   sync.Mutex // guards rand
	rand *rand.Rand
}

// upTo returns a number from 0 up to n, but not n itself.
func (c *chance) upTo(n int64) int64 {
	if c == nil {
		return rand.Int64N(n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.Int64N(n)
}

// backoff returns the pause after a failure that so many failures came before. It doubles
// with each, from least to longest, and up to half is cut off at random, so that clients
// which failed together do not all come back together.
func (c *chance) backoff(least, longest time.Duration, failures int) time.Duration {
	pause := least
	for range min(failures, 30) {
		pause = min(2*pause, longest)
	}
	if pause > 1 {
		pause -= time.Duration(c.upTo(int64(pause / 2)))
	}
	return pause
}

// around returns d, or up to a tenth more or less, at random.
func (c *chance) around(d time.Duration) time.Duration {
	d = min(d, math.MaxInt64/2)
	tenth := d / 10
	if tenth == 0 {
		return d
	}
	return d - tenth + time.Duration(c.upTo(int64(2*tenth)))
}
