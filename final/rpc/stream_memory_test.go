package rpc

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// sendLarge sends items of so many bytes until that fails.
func sendLarge(size int) func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
	return func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
		item := &change{Data: strings.Repeat("x", size)}
		for {
			if err := out.Send(ctx, item); err != nil {
				return err
			}
			item.N++
		}
	}
}

// waiting returns how many bytes of items wait to be written, on all connections.
func waiting(srv *Server) (n int) {
	for _, c := range connsOf(srv) {
		c.mu.Lock()
		n += c.out.size + c.streams.lane.size
		c.mu.Unlock()
	}
	return n
}

// assertNothingHeld asserts that no connection has anything of m, or waits for it.
func assertNothingHeld(t *testing.T, m *memory) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.Zero(t, m.leased)
	assert.Zero(t, m.waiting.Len())
}

// Clients that give all credit and read nothing: what waits to be written is counted as
// memory of replies. When one reads, it gets its items, and when they leave, all is given back.
func TestStreamMemory_ItemsThatWaitCountAsReplies(t *testing.T) {
	for _, size := range []int{5000, 100_000, 300_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const most = 2 << 20
				srv := bidiServer(t, sendLarge(size), WithReplyMemory(most, most/4), WithWriteTimeout(time.Hour), WithKeepalive(0))
				var all []*rawConn
				for range 40 {
					raw := rawStreams(t, srv, fmt.Sprint(wire.MaxCredit))
					raw.write(append(bidi(1), bidi(2)...))
					all = append(all, raw)
				}
				synctest.Wait()
				assert.LessOrEqual(t, waiting(srv), most+40*(5000+1000), "of which what is small is not counted")
				last := all[len(all)-1]
				for range 20 {
					f := last.read()
					for f.Flags&wire.FlagMore != 0 {
						f = last.read()
					}
					assert.Equal(t, wire.KindData, f.Kind)
				}
				for _, raw := range all {
					raw.conn.Close()
				}
				synctest.Wait()
				assertNothingHeld(t, srv.replies)
				srv.Close()
			})
		})
	}
}

// A sender that waits for memory goes on waiting no longer than its context, its stream
// and its connection last.
func TestStreamMemory_SenderThatWaitsForItIsFreed(t *testing.T) {
	for name, end := range map[string]func(raw *rawConn, srv *Server){
		"its context":    func(*rawConn, *Server) { <-time.After(time.Minute) },
		"its stream":     func(raw *rawConn, _ *Server) { raw.write(frameOf(wire.KindCancel, 0, 1, "")) },
		"its connection": func(raw *rawConn, _ *Server) { raw.conn.Close() },
		"its server":     func(_ *rawConn, srv *Server) { srv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				failed := make(chan error, 1)
				srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
					ctx, cancel := context.WithTimeout(ctx, time.Minute)
					defer cancel()
					err := out.Send(ctx, &change{Data: strings.Repeat("x", 200_000)})
					failed <- err
					return err
				}, WithReplyMemory(1<<20, 1<<18), WithWriteTimeout(time.Hour))
				raw := rawStreams(t, srv, fmt.Sprint(wire.MaxCredit))
				var conn *serverConn
				synctest.Wait()
				for _, c := range connsOf(srv) {
					conn = c
				}
				taken, ok := conn.replies.await(1<<20, nil)
				require.True(t, ok)
				raw.write(bidi(1))
				synctest.Wait()
				require.Empty(t, failed, "it waits")
				conn.mu.Lock()
				assert.Zero(t, conn.streams.lane.granted, "and has no room meanwhile")
				conn.mu.Unlock()
				end(raw, srv)
				err := <-failed
				assert.Contains(t, []Code{DeadlineExceeded, Canceled, Unavailable}, CodeOf(err), "%v", err)
				conn.replies.give(taken)
				raw.conn.Close()
				srv.Close()
				assertNothingHeld(t, srv.replies)
			})
		})
	}
}

// rowsOf returns an item that takes 512 bytes for each element when it is decoded.
func rowsOf(n int) string { return `{"Rows":` + rows(n) + `}` }

type grownItem struct{ Rows [][64]int }

// sentItem is the same on the wire, and takes less at the client.
type sentItem struct{ Rows [][]int }

func sent(n int) *sentItem {
	item := &sentItem{make([][]int, n)}
	for i := range item.Rows {
		item.Rows[i] = []int{}
	}
	return item
}

var (
	growingItems = BidiStream[grownItem, change]("Test.GrowingItems")
	sendsGrowing = BidiStream[sentItem, change](growingItems.Name())
)

// An item counts as memory of params from its decoding until the next Receive, or until
// the handler returns. One for which there is no room waits, and is not lost if that ends.
func TestStreamMemory_ItemsThatAreDecodedCountAsParams(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprint("compressed ", compressed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithParamsMemory(4<<20, 1<<20), WithCompression(100))
				first, next := make(chan error, 10), make(chan bool, 10)
				require.NoError(t, growingItems.Handle(srv, func(ctx context.Context, in *Receiver[grownItem], out *Sender[change]) error {
					for range 2 {
						short, cancel := context.WithTimeout(ctx, time.Second)
						item, err := in.Receive(short)
						cancel()
						first <- err
						if err != nil {
							item, err = in.Receive(ctx)
							first <- err
						}
						if err == nil {
							assert.Len(t, item.Rows, 300)
						}
						if !<-next {
							return err
						}
					}
					return nil
				}))
				opts := []ClientOption{}
				if compressed {
					opts = append(opts, WithCompression(100))
				}
				client := pipe(t, srv, opts...)
				open := func() *DuplexStream[sentItem, change] {
					s, err := sendsGrowing.Open(t.Context(), client)
					require.NoError(t, err)
					require.NoError(t, s.Send(t.Context(), sent(300)))
					require.NoError(t, s.Send(t.Context(), sent(300)))
					return s
				}
				one := open()
				require.NoError(t, <-first)
				two := open()
				assert.Equal(t, DeadlineExceeded, CodeOf(<-first), "there is no room for a second one")
				synctest.Wait()
				require.Empty(t, first)
				next <- true // the first stream goes on: its next item waits behind the second stream's
				require.NoError(t, <-first)
				next <- false // the second one's handler returns
				require.NoError(t, <-first)
				next <- false
				one.Close()
				two.Close()
				client.Close()
				srv.Close()
				assertNothingHeld(t, srv.params)
			})
		})
	}
}

// An item that can never fit fails with the option's name.
func TestStreamMemory_ItemThatCanNeverFitIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithParamsMemory(4<<20, 1<<20))
		require.NoError(t, growingItems.Handle(srv, func(ctx context.Context, in *Receiver[grownItem], out *Sender[change]) error {
			_, err := in.Receive(ctx)
			_, again := in.Receive(ctx)
			assert.Equal(t, err, again)
			return err
		}))
		raw := rawStreams(t, srv, "16384")
		raw.write(openOf(1, wire.BidiStream, growingItems.Name(), ""))
		raw.write(frameOf(wire.KindData, 0, 1, rowsOf(3000)))
		e := raw.readEnd(1)
		assert.Equal(t, ResourceExhausted, e.Code)
		assert.Contains(t, e.Message, "WithParamsMemory")
		raw.conn.Close()
		srv.Close()
		assertNothingHeld(t, srv.params)
	})
}

// A Receive that a handler has left behind holds nothing.
func TestStreamMemory_ReceiveThatIsLeftBehindHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithParamsMemory(4<<20, 1<<20))
		require.NoError(t, growingItems.Handle(srv, func(ctx context.Context, in *Receiver[grownItem], out *Sender[change]) error {
			for range 3 {
				if _, err := in.Receive(ctx); err != nil {
					return err
				}
			}
			go func() {
				for {
					if _, err := in.Receive(context.Background()); err != nil {
						return
					}
				}
			}()
			return nil
		}))
		client := pipe(t, srv)
		s, err := sendsGrowing.Open(t.Context(), client)
		require.NoError(t, err)
		for {
			if err = s.Send(t.Context(), sent(100)); err != nil {
				break
			}
		}
		assert.ErrorIs(t, err, ErrStreamEnded)
		_, err = s.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		client.Close()
		srv.Close()
		assertNothingHeld(t, srv.params)
	})
}
