package gateway

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// largeAnswer is more than the buffers of a connection hold.
const largeAnswer = 16 << 20

// serveLarge serves a method with a large answer, and says when its handler has ended.
func serveLarge(t *testing.T, opts ...Option) (url string, ended chan struct{}) {
	t.Helper()
	srv, url := serve(t, newInventory(), nil, opts...)
	ended = make(chan struct{}, 16)
	require.NoError(t, srv.RegisterFunc("Test.Large", func() string {
		defer func() { ended <- struct{}{} }()
		return strings.Repeat("x", largeAnswer)
	}))
	return url, ended
}

// send sends the beginning of a request, and leaves the rest to the test.
func send(t *testing.T, target, method string, length int, body string) net.Conn {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(16<<10))
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, u.Host, length, body)
	require.NoError(t, err)
	return conn
}

func TestCall_AnUnreadAnswerKeepsItsPlace(t *testing.T) {
	noLeaks(t)
	target, ended := serveLarge(t, WithMaxInFlight(1), WithWriteTimeout(0))
	conn := send(t, target, "/rpc/Test.Large", 0, "")
	<-ended
	a := post(t, target+method, `{}`)
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode, "its answer is still in memory")
	conn.Close()
	for a.StatusCode == http.StatusTooManyRequests {
		a = post(t, target+method, `{}`)
	}
	assert.Equal(t, http.StatusOK, a.StatusCode)
}

func TestCall_AnUnreadAnswerIsNotKeptForEver(t *testing.T) {
	noLeaks(t)
	target, ended := serveLarge(t, WithMaxInFlight(1), WithWriteTimeout(time.Second))
	conn := send(t, target, "/rpc/Test.Large", 0, "")
	<-ended
	a := post(t, target+method, `{}`)
	for a.StatusCode == http.StatusTooManyRequests {
		a = post(t, target+method, `{}`)
	}
	assert.Equal(t, http.StatusOK, a.StatusCode)
	read, err := io.Copy(io.Discard, conn)
	assert.Less(t, read, int64(largeAnswer), "the connection was closed: %v", err)
}

func TestCall_AnUnreadAnswerIsNotKeptForEverOverHTTP2(t *testing.T) {
	noLeaks(t)
	srv := rpc.NewServer()
	t.Cleanup(func() { srv.Close() })
	require.NoError(t, srv.RegisterFunc("Test.Large", func() string { return strings.Repeat("x", largeAnswer) }))
	require.NoError(t, srv.RegisterFunc("Test.Small", func() string { return "x" }))
	hs := httptest.NewUnstartedServer(New(srv, WithMaxInFlight(1), WithWriteTimeout(time.Second)))
	hs.EnableHTTP2 = true
	hs.StartTLS()
	t.Cleanup(hs.Close)
	call := func(method string) *http.Response {
		resp, err := hs.Client().Post(hs.URL+method, "application/json", nil)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		assert.Equal(t, 2, resp.ProtoMajor)
		return resp
	}
	unread := call("/rpc/Test.Large")
	assert.Equal(t, http.StatusOK, unread.StatusCode)
	status := call("/rpc/Test.Small").StatusCode
	assert.Equal(t, http.StatusTooManyRequests, status)
	for status == http.StatusTooManyRequests {
		status = call("/rpc/Test.Small").StatusCode
	}
	assert.Equal(t, http.StatusOK, status)
	_, err := io.Copy(io.Discard, unread.Body)
	assert.Error(t, err, "it was cut off")
}

// slowWriter takes a while for each write, as to a client that reads slowly.
type slowWriter struct {
	http.ResponseWriter
	each      time.Duration
	deadlines []time.Duration // left at each write
	deadline  time.Time
}

func (w *slowWriter) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.deadlines = append(w.deadlines, time.Until(w.deadline))
	<-time.After(min(w.each, time.Until(w.deadline)))
	if !time.Now().Before(w.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	return len(b), nil
}

// A client that reads steadily gets all, though that takes longer than the timeout. One
// that reads a little each time does not keep the answer for ever.
func TestTimed_AClientHasToReadAtALeastRate(t *testing.T) {
	for _, c := range []struct {
		each time.Duration // for 64 KiB
		want int           // bytes that are taken
	}{
		{time.Second, largeAnswer},             // 64 KiB/s
		{3900 * time.Millisecond, largeAnswer}, // a little more than 16 KiB/s
		{8 * time.Second, 7 * 64 << 10},        // after 56 s it should have had 26 s' worth
		{30 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			slow := &slowWriter{ResponseWriter: httptest.NewRecorder(), each: c.each}
			n, err := timed(slow, 30*time.Second).Write(make([]byte, largeAnswer))
			assert.Equal(t, c.want, n, "%v for 64 KiB", c.each)
			if c.want < largeAnswer {
				assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
			for _, left := range slow.deadlines {
				assert.LessOrEqual(t, left, 30*time.Second)
			}
		})
	}
}

// Where nobody is authorized, anyone can send slow bodies.
func TestCall_SlowBodiesKeepNobodyOut(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), nil, WithMaxInFlight(4), WithReadTimeout(0))
	answers := make(chan string)
	var slow []net.Conn
	goSlow := func() {
		conn := send(t, target, method, 100, "{")
		slow = append(slow, conn)
		go func() {
			text, _ := io.ReadAll(conn)
			answers <- string(text)
		}()
	}
	for range 4 {
		goSlow()
	}
	status, evicted, ended := 0, "", 0
	for status != http.StatusOK || evicted == "" { // the slow ones have 50 ms
		status = post(t, target+method, `{}`).StatusCode
		select {
		case text := <-answers:
			ended++
			if strings.Contains(text, "this one's body was the slowest to arrive") {
				evicted = text
			} else {
				goSlow() // it came while there was no room, and was refused at once
			}
		default:
		}
	}
	assert.Contains(t, evicted, "HTTP/1.1 429 ")
	assert.Contains(t, evicted, "Connection: close")
	assert.Contains(t, evicted, "more than 4 requests are in flight")
	for _, conn := range slow {
		conn.Close()
	}
	for range len(slow) - ended {
		<-answers
	}
}

// Evictions and bodies that arrive meet at all moments, and the count stays right.
func TestPlaces_AreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps places
		var held, evicted, refused atomic.Int64
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				<-time.After(time.Duration(rand.N(2000)) * time.Millisecond)
				gone := make(chan struct{})
				p, _ := ps.take(bound{3, 3}, 0, netip.Addr{}, func() { close(gone) })
				if p == nil {
					refused.Add(1)
					return
				}
				defer p.leave()
				select {
				case <-time.After(time.Duration(rand.N(100)) * time.Millisecond):
				case <-gone:
				}
				if !p.arrived() {
					evicted.Add(1)
					return
				}
				assert.LessOrEqual(t, held.Add(1), int64(3))
				p.share()
				go func() {
					<-time.After(time.Duration(i%10) * time.Millisecond)
					held.Add(-1)
					p.leave()
				}()
			})
		}
		all.Wait()
		<-time.After(time.Second)
		synctest.Wait()
		assert.Positive(t, evicted.Load())
		assert.Positive(t, refused.Load())
		assert.Zero(t, ps.taken)
		assert.Zero(t, ps.reading.Len())
	})
}
