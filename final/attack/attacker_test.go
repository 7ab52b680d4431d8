package attack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// An attacker makes one attack again and again. What an attack returns is an error only
// if the victim has not done what it has to do: that connections end, and calls fail, is
// what attackers expect.
type attacker struct {
	ctx    context.Context
	victim *victim
	done   *atomic.Int64 // how often somebody connected or sent something
	held   *atomic.Int64 // connections that all attackers together hold open

	patience time.Duration // beyond a bound, until the bound is said not to hold
}

// patience is for a machine that is busy.
const patience = 10 * time.Second

// dial connects, to an address of the victim only.
func (a *attacker) dial(addr string) (net.Conn, bool) {
	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.DialContext(a.ctx, "tcp", addr)
	if err != nil {
		return nil, false
	}
	a.done.Add(1)
	// Nothing that an attacker does outlasts its attack by more.
	conn.SetDeadline(time.Now().Add(2 * patience))
	return conn, true
}

// open connects and says hello. It returns false if that did not succeed.
func (a *attacker) open(metadata map[string]string) (net.Conn, bool) {
	return a.openTo(a.victim.RPC, metadata)
}

func (a *attacker) openTo(addr string, metadata map[string]string) (net.Conn, bool) {
	conn, ok := a.dial(addr)
	if !ok {
		return nil, false
	}
	conn.Write(hello(metadata))
	body, err := wire.ReadHello(conn, 16<<10)
	if err == nil {
		if answer, err := wire.ParseServerHello(body); err == nil && answer.Code == wire.OK {
			return conn, true
		}
	}
	conn.Close()
	return nil, false
}

// hello is a client's hello.
func hello(metadata map[string]string) []byte {
	h := wire.ClientHello{Codec: "json", MaxMessage: 4 << 20, Pairs: wire.AppendPairs(nil, metadata)}
	return h.Append(nil)
}

// request is a frame that calls a method.
func request(id uint64, method, params string) []byte {
	head := wire.RequestHead{Method: method}
	return append(head.Append(nil, 0, id, len(params)), params...)
}

// bare is a frame without fields.
func bare(kind wire.Kind, id uint64) []byte { return wire.AppendHeader(nil, kind, 0, id, 0) }

// write sends b until the attack is over; false if the connection has ended.
func (a *attacker) write(conn net.Conn, b []byte) bool {
	a.done.Add(1)
	_, err := conn.Write(b)
	return err == nil && a.ctx.Err() == nil
}

// flood writes what next makes, until the attack is over or the connection has ended: a
// thousand times a second at most, since the honest client shares the machine.
func (a *attacker) flood(conn net.Conn, next func(n uint64) []byte) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := uint64(1); a.write(conn, next(n)); n++ {
		<-tick.C
	}
}

// drip writes b byte by byte, until the connection ends.
func (a *attacker) drip(conn net.Conn, b []byte, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range b {
		if !a.write(conn, b[i:i+1]) {
			return
		}
		<-tick.C
	}
}

// discard reads what the victim says, until the connection ends.
func (a *attacker) discard(conn net.Conn) { go io.Copy(io.Discard, conn) }

// whenOver closes the connection when the attack is over: what writes to it ends then.
func (a *attacker) whenOver(conn net.Conn) { context.AfterFunc(a.ctx, func() { conn.Close() }) }

// mustEnd reads until the victim closes the connection. It is an error if it does not do
// so within the bound.
func (a *attacker) mustEnd(conn net.Conn, bound time.Duration, what string) error {
	begun := time.Now()
	conn.SetReadDeadline(begun.Add(bound + a.patience))
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: the connection is still open after %s", what, time.Since(begun))
	}
	return nil
}
