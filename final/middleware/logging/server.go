package logging

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// ServerOptions makes a server log its calls and streams, in [rpc.NewServer].
func (l *Logger) ServerOptions() rpc.ServerOption {
	return rpc.WithServerOptions(
		rpc.WithServerMiddleware(rpc.ServerMiddleware{Unary: l.serve, Stream: l.serveStream}),
		rpc.WithCallErrorHandler(l.callFailed))
}

func (l *Logger) serve(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	return func(ctx context.Context, params any) (any, error) {
		c := l.begin("call served", info.Name, params)
		defer func() {
			value := recover()
			l.finish(ctx, &c, value)
			if value != nil {
				panic(value) // for the server's own panic handler
			}
		}()
		result, err := next(ctx, params)
		c.late = err == nil && ctx.Err() != nil
		l.end(&c, result, err)
		return result, err
	}
}

func (l *Logger) serveStream(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
	return func(ctx context.Context, params any, s rpc.Stream) error {
		c := l.begin("stream served", info.Name, params)
		defer func() {
			value := recover()
			c.count(s)
			l.finish(ctx, &c, value)
			if value != nil {
				panic(value) // for the server's own panic handler
			}
		}()
		err := next(ctx, params, s)
		l.end(&c, nil, err)
		return err
	}
}

// callFailed logs what serve does not see.
func (l *Logger) callFailed(ctx context.Context, err error) {
	c := call{message: "call refused", method: rpc.MethodFrom(ctx), code: rpc.CodeOf(err), err: errorText(err)}
	if c.method == "" {
		c.method = "(unknown)"
	}
	if !rpc.NeverRan(err) {
		c.message = "reply not sent"
	}
	l.write(ctx, &c, &l.refusals)
}
