package logging

import (
	"context"
	"log/slog"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Option sets something of a [Logger]. Of a value given twice the last one counts.
// An option panics on nil and on a negative number.
type Option func(*Logger)

// WithLevels sets the level of the line for a code. Default [Level].
func WithLevels(level func(rpc.Code) slog.Level) Option {
	misuse.NotNil("logging: WithLevels", "function", level)
	return func(l *Logger) { l.level = level }
}

// Level is the default level for a code: Info for success and for what a caller
// does wrong in the course of things, Warn for what someone should look at when
// there is much of it, Error for what is a server's mistake.
func Level(code rpc.Code) slog.Level {
	switch code {
	case rpc.OK, rpc.Canceled, rpc.InvalidArgument, rpc.NotFound, rpc.AlreadyExists,
		rpc.FailedPrecondition, rpc.Aborted, rpc.OutOfRange:
		return slog.LevelInfo
	case rpc.DeadlineExceeded, rpc.PermissionDenied, rpc.ResourceExhausted, rpc.Unimplemented,
		rpc.Unavailable, rpc.Unauthenticated:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// WithSampling logs one success in n, the first one among them; each line that
// follows on successes without one has their number in the attribute "skipped".
// Errors are always logged. Default 1: all, as with 0.
func WithSampling(n int) Option {
	misuse.NotNegative("logging: WithSampling", n)
	return func(l *Logger) { l.successes.oneIn = int64(n) }
}

// WithMaxPerSecond logs at most n successes in each second of the clock, after
// [WithSampling]. Errors are always logged. Default 0: no bound.
func WithMaxPerSecond(n int) Option {
	misuse.NotNegative("logging: WithMaxPerSecond", n)
	return func(l *Logger) { l.successes.perSecond = int64(n) }
}

// WithMaxRefusals logs at most n refused calls and replies that were not sent in
// each second of the clock. Default 10; 0: no bound.
func WithMaxRefusals(n int) Option {
	misuse.NotNegative("logging: WithMaxRefusals", n)
	return func(l *Logger) { l.refusals.perSecond = int64(n) }
}

// WithPayloads adds the attributes params and result, as JSON, each cut after
// limit bytes. Default 0, which is what a negative limit stands for, too: none.
//
// Payloads may hold what does not belong into a log. A type says itself what is
// shown of its values if it, or its pointer, is a [slog.LogValuer], wherever
// they are: in structs, maps, slices, interfaces, or in what another LogValue
// returns. Of Protocol Buffers messages, fields marked debug_redact are left out.
// A type that encodes itself (json.Marshaler, encoding.TextMarshaler) is shown as
// that does it, unless a LogValuer or an interface is among its fields: then a
// note stands in its place. Errors are shown as their texts.
//
// Params are shown as they were before the call, which costs time even where no
// line follows. Values that panic, that contain themselves, or that JSON cannot
// encode are shown as far as that goes, and fail no call.
func WithPayloads(limit int) Option {
	misuse.NotNegative("logging: WithPayloads", limit)
	return func(l *Logger) { l.payloads = limit }
}

// WithAttrs adds attributes that f finds in a call's context, a trace's ID for
// example. f runs for the lines that are written only; if it panics, so does the
// call. The option may be given several times. Texts, in groups, too, are cut after
// 8 KiB and cleaned as what a peer says. Of another value that holds texts which are
// not clean, the line shows the JSON that [WithPayloads] would.
func WithAttrs(f func(ctx context.Context) []slog.Attr) Option {
	misuse.NotNil("logging: WithAttrs", "function", f)
	return func(l *Logger) { l.attrs = append(l.attrs, f) }
}
