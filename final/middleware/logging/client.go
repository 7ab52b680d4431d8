package logging

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// ClientOptions makes a client or a pool log its calls, in [rpc.Dial],
// [rpc.NewClient] and [rpc.NewPool]. The lines do not say which server was
// called; slog's With can add the address that was dialled.
func (l *Logger) ClientOptions() rpc.ClientOption { return rpc.WithClientInterceptors(l.call) }

func (l *Logger) call(next rpc.Caller) rpc.Caller {
	return rpc.CallerFunc(func(ctx context.Context, method string, params, reply any) error {
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
	})
}
