package rpc

import (
	"cmp"
	"context"
	"maps"
	"sync/atomic"
	"time"
)

// Invocation is a call that comes without a connection: see [Server.Invoke].
type Invocation struct {
	Method   string
	Codec    Codec    // of Params and of the result; required
	Params   []byte   // encoded; empty for a method that takes none. Authorize does not look at them
	Peer     *Peer    // who calls; nil if that is not known
	Metadata Metadata // may be nil

	// Header is set to what SetHeader has set when Invoke or Authorize returns, also with
	// an error; nil if that is not wanted. Trailer is set to what SetTrailer has set, by
	// InvokeStream alone.
	Header, Trailer *Metadata
}

// Invoke runs a method without a connection, for gateways, and returns its
// encoded result. Authorize, interceptors, [WithMaxHandlers] and
// [WithHandlerTimeout] apply, and while Invoke runs [WithReplyMemory]; the limits of
// a connection and of messages do not. The error is an *[Error]: InvalidArgument if
// there is no codec, Unavailable after Shutdown or Close. Shutdown waits for the
// call; Close ends its context and waits for it. The handler runs on the caller's
// goroutine, and Invoke returns when it does. The handler's context has the values
// of ctx, but not what [AddMetadata] and [MarkIdempotent] have put there: those are
// for calls made with ctx, not for the handler's own.
func (s *Server) Invoke(ctx context.Context, in Invocation) ([]byte, error) {
	a, err := s.authorizeAs(ctx, "Invoke", in, Unary)
	if err != nil {
		return nil, err
	}
	defer a.Release()
	return a.Invoke(ctx, in.Params)
}

// Authorized is a call or a stream that may be run: see [Server.Authorize].
type Authorized struct {
	server  *Server
	call    *serverCall
	kind    MethodKind
	codec   Codec
	header  *Metadata
	trailer *Metadata
	left    time.Duration // of WithHandlerTimeout, which the hooks have used a part of
	invoked atomic.Bool
	charge  atomic.Int64 // what the result takes of Server.answers
}

// Authorize is the first half of [Server.Invoke] and [Server.InvokeStream], for gateways
// that read params only of those who may call: it checks the method and the metadata, and
// asks the hooks of [WithAuthorize]. Its errors are those of the two: nothing ever runs.
// The second half is [Authorized.Invoke] for a [Unary] method, and
// [Authorized.InvokeStream] for a [ServerStreaming] one.
//
// Shutdown and Close wait for both halves, and not for what the gateway does in between
// and afterwards.
func (s *Server) Authorize(ctx context.Context, in Invocation) (*Authorized, error) {
	kind := Unary
	if s.made() {
		if info, ok := s.Method(in.Method); ok && info.Kind != Unary {
			kind = ServerStreaming // others cannot be run without a connection
		}
	}
	return s.authorizeAs(ctx, "Authorize", in, kind)
}

func (s *Server) authorizeAs(ctx context.Context, doing string, in Invocation, kind MethodKind) (*Authorized, error) {
	if ctx == nil {
		return nil, errNoCallContext
	}
	if isNil(in.Codec) {
		return nil, unrun(Errorf(InvalidArgument, "%s: the codec is nil%s", doing, typeOfNil(in.Codec)))
	}
	if !s.made() {
		return nil, unrun(Errorf(Internal, "%w", errNotMade))
	}
	a := &Authorized{
		server: s, kind: kind, codec: in.Codec, header: in.Header, trailer: in.Trailer,
		call: &serverCall{peer: cmp.Or(in.Peer, new(Peer)), method: s.registry.find([]byte(in.Method)), metadata: in.Metadata},
	}
	handOut(a.trailer, nil) // until there is one
	defer a.takeHeader()
	ctx, leave := a.enter(ctx, s.options.handlerTimeout)
	defer leave()
	begun := time.Now()
	if err := s.mayInvoke(ctx, a.call, in.Method, kind); err != nil {
		return nil, a.refused(ctx, err)
	}
	a.left = s.options.handlerTimeout - time.Since(begun)
	return a, nil
}

// Invoke runs the method, as [Server.Invoke] does. An Authorized may be run once; again is
// an InvalidArgument. The result counts against [WithReplyMemory] until Release; while
// there is no room it waits, not encoded, and its handler keeps its place. All calls
// without a connection count as those of one connection that may take a quarter of the
// server's memory.
func (a *Authorized) Invoke(ctx context.Context, params []byte) (out []byte, err error) {
	err = a.once(ctx, Unary, func(ctx context.Context) error {
		result, err := a.run(ctx, params)
		if err != nil {
			return toError(err)
		}
		out, err = a.encode(ctx, result)
		return err
	})
	return out, err
}

// once runs what was authorized, if that is of this kind and a handler has a place.
func (a *Authorized) once(ctx context.Context, kind MethodKind, run func(context.Context) error) error {
	if a == nil || a.server == nil {
		return unrun(Errorf(InvalidArgument, "an Authorized is made by Server.Authorize"))
	}
	if ctx == nil {
		return errNoCallContext
	}
	s, m := a.server, a.call.method
	if err := m.suits(kind); err != nil {
		return unrun(toError(err))
	}
	if a.invoked.Swap(true) {
		return unrun(Errorf(InvalidArgument, "an Authorized of %s is invoked once", m.info.Name))
	}
	handOut(a.trailer, nil) // until there is one
	defer a.takeHeader()
	ctx, leave := a.enter(ctx, max(a.left, 1))
	defer leave()
	if s.State() != Serving {
		return a.refused(ctx, errDraining)
	}
	from := s.enterFrom(nil, a.call.peer.Addr)
	defer s.origins.leave(from)
	if refusal := s.acquire(m, from); refusal != nil {
		return a.refused(ctx, refusal)
	}
	defer s.release(from)
	return run(ctx)
}

// Release says that the result is written, or dropped. Call it once Invoke has
// returned, or will not be called. Calling it again does nothing.
func (a *Authorized) Release() {
	if a != nil && a.server != nil {
		a.server.answers.give(a.charge.Swap(0))
	}
}

// takeHeader hands out the header, unless a stream has done so.
func (a *Authorized) takeHeader() {
	if md := a.call.header.Load(); md != headerLeft {
		handOut(a.header, md)
	}
}

// handOut sets what a gateway wants to know of metadata.
func handOut(into, md *Metadata) {
	switch {
	case into == nil:
	case md == nil:
		*into = nil
	default:
		*into = maps.Clone(*md)
	}
}

func (a *Authorized) refused(ctx context.Context, err error) error {
	refusal := unrun(toError(err).clone())
	a.server.callFailed(ctx, refusal)
	return refusal
}

// enter counts a call or a stream that has no connection, if the server still serves. It
// returns the context of the handler, and a function that ends it. A call has the handler's
// time if there is a bound for that.
func (a *Authorized) enter(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	var cancel context.CancelFunc
	ctx = context.WithValue(withoutCallOptions(derivable(ctx)), callKey{}, a.call)
	s := a.server
	if s.options.handlerTimeout > 0 && a.kind == Unary {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Serving {
		return ctx, cancel
	}
	s.serving.Add(1)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		s.serving.Done()
	}
}

// mayInvoke is the first half of [serverConn.admit] for a call or a stream that has no connection.
func (s *Server) mayInvoke(ctx context.Context, call *serverCall, name string, kind MethodKind) error {
	if call.method != nil && s.State() != Serving {
		return errDraining
	}
	if err := call.metadata.check(); err != nil {
		return Errorf(InvalidArgument, "%w", err)
	}
	if call.method == nil {
		return s.noMethod(ctx, call, []byte(name))
	}
	if err := call.method.suits(kind); err != nil {
		return err
	}
	return s.authorize(ctx, call, name)
}

// run decodes params and runs the handler of a call.
func (a *Authorized) run(ctx context.Context, body []byte) (any, error) {
	defer func() { a.server.invoked.give(a.call.charge) }()
	params, err := a.decode(ctx, body)
	if err != nil {
		return nil, err
	}
	return a.server.runHandler(ctx, a.call.method, params)
}

// decode returns the params for the handler; nil if the method takes none. What they take of
// Server.invoked is the caller's to give back, also if it fails.
func (a *Authorized) decode(ctx context.Context, body []byte) (params any, err error) {
	s, m := a.server, a.call.method
	if m.newParams == nil {
		return nil, nil
	}
	params = m.newParams()
	if err = a.call.measure(&s.invoked, m.sizesOf(a.codec), body); err == nil {
		err = decodeWith(a.codec, body, params)
	}
	if err != nil {
		failed := undecodable(m, err)
		s.callFailed(ctx, failed)
		return nil, failed
	}
	return params, nil
}

// encode is [serverConn.encode] for calls without a connection.
func (a *Authorized) encode(ctx context.Context, result any) ([]byte, error) {
	if result == nil {
		return a.encodeNow(ctx, nil)
	}
	answers, m := &a.server.answers, a.call.method
	charge := int64(0)
	defer func() { a.charge.Store(charge) }() // also if a user's code ends this goroutine
	size, learn := guess(m, result, encodedByField(a.codec), answers.most)
	for again := false; ; again = true {
		if !answers.reserve(&charge, size, true, ctx.Done()) {
			return nil, contextError(cmp.Or(ctx.Err(), context.Canceled))
		}
		out, err := a.encodeNow(ctx, result)
		if err != nil {
			return nil, err
		}
		size = int64(len(out))
		if learn {
			m.replySizes.note(size)
		}
		if answers.settle(&charge, size, again) {
			return out, nil
		}
		answers.forgo(&charge)
	}
}

func (a *Authorized) encodeNow(ctx context.Context, result any) ([]byte, error) {
	out, err := encodeWith(a.codec, nil, result)
	if err != nil {
		err = Errorf(Internal, "encode the result: %w", err)
		a.server.callFailed(ctx, err)
		return nil, err
	}
	return out, nil
}
