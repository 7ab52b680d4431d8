package attack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// Streams of the victim. They have a server of their own, since their handlers have no
// limit of time: with few places, those who stall are refused, and prove nothing.
var (
	repeat = rpc.BidiStream[text, text]("Victim.Repeat")  // sends what it receives
	stall  = rpc.BidiStream[text, text]("Victim.Stall")   // receives nothing, until its context ends
	leave  = rpc.BidiStream[text, text]("Victim.Leave")   // returns at once
	feed   = rpc.ServerStream[size, text]("Victim.Feed")  // sends items of that many bytes, without end
	watch  = rpc.ServerStream[size, text]("Victim.Watch") // sends one, and returns when its context ends
)

const (
	maxStreams       = 256
	streamHandlers   = 12 * maxStreams
	streamMemory     = 64 << 20
	connStreamMemory = 8 << 20
	streamWindow     = 16 << 10 // what a server announces

	perStream  = 32 << 10 // goroutines, contexts, a frame
	perStreams = perConn + connStreamMemory + maxStreams*perStream
)

// xs is what all handlers send: one that waits for credit holds nothing of its own.
var xs = strings.Repeat("x", maxMessage/2)

func registerStreams(srv *rpc.Server) error {
	for _, err := range []error{
		repeat.Handle(srv, func(ctx context.Context, in *rpc.Receiver[text], out *rpc.Sender[text]) error {
			for item, err := range in.All() {
				if err != nil {
					return err
				}
				if err := out.Send(ctx, item); err != nil {
					return err
				}
			}
			return nil
		}),
		stall.Handle(srv, func(ctx context.Context, _ *rpc.Receiver[text], _ *rpc.Sender[text]) error {
			<-ctx.Done()
			return ctx.Err()
		}),
		leave.Handle(srv, func(context.Context, *rpc.Receiver[text], *rpc.Sender[text]) error { return nil }),
		feed.Handle(srv, func(ctx context.Context, s *size, out *rpc.Sender[text]) error {
			item := &text{xs[:min(s.Bytes, len(xs))]}
			for {
				if err := out.Send(ctx, item); err != nil {
					return err
				}
			}
		}),
		watch.Handle(srv, func(ctx context.Context, _ *size, out *rpc.Sender[text]) error {
			if err := out.Send(ctx, &text{"now"}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// connectStreams adds a connection to the server of streams. Its calls go on, and so does a
// stream that is opened at once; others are opened meanwhile, and one in four has a large item.
func (h *honest) connectStreams(ctx context.Context, addr string) error {
	client, err := rpc.Dial(ctx, addr, rpc.WithMaxAttempts(1), rpc.WithKeepalive(idle/4))
	if err != nil {
		return err
	}
	h.ends = append(h.ends, func() { client.Close() })
	long, err := repeat.Open(context.Background(), client)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	n := 0
	h.calls = append(h.calls, func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		return exchange(ctx, long, "goes on")
	}, func(ctx context.Context) error {
		mu.Lock()
		n++
		said := strings.Repeat("x", []int{5, 5, 5, 3 * streamWindow}[n%4])
		mu.Unlock()
		return newStream(ctx, client, said)
	}, func(ctx context.Context) error {
		_, err := echo.Call(ctx, client, &text{"hello"})
		return err
	})
	return nil
}

// newStream opens a stream, and sees it to its end.
func newStream(ctx context.Context, client rpc.Caller, said string) error {
	s, err := repeat.Open(ctx, client)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := exchange(ctx, s, said); err != nil {
		return err
	}
	s.CloseSend()
	if _, err := s.Receive(ctx); err != io.EOF {
		return fmt.Errorf("a stream ended with %w", err)
	}
	return nil
}

func exchange(ctx context.Context, s *rpc.DuplexStream[text, text], said string) error {
	if err := s.Send(ctx, &text{said}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	got, err := s.Receive(ctx)
	if err == nil && got.Text != said {
		err = fmt.Errorf("%d bytes were sent, and %d received", len(said), len(got.Text))
	}
	return err
}

// openStreams connects to the server of streams, and offers a window; with "gzip", also
// compression.
func (a *attacker) openStreams(window string, also ...string) (net.Conn, bool) {
	offers := map[string]string{"rpc.streams": window}
	for _, method := range also {
		offers["rpc.compression"] = method
	}
	return a.openTo(a.victim.Streams, offers)
}

// Frames of streams.

func opening(id uint64, shape wire.Shape, method, params string) []byte {
	head := wire.OpenHead{Shape: shape, RequestHead: wire.RequestHead{Method: method}}
	return append(head.Append(nil, 0, id, len(params)), params...)
}

func stalling(id uint64) []byte  { return opening(id, wire.BidiStream, stall.Name(), "") }
func repeating(id uint64) []byte { return opening(id, wire.BidiStream, repeat.Name(), "") }

func feeding(id uint64, bytes int) []byte {
	return opening(id, wire.ServerStream, feed.Name(), fmt.Sprintf(`{"Bytes":%d}`, bytes))
}

func datum(id uint64, flags uint8, item string) []byte {
	return append(wire.AppendHeader(nil, wire.KindData, flags, id, len(item)), item...)
}

func amount(k wire.Kind, id uint64, n uint32) []byte { return wire.AppendBytes(nil, k, id, n) }

// streaming floods a connection with what next makes, and reads what the victim answers.
func (a *attacker) streaming(window string, next func(n uint64) []byte, also ...string) error {
	if conn, ok := a.openStreams(window, also...); ok {
		a.floodAndDrop(conn, next)
	}
	return nil
}

// holding writes what first makes, and then keeps the connection until the attack is over.
func (a *attacker) holding(window string, first func() []byte) error {
	conn, ok := a.openStreams(window)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.whenOver(conn)
	a.discard(conn)
	a.write(conn, first())
	<-a.ctx.Done()
	return nil
}

// each joins what one makes for so many streams.
func each(streams uint64, one func(id uint64) []byte) (b []byte) {
	for id := range streams {
		b = append(b, one(id+1)...)
	}
	return b
}

func streamsRefused(a *attacker) error {
	return a.streaming("16384", func(n uint64) []byte {
		return many(n, func(id uint64) []byte {
			return append(opening(id, wire.BidiStream, fmt.Sprint("Victim.Nope", id), ""), bare(wire.KindEnd, id)...)
		})
	})
}

func streamsTooMany(a *attacker) error {
	conn, ok := a.openStreams("16384")
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, each(maxStreams+1, stalling))
	return a.mustEnd(conn, readFrame, "one stream more than granted")
}

// streamsNeverFinished opens streams whose handlers return, and does not end its halves: the
// connection is idle.
func streamsNeverFinished(a *attacker) error {
	conn, ok := a.openStreams("16384")
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, each(maxStreams, func(id uint64) []byte { return opening(id, wire.BidiStream, leave.Name(), "") }))
	return a.mustEnd(conn, idle, "streams of which the client's halves are open")
}

func streamsCancelled(a *attacker) error {
	return a.streaming("16384", func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return append(stalling(id), bare(wire.KindCancel, id)...) })
	})
}

// streamsStalled fills the windows of as many streams as there may be.
func streamsStalled(a *attacker) error {
	return a.holding("16384", full(streamWindow-wire.DataCost(0)))
}

// streamsSmall does that with items of one byte.
func streamsSmall(a *attacker) error { return a.holding("16384", full(1)) }

// full opens all streams and sends items of that many bytes, as far as their windows go.
func full(size int64) func() []byte {
	item := strings.Repeat("1", int(size))
	return func() []byte {
		return each(maxStreams, func(id uint64) []byte {
			b := stalling(id)
			for range streamWindow / wire.DataCost(int(size)) {
				b = append(wire.AppendHeader(b, wire.KindData, 0, id, len(item)), item...)
			}
			return b
		})
	}
}

// itemsSmall sends them to a handler that takes them, within its credit.
func itemsSmall(a *attacker) error {
	const items = streamWindow/79/20*20 - 20
	return a.streaming("2147483647", func(n uint64) []byte {
		b := repeating(n)
		for range items {
			b = append(b, datum(n, 0, `{}`)...)
		}
		return append(b, bare(wire.KindEnd, n)...)
	})
}

// creditNever has the victim's handlers wait for credit.
func creditNever(a *attacker) error {
	return a.holding("4096", func() []byte { return each(maxStreams, func(id uint64) []byte { return feeding(id, 1000) }) })
}

// creditDrips gives it byte by byte.
func creditDrips(a *attacker) error {
	return a.streaming("4096", func(n uint64) []byte {
		if n <= maxStreams/20 {
			return many(n-1, func(id uint64) []byte { return feeding(id+1, 1000) })
		}
		return many(n, func(id uint64) []byte { return amount(wire.KindCredit, 1+id%(maxStreams/20*20), 1) })
	})
}

// creditLarge gives all that there can be, and reads nothing.
func creditLarge(a *attacker) error {
	conn, ok := a.openStreams("2147483647")
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, each(maxStreams, func(id uint64) []byte { return feeding(id, 100_000) }))
	return a.mustEndUnread(conn, 2*writeTimeout, "items that nobody reads")
}

// mustEndUnread is mustEnd of one who reads nothing. Whether the connection is open is seen
// by what is written: cancels of what was never opened.
func (a *attacker) mustEndUnread(conn net.Conn, bound time.Duration, what string) error {
	begun := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begun) < bound+a.patience {
		if _, err := conn.Write(bare(wire.KindCancel, 1<<40)); err != nil {
			return nil
		}
		<-tick.C
	}
	return fmt.Errorf("%s: the connection is still open after %s", what, time.Since(begun))
}

// placesHoarded takes the place for a large item, and sends none; the other streams of the
// connection wait for it.
func placesHoarded(a *attacker) error {
	return a.holding("16384", func() []byte {
		return each(maxStreams, func(id uint64) []byte { return append(stalling(id), amount(wire.KindWant, id, maxMessage)...) })
	})
}

// wantsAgain wants credit, and then sends an item for which it had enough.
func wantsAgain(a *attacker) error {
	return a.streaming("16384", func(n uint64) []byte {
		if n <= maxStreams/20 {
			return many(n-1, func(id uint64) []byte { return repeating(id + 1) })
		}
		return many(n, func(id uint64) []byte {
			id = 1 + id%(maxStreams/20*20)
			return append(amount(wire.KindWant, id, maxMessage/2), datum(id, 0, "{}")...)
		})
	})
}

// afterEnd sends items after its end, of streams one after the other.
func afterEnd(a *attacker) error {
	return a.streaming("16384", func(n uint64) []byte {
		return append(append(stalling(n), bare(wire.KindEnd, n)...), datum(n, 0, `{}`)...)
	})
}

// streamsBroken sends one of the frames of streams that end a connection.
func streamsBroken(a *attacker) error {
	conn, ok := a.openStreams("16384")
	if !ok {
		return nil
	}
	defer conn.Close()
	first := stalling(1)
	frames := [][]byte{
		bare(wire.KindHeader, 1), bare(14, 1), bare(wire.KindData, 1), bare(wire.KindOpen, 1),
		append(first, first...),
		append(first, bare(wire.KindHeader, 1)...),
		append(first, datum(1, 0, strings.Repeat("x", streamWindow))...),
		append(first, amount(wire.KindCredit, 1, 0)...),
		append(first, amount(wire.KindCredit, 1, 1<<31-1)...),
		append(first, amount(wire.KindCredit, 2, 1)...),
		append(first, append(wire.AppendHeader(nil, wire.KindEnd, 0, 1, 3), 0, 0, 0)...),
		opening(1, 4, stall.Name(), ""), opening(1, wire.BidiStream, stall.Name(), "{}"),
	}
	a.write(conn, frames[a.done.Load()%int64(len(frames))])
	return a.mustEnd(conn, readFrame, "a broken frame of a stream")
}

// streamsPairs opens streams with metadata that are too large, or too many.
func streamsPairs(a *attacker) error {
	large, much := map[string]string{"a": strings.Repeat("b", 60<<10)}, map[string]string{}
	for i := range 1000 {
		much[fmt.Sprint("key-", i)] = ""
	}
	return a.streaming("16384", func(n uint64) []byte {
		head := wire.OpenHead{Shape: wire.BidiStream, RequestHead: wire.RequestHead{Method: leave.Name(), Metadata: large}}
		if n%2 == 0 {
			head.Metadata = much
		}
		return append(head.Append(nil, 0, n, 0), bare(wire.KindEnd, n)...)
	})
}

// itemsGrow sends items that are bombs.
func itemsGrow(a *attacker) error {
	return a.streaming("16384", func(n uint64) []byte {
		b := append(repeating(n), datum(n, wire.FlagCompressed, string(bomb()))...)
		return append(b, bare(wire.KindEnd, n)...)
	}, "gzip")
}
