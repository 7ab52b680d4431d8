package logging

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// ClientOptions makes a client or a pool log its calls and streams, in [rpc.Dial],
// [rpc.NewClient] and [rpc.NewPool]. The lines do not say which server was
// called; slog's With can add the address that was dialled.
func (l *Logger) ClientOptions() rpc.ClientOption { return rpc.WithClientInterceptors(l.call) }

func (l *Logger) call(next rpc.Caller) rpc.Caller {
	return rpc.CallerFuncs{
		CallFunc: func(ctx context.Context, method string, params, reply any) error {
			c := l.begin("call made", method, params)
			defer func() {
				value := recover()
				l.finish(ctx, &c, value)
				if value != nil {
					panic(value) // it is not ours
				}
			}()
			err := next.Call(ctx, method, params, reply)
			l.end(&c, reply, err)
			return err
		},
		OpenFunc: func(ctx context.Context, kind rpc.MethodKind, method string, params any) (rpc.OpenedStream, error) {
			return l.open(ctx, next, kind, method, params)
		},
	}
}

// open opens a stream, and logs it when it has ended or was not opened.
func (l *Logger) open(ctx context.Context, next rpc.Caller, kind rpc.MethodKind, method string, params any) (s rpc.OpenedStream, err error) {
	c := l.begin("stream opened", method, params)
	defer func() {
		value := recover()
		if s == nil {
			l.finish(ctx, &c, value)
		}
		if value != nil {
			panic(value) // it is not ours
		}
	}()
	s, err = rpc.OpenStream(ctx, next, kind, method, params)
	if err != nil {
		l.end(&c, nil, err)
		return nil, err
	}
	s.OnEnd(func(err error) {
		c.count(s)
		l.end(&c, nil, err)
		l.finish(ctx, &c, nil)
	})
	return s, nil
}
