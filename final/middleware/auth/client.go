package auth

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"example.com/rpc-from-scratch/final/rpc"
)

// Source returns the token to send. The client calls it before each call and each
// stream that has no token yet, from many goroutines at once, so that a token can be
// replaced while it is in use. If it fails, the call fails with Unauthenticated
// before it is sent, or with the code of its context if that has ended.
type Source func(ctx context.Context) (token string, err error)

// Static returns a Source of a token that does not change.
func Static(token string) Source {
	return func(context.Context) (string, error) { return token, nil }
}

// OverTLS makes a client or pool send a token with each call, over TLS. cfg
// says which servers to trust; nil trusts those with a certificate for their
// host's name. Do not give [rpc.WithTLS] as well: that is refused, as TLS given
// twice. [rpc.WithDialer] may be given, since TLS is spoken over its
// connections. OverTLS panics if source is nil.
//
// A call that has an authorization of its own, by rpc.AddMetadata, keeps it. A
// stream sends its token when it opens: it goes on when the token has expired.
func OverTLS(cfg *tls.Config, source Source) rpc.ClientOption {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	return rpc.WithClientOptions(rpc.WithTLS(cfg), send("OverTLS", source))
}

// OverLoopback is [OverTLS] without TLS, for servers on this machine. It
// connects to loopback addresses and Unix sockets only. Any other address fails
// with FailedPrecondition before a byte is sent, even if a name leads to it. It
// does not check the connection that rpc.NewClient is given, nor those of a
// [rpc.WithDialer] that follows it. It panics if source is nil.
func OverLoopback(source Source) rpc.ClientOption {
	return rpc.WithClientOptions(rpc.WithDialer(dialLoopback), send("OverLoopback", source))
}

// OverAnything is [OverTLS] over any connection, without a check: a stranger
// who can read the connection can use the token from then on. It is for
// connections that something else protects, such as a tunnel or a dialer of
// your own. It panics if source is nil.
func OverAnything(source Source) rpc.ClientOption { return send("OverAnything", source) }

// send puts the token into the metadata of calls.
func send(option string, source Source) rpc.ClientOption {
	if source == nil {
		panic(fmt.Errorf("auth: %s: the source is nil", option))
	}
	return rpc.WithClientInterceptors(func(next rpc.Caller) rpc.Caller {
		return rpc.CallerFuncs{
			CallFunc: func(ctx context.Context, method string, params, reply any) error {
				ctx, err := withToken(ctx, source)
				if err != nil {
					return err
				}
				return next.Call(ctx, method, params, reply)
			},
			OpenFunc: func(ctx context.Context, kind rpc.MethodKind, method string, params any) (rpc.OpenedStream, error) {
				ctx, err := withToken(ctx, source)
				if err != nil {
					return nil, err
				}
				return rpc.OpenStream(ctx, next, kind, method, params)
			},
		}
	})
}

// withToken puts a token into the metadata of a call or a stream, unless it has its own.
func withToken(ctx context.Context, source Source) (context.Context, error) {
	if _, own := rpc.OutgoingMetadata(ctx)[MetadataKey]; own {
		return ctx, nil
	}
	token, err := source(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, rpc.Errorf(rpc.CodeOf(ctx.Err()), "auth: no token: %w", err)
	case err != nil:
		return nil, rpc.Errorf(rpc.Unauthenticated, "auth: no token: %w", err)
	case !isToken(token):
		return nil, rpc.Errorf(rpc.Unauthenticated, "auth: the token is empty or has characters that none may have")
	}
	return rpc.AddMetadata(ctx, rpc.Metadata{MetadataKey: "Bearer " + token}), nil
}

// dialLoopback connects to this machine only. It looks at the address that the
// name has led to, right before the connection is made.
func dialLoopback(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
			return rpc.Errorf(rpc.FailedPrecondition, "auth: %s is not this machine: a token goes there over TLS only", address)
		}
		return nil
	}}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return d.DialContext(ctx, "tcp", addr)
}
