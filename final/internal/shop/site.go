package shop

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/transport"
)

// writeTime is that of a write over TLS for which there is no other bound.
const writeTime = 10 * time.Second

// siteOf returns the URL of what is served on a listener, without a path.
func siteOf(ln net.Listener, secure program.Security) string {
	if secure.TLS != nil {
		return "https://" + ln.Addr().String()
	}
	return "http://" + ln.Addr().String()
}

// serveSite serves until the server is closed. Over TLS, a client needs what it needs
// for calls.
func serveSite(name string, server *http.Server, ln net.Listener, secure program.Security) {
	server.ErrorLog = log.New(plainLog{}, name+": ", 0)
	var err error
	if secure.TLS != nil {
		server.TLSConfig = secure.TLS.Clone()
		err = server.ServeTLS(transport.BoundWrites(ln, writeTime), "", "")
	} else {
		err = server.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		plaintext.Fprintf(os.Stderr, "%s: %s\n", name, err.Error())
	}
}

// plainLog prints what net/http says, in which a peer's words may be.
type plainLog struct{}

func (plainLog) Write(line []byte) (int, error) {
	_, err := fmt.Fprint(os.Stderr, plaintext.Lines(string(line)))
	return len(line), err
}
