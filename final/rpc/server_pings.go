package rpc

import "time"

// A client may send some pings at once, and then so many a second. Half of that is for our
// keepalive, which sends at most 50 a second, and half for [Client.Ping].
const (
	pingBurst = 1000
	pingRate  = 100

	ownPingBurst = pingBurst / 2
	ownPingRate  = pingRate / 2
)

var errTooManyPings = Errorf(ResourceExhausted, "too_many_pings: more than %d at once and %d per second", pingBurst, pingRate)

// pingLimit is what pings have used up of such a rate.
type pingLimit struct{ paid time.Time }

// exceeded counts a ping. It reports whether it is one too many.
func (l *pingLimit) exceeded(now time.Time) bool { return l.ahead(now, pingBurst, pingRate) > 0 }

// ahead counts a ping, and returns how long it has to wait, if above 0.
func (l *pingLimit) ahead(now time.Time, burst, rate time.Duration) time.Duration {
	each := time.Second / rate
	if least := now.Add(-burst * each); l.paid.Before(least) {
		l.paid = least
	}
	l.paid = l.paid.Add(each)
	return l.paid.Sub(now)
}
