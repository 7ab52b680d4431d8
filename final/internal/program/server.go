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
// tells callers how it is and, unless the flags say otherwise, what it can do: see the
// program rpc.
func (f ServerFlags) NewServer(s Security, opts ...rpc.ServerOption) (*rpc.Server, error) {
	opts = append(append(logTo(os.Stderr, f.Name()), s.Options...), opts...)
	srv := rpc.NewServer(append(opts, f.Codecs())...)
	h, err := health.Register(srv)
	if err != nil || *f.noIntrospect {
		return srv, err
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
		stopped <- l.stop(srv)
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
