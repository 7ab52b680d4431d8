package rpc

import (
	"fmt"
	"io"
	stdlog "log"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A stranger who connects again and again does not fill the log.
func TestReports_AreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log tellTale
		srv := newInventory().server(t, WithErrorHandler(log.tell))
		one := `rpc: pipe: invalid_argument: protocol: hello begins with "GET ": not this protocol`
		for range 3 {
			sayGarbage(srv, 1000)
			lines := log.take()
			assert.Len(t, lines, 20)
			assert.Equal(t, one, lines[0])
			<-time.After(time.Second)
			assert.Equal(t, []string{"rpc: 980 more connections were refused within a second"}, log.take())
		}
		sayGarbage(srv, 20)
		assert.Len(t, log.take(), 20, "the next second")
		<-time.After(time.Minute)
		assert.Empty(t, log.take(), "nothing was left out")
	})
}

// tellTale is a log.
type tellTale struct {
	mu   sync.Mutex
	told []string
}

func (l *tellTale) tell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, err.Error())
}

// take returns what was told since it was last called.
func (l *tellTale) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.told
	l.told = nil
	return all
}

// sayGarbage connects n times, with what is no hello.
func sayGarbage(srv *Server, n int) {
	for range n {
		near, far := net.Pipe()
		go srv.ServeConn(far)
		go io.Copy(io.Discard, near)
		near.Write([]byte("GET / HT"))
		near.Close()
		synctest.Wait()
	}
}

// Strangers who have any number of reports written do not hide what happens to clients.
func TestReports_StrangersDoNotHideClients(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log tellTale
		srv := newInventory().server(t, WithErrorHandler(log.tell))
		sayGarbage(srv, 100)
		assert.Len(t, log.take(), 20)
		raw := rawClient(t, srv, "json")
		raw.write(make([]byte, 16))
		raw.readGoAway()
		raw.conn.Close()
		if lines := log.take(); assert.Len(t, lines, 1) {
			assert.Contains(t, lines[0], "protocol: ")
		}
		for range 30 {
			raw := rawClient(t, srv, "json")
			raw.write(make([]byte, 16))
			raw.readGoAway()
			raw.conn.Close()
		}
		log.take()
		<-time.After(2 * time.Second)
		assert.ElementsMatch(t, []string{
			"rpc: 80 more connections were refused within a second",
			"rpc: 11 more connections ended with an error within a second",
		}, log.take())
	})
}

// When Close has returned, the log is complete.
func TestReports_EndWithTheServer(t *testing.T) {
	for about, end := range map[string]func(t *testing.T, srv *Server) error{
		"Close":    func(_ *testing.T, srv *Server) error { return srv.Close() },
		"Shutdown": func(t *testing.T, srv *Server) error { return srv.Shutdown(t.Context()) },
	} {
		bubble(t, func(t *testing.T) {
			var log tellTale
			srv := newInventory().server(t, WithErrorHandler(log.tell))
			sayGarbage(srv, 50)
			assert.Len(t, log.take(), 20)
			begun := time.Now()
			assert.NoError(t, end(t, srv))
			assert.Zero(t, time.Since(begun))
			assert.Equal(t, []string{"rpc: 30 more connections were refused within a second"}, log.take(), about)
			<-time.After(time.Minute)
			assert.Empty(t, log.take(), about)
		})
	}
}

// A handler of errors that ends its goroutine, or panics, keeps nobody from closing.
func TestReports_ACallbackThatEndsKeepsNobodyFromClosing(t *testing.T) {
	stdlog.SetOutput(io.Discard)
	defer stdlog.SetOutput(os.Stderr)
	for how, f := range badEnds {
		bubble(t, func(t *testing.T) {
			srv := newInventory().server(t, WithErrorHandler(func(err error) {
				if strings.Contains(err.Error(), "more connections") {
					f()
				}
			}))
			sayGarbage(srv, 50)
			assert.NoError(t, srv.Close(), how)
			assert.NoError(t, srv.Close(), how)
		})
	}
}

// Whatever the reason is: a full server, a hello, a frame.
func TestReports_AreBoundedForAllReasons(t *testing.T) {
	for about, attack := range map[string]func(t *testing.T, srv *Server){
		"full": func(_ *testing.T, srv *Server) {
			near, far := net.Pipe()
			go srv.ServeConn(far)
			synctest.Wait()
			near.Close()
		},
		"frame": func(t *testing.T, srv *Server) {
			raw := rawClient(t, srv, "json")
			raw.write(make([]byte, 16))
			raw.readGoAway()
			raw.conn.Close()
		},
	} {
		bubble(t, func(t *testing.T) {
			told := 0
			opts := []ServerOption{WithErrorHandler(func(error) { told++ })}
			if about == "full" {
				opts = append(opts, WithMaxConns(1))
			}
			srv := newInventory().server(t, opts...)
			if about == "full" {
				pipe(t, srv)
				synctest.Wait()
			}
			begun := time.Now()
			for range 50 {
				attack(t, srv)
				synctest.Wait()
			}
			assert.LessOrEqual(t, told, reportsPerSecond*(1+int(time.Since(begun)/time.Second)), fmt.Sprint(about, time.Since(begun)))
			assert.Positive(t, told)
		})
	}
}
