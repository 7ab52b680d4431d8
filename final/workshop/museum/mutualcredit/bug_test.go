//go:build museum

package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Both ends send more than a window before either of them receives.
func TestPeer_CreditDoesNotWaitForCredit(t *testing.T) {
	for name, both := range map[string]bool{"one sends": false, "both send": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const items = 3 * Window
				a, b := peers()
				defer a.conn.Close()
				go send(a, items)
				if both {
					go send(b, items)
				}
				synctest.Wait()
				got := make(chan int, 1)
				go func() { got <- receive(b, items) }()
				if both {
					assert.Equal(t, items, receive(a, items), "items that were received")
				}
				assert.Equal(t, items, <-got, "items that were received")
			})
		})
	}
}

// The fix must not give up what credit is for.
func TestPeer_SendsAWindowAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := peers()
		defer a.conn.Close()
		sent := 0
		go func() {
			for a.Send("x") == nil {
				sent++
			}
		}()
		synctest.Wait()
		assert.Len(t, b.in, Window)
		assert.LessOrEqual(t, sent, Window+1, "one more may wait at the sender")
	})
}

func peers() (a, b *Peer) {
	here, there := net.Pipe()
	here.SetDeadline(time.Now().Add(time.Minute)) // of the bubble's time
	return NewPeer(here), NewPeer(there)
}
