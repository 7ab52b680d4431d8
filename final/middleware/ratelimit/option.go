package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// Option adds a limit in [New].
type Option func(*Limiter) error

// Server limits all calls together to perSecond, and to burst at once. A limit
// needs a perSecond above 0, and a burst of at least 1.
func Server(perSecond float64, burst int) Option {
	return func(l *Limiter) error {
		bucket, err := newBucket(perSecond, burst)
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		l.all = append(l.all, shared{bucket, "the server"})
		return nil
	}
}

// Method limits the calls of one method to perSecond, and to burst at once.
// name is the exact one, "Service.Method"; New refuses any other, also
// "Service.*". It cannot know whether the method exists.
func Method(name string, perSecond float64, burst int) Option {
	return func(l *Limiter) error {
		if err := misuse.CheckMethod(name); err != nil {
			return err
		}
		bucket, err := newBucket(perSecond, burst)
		if err != nil {
			return fmt.Errorf("method %s: %w", name, err)
		}
		l.methods[name] = append(l.methods[name], shared{bucket, name})
		return nil
	}
}

// Exempt adds methods, by exact names, to which the limits of the server and of
// peers do not apply. A limit of [Method] for one of them does apply. Health.Check and
// Health.Watch are exempt without being named: see [LimitHealth]. New refuses an Exempt without
// names. The option may be given several times.
func Exempt(methods ...string) Option {
	return func(l *Limiter) error {
		if len(methods) == 0 {
			return errors.New("exempt: no method is named (LimitHealth limits health checks, too)")
		}
		for _, name := range methods {
			if err := misuse.CheckMethod(name); err != nil {
				return fmt.Errorf("exempt: %w", err)
			}
			l.exempt[name] = true
		}
		return nil
	}
}

// LimitHealth applies the limits of the server and of peers to health checks
// (Health.Check and Health.Watch), too. Without it they are exempt: if a probe were
// refused under load, a healthy server would be restarted. A limit of [Method] for one
// of them needs no LimitHealth. New refuses LimitHealth beside an [Exempt] that names
// one of them.
func LimitHealth() Option {
	return func(l *Limiter) error {
		l.limitHealth = true
		return nil
	}
}

// Peer limits the calls of each peer to perSecond, and to burst at once. key
// says which calls are one peer's: [Host], [Identity], or a function of yours.
// The Limiter keeps the buckets of up to [DefaultPeers] peers.
func Peer(key Key, perSecond float64, burst int) Option {
	return Peers(DefaultPeers, key, perSecond, burst)
}

// DefaultPeers is how many peers' buckets a limit of [Peer] keeps at most. They
// take about 11 MB then.
const DefaultPeers = 1 << 16

// Peers is [Peer] with another number of buckets to keep, at least 1. Each
// takes about 170 bytes, however long its key, and is made when it is needed.
func Peers(size int, key Key, perSecond float64, burst int) Option {
	return func(l *Limiter) error {
		_, err := newBucket(perSecond, burst)
		switch {
		case err != nil:
			return fmt.Errorf("peer: %w", err)
		case size < 1:
			return fmt.Errorf("peer: %d buckets: at least 1 is needed", size)
		case key == nil:
			return errors.New("peer: the key is nil")
		}
		l.peers = append(l.peers, newPeers(size, key, rate.Limit(perSecond), burst))
		return nil
	}
}

const year = 365 * 24 * time.Hour

// newBucket returns a full bucket. A limit that lets nothing or everything
// through, or so little that a bucket takes longer than a year to fill, is most
// likely a mistake.
func newBucket(perSecond float64, burst int) (*rate.Limiter, error) {
	if !(perSecond > 0) || math.IsInf(perSecond, 0) {
		return nil, fmt.Errorf("%v calls per second: want a number above 0", perSecond)
	}
	if burst < 1 {
		return nil, fmt.Errorf("a burst of %d: at least 1 is needed", burst)
	}
	if float64(burst)/perSecond > year.Seconds() {
		return nil, fmt.Errorf("a burst of %d at %v calls per second: it takes more than a year to come back", burst, perSecond)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst), nil
}
