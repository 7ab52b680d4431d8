package rpc

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// What a Server calls of a user's beside handlers: Authorize hooks, and callbacks for errors
// and panics. Each may panic, or return an error whose methods do.

// noMethod refuses a call of a method that does not exist. The hooks are asked, so that they
// can limit how often a caller tries names. Other errors than those of a limit are ignored: an
// answer that differs from caller to caller would tell which methods others may call.
func (s *Server) noMethod(ctx context.Context, call *serverCall, name []byte) error {
	refusal, asked := errNoMethod(name, s.options.maxMethodName), ""
	if refusal.Code == Unimplemented {
		asked = string(name)
	}
	for _, hook := range s.options.authorize {
		err := s.ask(ctx, call, hook, asked)
		switch CodeOf(err) {
		case ResourceExhausted, Unavailable:
			return err
		}
	}
	return refusal
}

// authorize asks the hooks until one refuses.
func (s *Server) authorize(ctx context.Context, call *serverCall, name string) error {
	for _, hook := range s.options.authorize {
		if err := s.ask(ctx, call, hook, name); err != nil {
			return err
		}
	}
	return nil
}

// ask asks one hook, and adds the identity that it returns to the call's. A panic is a refusal.
func (s *Server) ask(ctx context.Context, call *serverCall, hook AuthorizeFunc, name string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Errorf(Internal, "authorization failed")
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	identity, err := hook(ctx, name)
	if identity.Name != "" {
		call.identity.Name = identity.Name
	}
	if identity.Claims != nil {
		call.identity.Claims = identity.Claims
	}
	return s.sound(ctx, err)
}

// report calls the error handlers, see [WithErrorHandler].
func (s *Server) report(err error) {
	for _, f := range s.options.onError {
		s.guard(context.Background(), func() { f(err) })
	}
}

// panicked calls the panic handlers, see [WithPanicHandler], or prints.
func (s *Server) panicked(ctx context.Context, value any, stack []byte) {
	if len(s.options.onPanic) == 0 {
		printPanic(fmt.Sprintf("in %s", cmp.Or(MethodFrom(ctx), "a hook")), value, stack)
	}
	for _, f := range s.options.onPanic {
		defer func() { // a panic of a panic handler is only printed
			if p := recover(); p != nil {
				printPanic("in a panic handler", p, debug.Stack())
			}
		}()
		f(ctx, value, stack)
	}
}

// guard calls a hook, and hands its panic to the panic handlers.
func (s *Server) guard(ctx context.Context, hook func()) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	hook()
}

// sound returns err, or another error that is safe to use: one with the code OK
// would count as a success somewhere, and one whose methods panic would end the process.
func (s *Server) sound(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	p, readable := soundError(err)
	if p != nil {
		s.panicked(ctx, p.value, p.stack)
	}
	return readable
}

// callFailed calls the callbacks of [WithCallErrorHandler]. If a marshaler's panic is what the
// call failed with, the panic handlers get that first.
func (s *Server) callFailed(ctx context.Context, err error) {
	if p, ok := causes.Find[*codecPanic](err); ok {
		s.panicked(ctx, p.value, p.stack)
	}
	err = onOneLine(err)
	for _, f := range s.options.onCallError {
		s.guard(ctx, func() { f(ctx, err) })
	}
}
