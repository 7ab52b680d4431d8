package rpc

import (
	"context"
	"log/slog"
	"time"
)

// A Handler answers one request. Its context ends when the caller has left.
type Handler func(context.Context, Request) Response

// A ServerInterceptor returns a handler that does something more around next. It
// runs once, when it is given to Use; what it returns runs for every request.
type ServerInterceptor func(next Handler) Handler

// Use puts interceptors around Handle or, without Handle, the registered
// methods. The first one given is the outermost: it sees a request
// first and its response last. Call Use before the server serves.
func (s *Server) Use(interceptors ...ServerInterceptor) {
	h := Handler(s.Handle)
	if h == nil {
		h = s.dispatch
	}
	for i := len(interceptors) - 1; i >= 0; i-- {
		h = interceptors[i](h)
	}
	s.Handle = h
}

// A Caller makes calls: a Client, or an interceptor around one.
type Caller interface {
	Call(ctx context.Context, method string, params, result any) error
}

// CallerFunc makes a function a Caller.
type CallerFunc func(ctx context.Context, method string, params, result any) error

// Call calls f.
func (f CallerFunc) Call(ctx context.Context, method string, params, result any) error {
	return f(ctx, method, params, result)
}

// A ClientInterceptor returns a Caller that does something more around next.
type ClientInterceptor func(next Caller) Caller

// Intercept puts interceptors around c: the first one given is the outermost.
func Intercept(c Caller, interceptors ...ClientInterceptor) Caller {
	for i := len(interceptors) - 1; i >= 0; i-- {
		c = interceptors[i](c)
	}
	return c
}

// ResourceExhausted is the code of a request that was refused because there is
// no room for it. It has not run, and may be tried again later.
const ResourceExhausted Code = "resource_exhausted"

// AtMost refuses requests while n are being answered. A method that keeps running
// after its caller has left still counts, because its goroutine does.
func AtMost(n int) ServerInterceptor {
	return func(next Handler) Handler {
		room := make(chan struct{}, n)
		return func(ctx context.Context, req Request) Response {
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
				return next(ctx, req)
			default:
				return newResponse(nil, Errorf(ResourceExhausted, "more than %d requests at once", n))
			}
		}
	}
}

// LogRequests logs each request whose method has returned: the method, the time it
// took, and the error, if there was one. Params and results are not logged.
func LogRequests(logger *slog.Logger) ServerInterceptor {
	return func(next Handler) Handler {
		return func(ctx context.Context, req Request) Response {
			begin := time.Now()
			resp := next(ctx, req)
			logger.InfoContext(ctx, "request", "method", req.Method, "id", req.ID,
				"took", time.Since(begin), "code", resp.Code, "error", resp.Error)
			return resp
		}
	}
}
