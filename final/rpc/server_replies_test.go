package rpc

import (
	"context"
	"encoding/json"
	"net"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// bigText returns a text, which all its replies share.
const bigText = "Test.Big"

func newBig(t *testing.T, size int, opts ...ServerOption) (srv *Server, runs *atomic.Int64) {
	text := strings.Repeat("x", size)
	runs = new(atomic.Int64)
	srv = newInventory().server(t, opts...)
	handler := func(context.Context) (*string, error) {
		runs.Add(1)
		return &text, nil
	}
	require.NoError(t, srv.RegisterFunc(bigText, handler))
	require.NoError(t, srv.RegisterFunc(bigText+"Quick", handler, NonBlocking()))
	return srv, runs
}

// askFor sends so many requests and reads nothing.
func (r *rawConn) askFor(method string, n int) {
	r.t.Helper()
	head := wire.RequestHead{Method: method}
	var all []byte
	for id := range uint64(n) {
		all = head.Append(all, 0, id+1, 0)
	}
	r.write(all)
}

// 1,000 replies of 1 MB that nobody reads took two gigabytes. Now a client that does
// not read holds its share, and others are served; when it reads, it gets them all.
func TestReplies_MemoryIsBoundedUnderAttack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // else half of what is measured is garbage
	for _, method := range []string{bigText, bigText + "Quick"} {
		t.Run(method, func(t *testing.T) {
			noLeaks(t)
			srv, runs := newBig(t, 1_000_000)
			addr := listen(t, srv)
			honest := dial(t, addr)
			attacker := attack(t, addr)
			before, mapped := heapInUse(), heapMapped()
			attacker.askFor(method, 1000)
			for runs.Load() < 1000 {
				var text string
				require.NoError(t, honest.Call(t.Context(), bigText, nil, &text))
				assert.Len(t, text, 1_000_000)
				if runs.Load() >= 1000 {
					break
				}
			}
			for settled := 0; settled < 10; settled++ { // more would come now
				_, err := checkStock.Call(t.Context(), honest, &stockRequest{Item: "item1"})
				require.NoError(t, err)
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most := now.HeapSys - now.HeapReleased
			assert.Less(t, int(heapInUse())-int(before), 2*defaultConnReplyMemory+honestMemory)
			assert.Less(t, int(most)-int(mapped), 8*defaultConnReplyMemory, "at any time")
			for range 100 {
				f := attacker.read()
				require.Equal(t, wire.KindResponse, f.Kind)
				require.Len(t, f.Payload, 1_000_002)
			}
			attacker.conn.Close()
		})
	}
}

// heapMapped returns what the heap has of the machine's memory, once it has given back
// what earlier tests left free.
func heapMapped() uint64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}

// honestMemory is what goroutines that wait, and the honest client, may take.
const honestMemory = 16 << 20

// Clients that do not read leave a quarter of the server's memory to those that hold
// little.
func TestReplies_TheLastQuarterIsForThoseWhoHoldLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, runs := newBig(t, 100_000, WithReplyMemory(16<<20, 4<<20), WithWriteTimeout(time.Hour))
		var hogs []*rawConn
		for range 5 {
			hog := rawClient(t, srv, "json")
			hog.askFor(bigText, 100)
			hogs = append(hogs, hog)
			synctest.Wait()
		}
		assert.EqualValues(t, 500, runs.Load())
		assert.LessOrEqual(t, srv.replies.leased, int64(16<<20))
		assert.GreaterOrEqual(t, srv.replies.leased, int64(10<<20))
		client := pipe(t, srv, WithKeepalive(0))
		begun := time.Now()
		var text string
		require.NoError(t, client.Call(timeout(t, time.Minute), bigText, nil, &text))
		require.NoError(t, client.Call(timeout(t, time.Minute), bigText+"Quick", nil, &text))
		_, err := checkStock.Call(timeout(t, time.Minute), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Zero(t, time.Since(begun))
		for _, hog := range hogs[1:] {
			hog.conn.Close()
		}
		for range 100 { // the first one reads, after all
			assert.Equal(t, wire.KindResponse, hogs[0].read().Kind)
		}
		srv.Close()
		assert.Zero(t, srv.replies.leased)
	})
}

// What waits for memory of the server, while others have it, goes on when they give
// it back.
func TestReplies_WaitForTheServersMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, _ := newBig(t, 100_000, WithReplyMemory(2<<20, 1<<20), WithWriteTimeout(time.Hour))
		var conns []*rawConn
		for range 20 {
			conn := rawClient(t, srv, "json")
			conn.askFor(bigText, 10)
			conns = append(conns, conn)
		}
		synctest.Wait()
		assert.LessOrEqual(t, srv.replies.leased, int64(2<<20))
		var readers sync.WaitGroup
		for i, conn := range conns {
			if i%2 == 0 {
				conn.conn.Close()
				continue
			}
			readers.Go(func() {
				for range 10 {
					assert.Equal(t, wire.KindResponse, conn.read().Kind)
				}
			})
		}
		readers.Wait()
		srv.Close()
		assert.Zero(t, srv.replies.leased)
	})
}

// Small replies that are not read are not charged one by one. Together they are: of 40
// connections, each of which could have 1 MiB waiting, not all get that.
func TestReplies_ManySmallOnesAreCharged(t *testing.T) {
	for _, method := range []string{bigText, bigText + "Quick"} {
		bubble(t, func(t *testing.T) {
			srv, runs := newBig(t, 3000, WithReplyMemory(4<<20, 1<<20), WithWriteTimeout(time.Hour))
			var conns []*rawConn
			for range 40 {
				conn := rawClient(t, srv, "json")
				conn.askFor(method, 200)
				conns = append(conns, conn)
			}
			synctest.Wait()
			assert.EqualValues(t, 40*200, runs.Load())
			waiting := 0
			srv.mu.Lock()
			for _, c := range srv.connsLocked() {
				waiting += c.out.size
			}
			srv.mu.Unlock()
			assert.Positive(t, srv.replies.leased)
			assert.LessOrEqual(t, srv.replies.leased, int64(4<<20))
			assert.Less(t, waiting, 40*2*lightBytes+4<<20)
			var readers sync.WaitGroup
			for _, conn := range conns[1:] {
				readers.Go(func() {
					for range 200 {
						assert.Equal(t, wire.KindResponse, conn.read().Kind)
					}
				})
			}
			readers.Wait()
			srv.Close()
			assert.Zero(t, srv.replies.leased)
		})
	}
}

// fragile is a result that encodes itself.
type fragile struct {
	do      string
	encoded *atomic.Int64
}

func (f *fragile) MarshalJSON() ([]byte, error) {
	f.encoded.Add(1)
	switch f.do {
	case "panic":
		panic("planned")
	case "goexit":
		runtime.Goexit()
	case "fail":
		return nil, NotFound
	case "large":
		return json.Marshal(longText(300_000))
	case "too large":
		return json.Marshal(longText(2_000_000))
	}
	return json.Marshal(f.do)
}

// Whatever ends a call, its reply's memory is given back.
func TestReplies_MemoryIsGivenBack(t *testing.T) {
	for _, quick := range []bool{false, true} {
		for name, end := range map[string]func(srv *Server, client *rawConn){
			"the connection is lost": func(_ *Server, client *rawConn) { client.conn.Close() },
			"the server is closed":   func(srv *Server, _ *rawConn) { srv.Close() },
			"the write times out":    func(*Server, *rawConn) { <-time.After(time.Minute) },
			"all is read": func(_ *Server, client *rawConn) {
				for range 50 {
					client.read()
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var encoded atomic.Int64
					srv := newInventory().server(t, WithReplyMemory(0, 1<<20), WithPanicHandler(func(context.Context, any, []byte) {}))
					var opts []MethodOption
					if quick {
						opts = []MethodOption{NonBlocking()}
					}
					dos := []string{"fail", "panic", "large", "too large", "small", "goexit"}
					if quick {
						dos = dos[:5] // the goroutine that reads would end
					}
					var n atomic.Int64
					require.NoError(t, srv.RegisterFunc("Test.Fragile", func() (*fragile, error) {
						return &fragile{dos[int(n.Add(1))%len(dos)], &encoded}, nil
					}, opts...))
					client := rawClient(t, srv, "json")
					client.askFor("Test.Fragile", 50)
					synctest.Wait()
					end(srv, client)
					synctest.Wait()
					srv.Close()
					assert.Zero(t, srv.replies.leased)
				})
			})
		}
	}
}

// A result that becomes much larger than anybody could guess does not stay encoded
// while there is no room.
func TestReplies_AnUnexpectedlyLargeOneWaitsNotEncoded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var encoded atomic.Int64
		var large atomic.Bool
		srv := newInventory().server(t, WithReplyMemory(0, 1<<20), WithWriteTimeout(time.Hour))
		require.NoError(t, srv.RegisterFunc("Test.Fragile", func() (*fragile, error) {
			if large.Load() {
				return &fragile{"large", &encoded}, nil
			}
			return &fragile{"small", &encoded}, nil
		}))
		client := rawClient(t, srv, "json")
		client.request(1, "Test.Fragile", "")
		assert.Equal(t, `"small"`, string(client.read().Payload))
		large.Store(true)
		head := wire.RequestHead{Method: "Test.Fragile"}
		for id := range uint64(50) {
			client.write(head.Append(nil, 0, id+2, 0))
		}
		synctest.Wait()
		srv.mu.Lock()
		conns := srv.connsLocked()
		srv.mu.Unlock()
		require.Len(t, conns, 1)
		assert.LessOrEqual(t, conns[0].replies.held, int64(2<<20))
		for range 50 {
			assert.Len(t, client.read().Payload, 300_002)
		}
		assert.LessOrEqual(t, encoded.Load(), int64(101))
	})
}

// The guess at a result is not far off, whatever it is, and ends.
func TestGuessReply(t *testing.T) {
	type list struct {
		Items []stockReply
		More  *list
		Any   any
		When  time.Time
	}
	circle := &list{}
	circle.More = circle
	for name, c := range map[string]struct {
		result any
		known  bool
		low    float64 // of what it becomes
		high   float64
	}{
		"a small struct":      {&stockReply{Item: "item1", Count: 100}, true, 1, 10},
		"a text":              {longText(100_000), true, 1, 1.3},
		"bytes":               {make([]byte, 100_000), true, 1, 1.3},
		"numbers":             {make([]int, 1000), true, 1, 15},
		"texts":               {strings.Split(longText(100_000), ","), true, 1, 2},
		"a list":              {&list{Items: make([]stockReply, 10_000)}, true, 0.9, 6},
		"a map":               {counts(10_000), true, 0.9, 5},
		"anything":            {&list{Any: map[string]any{"a": longText(10_000)}}, true, 1, 2},
		"what encodes itself": {&list{Any: &fragile{encoded: new(atomic.Int64)}}, false, 0, 10},
	} {
		t.Run(name, func(t *testing.T) {
			size, known := guessReply(c.result)
			data, err := JSON.Append(nil, c.result)
			require.NoError(t, err)
			assert.Equal(t, c.known, known)
			assert.GreaterOrEqual(t, float64(size), c.low*float64(len(data)))
			assert.LessOrEqual(t, float64(size), c.high*float64(len(data))+500)
		})
	}
	size, known := guessReply(circle)
	assert.True(t, known)
	assert.Positive(t, size)
	assert.NotNil(t, replyShapeOf(reflect.TypeFor[net.IPNet]()))
}
