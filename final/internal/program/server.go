package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// NewServer returns a server that says on standard error what goes wrong, and
// tells callers what it can do and how it is: see the program rpc.
func NewServer(program string, opts ...rpc.ServerOption) (*rpc.Server, error) {
	srv := rpc.NewServer(append(logTo(os.Stderr, program), opts...)...)
	h, err := health.Register(srv)
	if err != nil {
		return nil, err
	}
	return srv, introspect.Register(srv, h)
}

// logTo returns the options of a server that logs to w. An error or a panic may
// hold what a peer has sent: it is one line of text.
func logTo(w io.Writer, program string) []rpc.ServerOption {
	logger := log.New(w, program+": ", log.LstdFlags|log.Lmsgprefix)
	return []rpc.ServerOption{
		rpc.WithErrorHandler(func(err error) { logger.Print(plaintext.Line(err.Error())) }),
		rpc.WithPanicHandler(func(_ context.Context, value any, stack []byte) {
			logger.Printf("panic: %s\n%s", plaintext.Line(fmt.Sprint(value)), stack)
		}),
	}
}

// Drain is how long running calls may take to end once a server is told to.
const Drain = 10 * time.Second

// Serve runs srv on addr until ctx ends, and lets running calls finish. Once it
// listens, it makes itself known, says so, and calls the functions of listening.
func Serve(ctx context.Context, srv *rpc.Server, addr string, l *Listing, listening ...func()) error {
	ln, err := rpc.Listen(addr)
	if err != nil {
		return err
	}
	at := dialAddr(ln.Addr())
	if err := l.begin(context.WithoutCancel(ctx), at); err != nil {
		ln.Close()
		return err
	}
	fmt.Println("listening on", at)
	for _, f := range listening {
		f()
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), Drain)
		defer cancel()
		stopped <- l.shutdown(ctx, srv)
	})
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// dialAddr returns a listener's address as rpc.Dial takes it.
func dialAddr(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return addr.String()
}
