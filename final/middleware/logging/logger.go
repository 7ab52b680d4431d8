package logging

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Bounds of what a line shows, in bytes.
const (
	maxName  = 128 // of a method, a peer, an identity
	maxText  = 1 << 10
	maxStack = 8 << 10
)

// Logger logs calls. One Logger may serve many servers and clients; its limits
// then hold for all of them together. It may be used by many goroutines.
type Logger struct {
	out       *slog.Logger
	level     func(rpc.Code) slog.Level
	payloads  int
	attrs     []func(context.Context) []slog.Attr
	successes sampler
	refusals  sampler
}

// New returns a Logger that writes to out. It panics if out or an option is nil.
func New(out *slog.Logger, opts ...Option) *Logger {
	misuse.NotNil("logging: New", "logger", out)
	l := &Logger{out: out, level: Level, refusals: sampler{perSecond: 10}}
	for _, opt := range opts {
		misuse.NotNil("logging: New", "option", opt)
		opt(l)
	}
	return l
}

// call is what a line tells of a call or a stream.
type call struct {
	message string
	method  string
	begun   time.Time // zero: it never began
	code    rpc.Code
	err     string
	params  string
	result  string
	late    bool
	items   *rpc.StreamStats // of a stream
	stack   []byte           // of a panic

	returned bool // it neither panicked nor ended its goroutine
}

// begin notes a call that is about to be made.
func (l *Logger) begin(message, method string, params any) call {
	c := call{message: message, method: method, begun: time.Now()}
	if l.payloads > 0 && params != nil {
		c.params = show(params, l.payloads)
	}
	return c
}

// count notes how much has travelled on a stream.
func (c *call) count(s rpc.Stream) {
	items := s.Stats()
	c.items = &items
}

// end notes the call's outcome.
func (l *Logger) end(c *call, result any, err error) {
	c.code = rpc.CodeOf(err)
	if err != nil {
		c.err = errorText(err)
	} else if l.payloads > 0 && result != nil {
		c.result = show(result, l.payloads)
	}
	c.returned = true
}

// finish writes the line of a call that has ended, by a panic if value is not nil.
func (l *Logger) finish(ctx context.Context, c *call, value any) {
	switch {
	case value != nil:
		c.code, c.err, c.stack = rpc.Internal, panicText(value), debug.Stack()
	case !c.returned:
		c.code, c.err = rpc.Internal, "the goroutine was ended by runtime.Goexit"
	}
	if c.code == rpc.OK {
		l.write(ctx, c, &l.successes)
	} else {
		l.write(ctx, c, nil)
	}
}

// write writes a line if its level is wanted and its sampler lets it pass.
func (l *Logger) write(ctx context.Context, c *call, s *sampler) {
	level := l.level(c.code)
	if !l.out.Enabled(ctx, level) {
		return
	}
	now, skipped := time.Now(), int64(0)
	if s != nil {
		var pass bool
		if skipped, pass = s.pass(now); !pass {
			return
		}
	}
	attrs := append(make([]slog.Attr, 0, 16), slog.String("method", clean(c.method, maxName)), slog.String("code", c.code.String()))
	if !c.begun.IsZero() {
		attrs = append(attrs, slog.Duration("duration", now.Sub(c.begun)))
	}
	attrs = c.appendMore(appendPeer(attrs, ctx))
	if skipped > 0 {
		attrs = append(attrs, slog.Int64("skipped", skipped))
	}
	for _, f := range l.attrs {
		attrs = append(attrs, cleanAttrs(f(ctx), 0)...)
	}
	l.out.LogAttrs(ctx, level, c.message, attrs...)
}

// appendMore appends what only some calls have.
func (c *call) appendMore(attrs []slog.Attr) []slog.Attr {
	attrs = appendText(attrs, "error", clean(c.err, maxText))
	attrs = appendText(attrs, "params", c.params)
	attrs = appendText(attrs, "result", c.result)
	if c.items != nil {
		attrs = append(attrs, slog.Int64("sent", c.items.Sent), slog.Int64("received", c.items.Received),
			slog.Int64("bytes_sent", c.items.BytesSent), slog.Int64("bytes_received", c.items.BytesReceived))
	}
	if c.late {
		attrs = append(attrs, slog.Bool("late", true))
	}
	return appendText(attrs, "stack", string(c.stack[:min(len(c.stack), maxStack)]))
}

// appendPeer appends who calls, as far as that is known.
func appendPeer(attrs []slog.Attr, ctx context.Context) []slog.Attr {
	peer, ok := rpc.PeerFrom(ctx)
	if !ok || peer == nil {
		return attrs
	}
	if peer.Addr != nil {
		attrs = appendText(attrs, "peer", clean(peer.Addr.String(), maxName))
	}
	return appendText(attrs, "identity", clean(rpc.IdentityFrom(ctx).Name, maxName))
}

func appendText(attrs []slog.Attr, key, text string) []slog.Attr {
	if text == "" {
		return attrs
	}
	return append(attrs, slog.String(key, text))
}
