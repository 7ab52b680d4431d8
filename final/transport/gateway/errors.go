package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// statusCanceled is what gRPC's gateway says to a client that has left, and logs show.
const statusCanceled = 499

// statuses are gRPC's gateway's, by code.
var statuses = [...]int{
	rpc.OK:                 http.StatusOK,
	rpc.Canceled:           statusCanceled,
	rpc.Unknown:            http.StatusInternalServerError,
	rpc.InvalidArgument:    http.StatusBadRequest,
	rpc.DeadlineExceeded:   http.StatusGatewayTimeout,
	rpc.NotFound:           http.StatusNotFound,
	rpc.AlreadyExists:      http.StatusConflict,
	rpc.PermissionDenied:   http.StatusForbidden,
	rpc.ResourceExhausted:  http.StatusTooManyRequests,
	rpc.FailedPrecondition: http.StatusBadRequest,
	rpc.Aborted:            http.StatusConflict,
	rpc.OutOfRange:         http.StatusBadRequest,
	rpc.Unimplemented:      http.StatusNotImplemented,
	rpc.Internal:           http.StatusInternalServerError,
	rpc.Unavailable:        http.StatusServiceUnavailable,
	rpc.DataLoss:           http.StatusInternalServerError,
	rpc.Unauthenticated:    http.StatusUnauthorized,
}

// statusOf is the HTTP status of a failed call.
func statusOf(code rpc.Code) int {
	if int(code) < len(statuses) {
		return statuses[code]
	}
	return http.StatusInternalServerError
}

// errorBody is an error as a client reads it.
type errorBody struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Details map[string]string `json:"details,omitempty"`
	Trailer rpc.Metadata      `json:"trailer,omitempty"` // of a stream
}

// coded returns err, with a code of its own.
func coded(err error) *rpc.Error {
	var e *rpc.Error
	if !causes.As(err, &e) {
		e = rpc.Errorf(rpc.CodeOf(err), "%w", err)
	}
	return e
}

// endOfCall returns the error that a call or a stream in ctx, a request's context, is answered
// with. Canceled is for a client that has left, which ends ctx. A client that is still there
// has not cancelled anything: its call was ended by the server that shuts down, or a handler
// returned what became of a call of its own. That is Unavailable, as it is for a connection.
func endOfCall(ctx context.Context, err error) error {
	if rpc.CodeOf(err) != rpc.Canceled || hasLeft(ctx) {
		return err
	}
	e := coded(err)
	return &rpc.Error{Code: rpc.Unavailable, Message: "the server has canceled the call: " + e.Message, Details: e.Details}
}

// hasLeft reports whether ctx has ended because the client has left, for which net/http gives
// no cause. A context of the http.Server's BaseContext, or of a handler around the gateway, may
// have ended it with one.
func hasLeft(ctx context.Context) bool {
	return ctx.Err() == context.Canceled && context.Cause(ctx) == context.Canceled
}

// fail answers with an error and, where it has one, when to come back.
func fail(w http.ResponseWriter, status int, err error) { failStream(w, status, err, nil) }

// failStream is fail with the trailer of a stream.
func failStream(w http.ResponseWriter, status int, err error, trailer rpc.Metadata) {
	e := coded(err)
	header := w.Header()
	if wait, ok := rpc.RetryAfter(e); ok {
		header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer") // RFC 9110 wants a challenge with every 401
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, errorText(e, trailer))
}

// errorText returns an error as JSON, with a text and details no longer than other transports
// carry: details above their bound are left out, all of them. What a terminal would obey is escaped: a handler repeats in its errors what it was sent.
func errorText(e *rpc.Error, trailer rpc.Metadata) string {
	message := strings.ToValidUTF8(e.Message, "\ufffd")
	if len(message) > wire.MaxErrorText {
		message = strings.ToValidUTF8(message[:wire.MaxErrorText], "") // without half a rune
	}
	details := e.Details
	if wire.PairsSize(details) > wire.MaxDetails {
		details = nil
	}
	var b strings.Builder
	json.NewEncoder(&b).Encode(errorBody{e.Code.String(), message, details, trailer}) // texts are always encoded
	return plaintext.Lines(b.String())
}
