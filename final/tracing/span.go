package tracing

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

// clientFailed reports whether a client's span with this code is an error.
func clientFailed(code rpc.Code) bool { return code != rpc.OK }

// serverFailed reports whether it is the server's fault that a call ended with
// this code (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
func serverFailed(code rpc.Code) bool {
	switch code {
	case rpc.Unknown, rpc.DeadlineExceeded, rpc.Unimplemented, rpc.Internal, rpc.Unavailable, rpc.DataLoss:
		return true
	}
	return false
}

// How a call ended that never returned. What it panicked with is for
// rpc.WithPanicHandler.
var (
	errPanicked = rpc.Errorf(rpc.Internal, "panicked")
	errGoexit   = rpc.Errorf(rpc.Internal, "the goroutine was ended by runtime.Goexit")
)

// settle is deferred around code that may not return. err is errGoexit until that returns. A
// panic makes it errPanicked, and goes on once finish has run.
func settle(err *error, finish func()) {
	value := recover()
	if value != nil {
		*err = errPanicked
	}
	finish()
	if value != nil {
		panic(value) // it is not ours
	}
}

// count notes how many items a stream has had.
func count(span trace.Span, s rpc.Stream) {
	if !span.IsRecording() {
		return
	}
	items := s.Stats()
	span.SetAttributes(attribute.Int64("rpc.message.sent", items.Sent), attribute.Int64("rpc.message.received", items.Received))
}

// end ends a span with the outcome of its call. It is cheap for a span that is
// not sampled.
func end(span trace.Span, err error, failed func(rpc.Code) bool) {
	if span.IsRecording() {
		code := rpc.CodeOf(err)
		span.SetAttributes(semconv.RPCResponseStatusCode(code.String()))
		if failed(code) {
			span.SetAttributes(semconv.ErrorTypeKey.String(code.String()))
			span.SetStatus(codes.Error, description(err))
		}
	}
	span.End()
}

// maxDescription bounds an error's text, in bytes: a handler may have put
// something of its params into it, and so the client's. What a terminal would obey
// in it is escaped.
const maxDescription = 1 << 10

func description(err error) string {
	text := textOf(err)
	if len(text) > maxDescription {
		text = text[:maxDescription]
	}
	return plaintext.Line(strings.ToValidUTF8(text, ""))
}

// textOf returns the message of an error. One whose method panics, a nil pointer in
// most cases, has a note for it: its span ends all the same.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(a %T that panics when it is asked for its text)", err)
		}
	}()
	var coded *rpc.Error
	if causes.As(err, &coded) && coded != nil {
		return coded.Message
	}
	return err.Error()
}
