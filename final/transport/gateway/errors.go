package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/rpc"
)

// statusCanceled is what gRPC's gateway says to a client that has left.
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
}

// fail answers with an error and, where it has one, when to come back.
func fail(w http.ResponseWriter, status int, err error) {
	var e *rpc.Error
	if !causes.As(err, &e) {
		e = rpc.Errorf(rpc.CodeOf(err), "%w", err)
	}
	header := w.Header()
	if wait, ok := rpc.RetryAfter(e); ok {
		header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer") // RFC 9110 wants a challenge with every 401
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(errorBody{Code: e.Code.String(), Message: e.Message, Details: e.Details})
}
