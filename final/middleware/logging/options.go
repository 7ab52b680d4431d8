package logging

import (
	"context"
	"log/slog"
	"math"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Option configures a [Logger]. If a value is given twice, the last one counts;
// [WithAttrs] adds up. An option panics on nil and on a negative number.
type Option func(*Logger)

// WithLevels sets the level of the line for a code. Default [Level].
func WithLevels(level func(rpc.Code) slog.Level) Option {
	misuse.NotNil("logging: WithLevels", "function", level)
	return func(l *Logger) { l.level = level }
}

// Level is the default level for a code. Info is for success and for the usual
// mistakes of callers, Warn for what should be looked at if it is frequent,
// Error for a server's mistake.
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

// WithSampling logs one success in n, beginning with the first. If successes
// were skipped, the next line has their number in the attribute "skipped".
// Errors are always logged. Default 1: all. 0 means the same; a negative n
// panics.
func WithSampling(n int) Option {
	misuse.NotNegative("logging: WithSampling", n)
	return func(l *Logger) { l.successes.oneIn = int64(n) }
}

// WithMaxPerSecond logs at most n successes in each second of the clock, after
// [WithSampling]. Errors are always logged. Default 0: no limit. A negative n
// panics.
func WithMaxPerSecond(n int) Option {
	misuse.NotNegative("logging: WithMaxPerSecond", n)
	return func(l *Logger) { l.successes.perSecond = int64(n) }
}

// WithMaxRefusals logs at most n lines about refused calls and unsent replies
// in each second of the clock. Default 10; 0: no limit. A negative n panics.
func WithMaxRefusals(n int) Option {
	misuse.NotNegative("logging: WithMaxRefusals", n)
	return func(l *Logger) { l.refusals.perSecond = int64(n) }
}

// WithPayloads adds the attributes params and result, as JSON, each cut after
// limit bytes. Default 0: none. A negative limit panics.
//
// Payloads may hold data that do not belong in a log. A type decides what is
// shown of its values if it, or its pointer, is a [slog.LogValuer]. That works
// wherever they are: in structs, maps, slices, interfaces, or in what another
// LogValue returns. Fields of Protocol Buffers messages that are marked
// debug_redact are left out. A type that encodes itself (json.Marshaler,
// encoding.TextMarshaler) is shown as it encodes itself. But if a LogValuer or
// an interface is among its fields, a note is shown instead. Errors are shown
// as their texts, in which one that is a LogValuer is shown as what it says.
//
// Params are shown as they were before the call, which costs time even if no
// line is written. Values that panic, contain themselves, or cannot be JSON are
// shown as far as possible; they fail no call.
func WithPayloads(limit int) Option {
	misuse.NotNegative("logging: WithPayloads", limit)
	return func(l *Logger) { l.payloads = min(limit, math.MaxInt-1) } // a painter counts one more
}

// WithAttrs adds attributes that f finds in a call's context, for example a
// trace's ID. f runs only for lines that are written; if it panics, the call
// does, too. The option may be given several times. Texts, also in groups, are
// cut after 8 KiB and cleaned like a peer's. If another value holds texts that
// are not clean, the line shows its JSON, as [WithPayloads] would.
func WithAttrs(f func(ctx context.Context) []slog.Attr) Option {
	misuse.NotNil("logging: WithAttrs", "function", f)
	return func(l *Logger) { l.attrs = append(l.attrs, f) }
}
