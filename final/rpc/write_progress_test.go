package rpc

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// slowReader reads so many bytes, at intervals, until the end, and returns how many.
func slowReader(conn net.Conn, bytes int, every time.Duration) (all int) {
	for buf := make([]byte, bytes); ; <-time.After(every) {
		n, err := io.ReadFull(conn, buf)
		if all += n; err != nil {
			return all
		}
	}
}

// strange is a connection of a user's type: a write that a deadline ends cannot go on.
type strange struct{ net.Conn }

func (strange) LocalAddr() net.Addr { return &net.UnixAddr{Net: "strange"} }

const slowTimeout = 10 * time.Second

// A peer that reads slowly but steadily gets all, however long that takes. One that reads
// a byte now and then does not keep the connection.
func TestWriteTimeout_MeasuresProgress(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for _, kind := range []string{"resumable", "strange"} {
		for side, begin := range map[string]func(t *testing.T, conn net.Conn, told *errorsTold){
			"server": func(t *testing.T, conn net.Conn, told *errorsTold) {
				srv := NewServer(WithWriteTimeout(slowTimeout), told.option())
				t.Cleanup(func() { srv.Close() })
				require.NoError(t, srv.RegisterFunc("Test.Large", func() string { return large }))
				go srv.ServeConn(conn)
			},
			"client": func(t *testing.T, conn net.Conn, told *errorsTold) {
				client := NewClient(conn, WithWriteTimeout(slowTimeout), WithKeepalive(0), told.option())
				t.Cleanup(func() { client.Close() })
				go client.Call(t.Context(), "Test.Large", large, nil)
			},
		} {
			for name, c := range map[string]struct {
				bytes int
				cut   bool
			}{"steady": {4 << 10, false}, "a byte now and then": {1, true}, "nothing": {0, true}} {
				t.Run(kind+"/"+side+"/"+name, func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						near, far := net.Pipe()
						var told errorsTold
						var conn net.Conn = far
						if kind == "strange" {
							conn = strange{far}
						}
						begin(t, conn, &told)
						raw := rawOn(t, near)
						if side == "server" {
							raw.write((&wire.ClientHello{Codec: "json", MaxMessage: 4 << 20}).Append(nil))
							_, err := wire.ReadHello(near, wire.MaxHello)
							require.NoError(t, err)
							raw.request(1, "Test.Large", "null")
						} else {
							_, err := wire.ReadHello(near, wire.MaxHello)
							require.NoError(t, err)
							raw.write((&wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20}).Append(nil))
						}
						if c.bytes > 0 {
							defer time.AfterFunc(1000*time.Second, func() { near.Close() }).Stop()
							got := slowReader(near, c.bytes, time.Second)
							assert.Equal(t, c.cut, got < len(large), "got %d", got)
						}
						<-time.After(2 * slowTimeout)
						synctest.Wait()
						if c.cut {
							require.Len(t, told.take(), 1)
						}
					})
				})
			}
		}
	}
}

func TestWriteTimeout_IsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told errorsTold
		inv := newInventory()
		srv := inv.server(t, WithWriteTimeout(slowTimeout), told.option())
		raw := rawClient(t, srv, "json")
		raw.request(1, checkStock.Name(), `{"Item":"item1"}`)
		<-time.After(2 * slowTimeout)
		text := told.take()
		require.Len(t, text, 1)
		assert.Contains(t, text[0], "rpc: pipe: write timeout: the peer has read less than 1024 bytes per second for 10s (WithWriteTimeout)")
	})
}

// A reply that begins has to go on.
func TestReadFrameTimeout_EndsAReplyThatDrips(t *testing.T) {
	for name, c := range map[string]struct {
		piece int
		slow  bool
	}{"drips": {1, true}, "stops": {0, true}, "is slow": {2 << 10, false}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				near, far := net.Pipe()
				go func() {
					raw := rawOn(t, far)
					wire.ReadHello(far, wire.MaxHello)
					raw.write((&wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20}).Append(nil))
					raw.read()
					body := `"` + strings.Repeat("x", 200<<10) + `"`
					frame := append(wire.AppendHeader(nil, wire.KindResponse, 0, 1, len(body)), body...)
					far.Write(frame[:100])
					for frame = frame[100:]; len(frame) > 0 && c.piece > 0; <-time.After(time.Second) {
						n, err := far.Write(frame[:min(c.piece, len(frame))])
						if frame = frame[n:]; err != nil {
							return
						}
					}
				}()
				var told errorsTold
				client := NewClient(near, WithReadFrameTimeout(slowTimeout), WithKeepalive(0), told.option())
				defer client.Close()
				begun := time.Now()
				var reply string
				err := client.Call(t.Context(), "Test.Large", nil, &reply)
				<-time.After(2 * time.Second) // the server notices
				if !c.slow {
					require.NoError(t, err)
					assert.Len(t, reply, 200<<10)
					return
				}
				assert.EqualError(t, err, "rpc: unavailable: connection lost: a frame took too long to arrive")
				assert.Less(t, time.Since(begun), 2*slowTimeout+2*time.Second)
				assert.Len(t, told.take(), 1)
			})
		})
	}
}
