package rpc

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Metadata of replies is an [extension]. A unary reply is one frame, so it has one
// block of metadata, its header: a trailer would arrive at the same moment.
const (
	replyMetadataKey   = "rpc.reply-metadata"
	replyMetadataValue = "1"
)

func offerReplyMetadata(*clientOptions) string { return replyMetadataValue }

func grantReplyMetadata(_ *serverConn, _ Codec, offered string) string {
	if offered != replyMetadataValue {
		return ""
	}
	return replyMetadataValue
}

func replyMetadataGranted(_ *clientConn, value string) bool { return value == replyMetadataValue }

// SetHeader adds md to the header of the reply to the call that ctx belongs to: to the
// metadata that travel beside the result, or beside the error if the call fails. A key
// that the header has already gets its new value. Handlers, interceptors and Authorize
// hooks of a server may call it, from many goroutines. It copies md. Once the handler of
// a call has returned, it has no effect. The header of a stream leaves with its first
// item, with its end, or by [SendHeader]; after that, SetHeader fails.
//
// A caller reads the header if it asks for it: see [ReceiveHeader], and for streams
// [ReceiveStream.Header]. The header does not travel to a client that does not know
// headers, nor if it would make the reply larger than the client reads (see
// [WithMaxMessage]). Put what every caller needs into the result.
//
// The error is an *[Error], and the header then stays as it was: InvalidArgument for pairs
// that may not travel (see [Metadata]), and for a context that is not of a call on a
// server; ResourceExhausted if the header would have more than 128 pairs, or, with
// four bytes more for each pair, more than 8 KiB; FailedPrecondition if the header of a
// stream has left.
func SetHeader(ctx context.Context, md Metadata) error {
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok {
		return Errorf(InvalidArgument, "SetHeader: the context is not that of a call on a server")
	}
	return addReplyMetadata("SetHeader", &call.header, md)
}

// addReplyMetadata adds md to what is in into, which is replaced and never changed.
func addReplyMetadata(doing string, into *atomic.Pointer[Metadata], md Metadata) error {
	for k, v := range md {
		if err := checkPair(k, v); err != nil {
			return Errorf(InvalidArgument, "%s: %w", doing, err)
		}
	}
	for {
		was := into.Load()
		if was == headerLeft {
			return Errorf(FailedPrecondition, "%s: the header has left: with the first item, with the end, or by SendHeader", doing)
		}
		merged := make(Metadata, len(md))
		if was != nil {
			maps.Copy(merged, *was)
		}
		maps.Copy(merged, md)
		if err := checkReplyMetadata(merged); err != nil {
			return Errorf(ResourceExhausted, "%s: %w", doing, err)
		}
		if into.CompareAndSwap(was, &merged) {
			return nil
		}
	}
}

// checkReplyMetadata reports more pairs, or bytes, than the metadata of a reply may have.
func checkReplyMetadata(md Metadata) error {
	if len(md) > wire.MaxPairs {
		return fmt.Errorf("metadata of %d pairs: at most %d are allowed", len(md), wire.MaxPairs)
	}
	if n := wire.PairsSize(md); n > wire.MaxReplyMetadata {
		return fmt.Errorf("metadata of %d bytes: at most %d are allowed", n, wire.MaxReplyMetadata)
	}
	return nil
}

// headerSet returns what SetHeader has set so far.
func (c *serverCall) headerSet() Metadata { return headerIn(&c.header) }

// headerOf returns the header of the call's reply, if the client knows headers.
func (c *serverConn) headerOf(call *serverCall) Metadata {
	if c.agreed&wire.FlagReplyMetadata == 0 {
		return nil
	}
	return call.headerSet()
}

// headerVars are the variables that a caller, or an interceptor, wants the header in.
type headerVars struct {
	into *Metadata
	next *headerVars
}

// ReceiveHeader returns a context whose calls set *header to what the server has set by
// [SetHeader], when they return; also if the call fails by an error of the server's. It
// is nil if the server has set none, if no reply has arrived, or if an interceptor of the
// client, such as a cache, has answered. If the call is sent more than once, the header is
// that of the last attempt.
//
// Streams do not set it: see [ReceiveStream.Header].
//
// The context is for one call at a time, because the variable is one. If ctx is from
// ReceiveHeader, too, all variables are set. With a nil header, calls set none.
//
// Interceptors get a context without the variable. The header is that of the last call to
// next that was answered before the caller's own call returned. An interceptor's own calls
// by a [Client] or a [Pool] do not set it, nor does a call to next with ReceiveHeader(ctx,
// nil).
func ReceiveHeader(ctx context.Context, header *Metadata) context.Context {
	o := *optionsFrom(ctx)
	if header == nil {
		o.headers, o.header = nil, nil
	} else {
		*header = nil
		o.headers = &headerVars{header, o.headers}
	}
	return context.WithValue(ctx, optionsKey{}, &o)
}

// A headerScope is a Caller of a client's chain: an interceptor, or what makes the calls.
// What is called in it sees neither the variables of who calls it, nor the calls around it.
// It leaves the header in callOptions.header, where nobody looks once the scope is left.
type headerScope struct {
	caller  Caller
	entered bool // by users of a Client or a Pool: the header belongs to no call around it
}

// A streamScope is a headerScope that lets streams be opened.
type streamScope struct{ headerScope }

// scope makes c a scope, which is a StreamCaller if c is.
func scope(c Caller, entered bool) Caller {
	s := headerScope{c, entered}
	if _, opens := c.(StreamCaller); opens {
		return streamScope{s}
	}
	return s
}

// unscoped returns what c is around, if it is a scope that opens no streams: errors name that.
func unscoped(c Caller) Caller {
	for s, ok := c.(headerScope); ok; s, ok = c.(headerScope) {
		c = s.caller
	}
	return c
}

// OpenStream implements [StreamCaller]. A stream sets no variables, nor do the calls that
// interceptors make to open it.
func (s streamScope) OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
	if o := optionsFrom(ctx); o.headers != nil || o.header != nil {
		ctx = ReceiveHeader(ctx, nil)
	}
	return OpenStream(ctx, s.caller, kind, method, params)
}

func (s headerScope) Call(ctx context.Context, method string, params, reply any) error {
	switch o := optionsFrom(ctx); {
	case o.headers != nil || o.header != nil && !s.entered:
		return s.collect(ctx, *o, method, params, reply)
	case o.header != nil:
		ctx = ReceiveHeader(ctx, nil)
	}
	return s.caller.Call(ctx, method, params, reply)
}

// collect makes a call whose header is wanted, and gives it to those who want it, once.
func (s headerScope) collect(ctx context.Context, o callOptions, method string, params, reply any) (err error) {
	vars, around, own := o.headers, o.header, new(atomic.Pointer[Metadata])
	defer func() { // also if the call panics
		md := headerIn(own)
		vars.set(md)
		if around != nil && !s.entered && (md != nil || err == nil || remote(err)) {
			around.Store(&md)
		}
	}()
	o.headers, o.header = nil, own
	return s.caller.Call(context.WithValue(ctx, optionsKey{}, &o), method, params, reply)
}

// headerIn returns what p points to, or nil. The map does not change any more.
func headerIn(p *atomic.Pointer[Metadata]) Metadata {
	if md := p.Load(); md != nil {
		return *md
	}
	return nil
}

// set gives each variable a map of its own.
func (h *headerVars) set(md Metadata) {
	for ; h != nil; h = h.next {
		*h.into = maps.Clone(md)
	}
}

// ForgetHeader sets the variables to nil. It is for values.ForgetHeader.
func (o *callOptions) ForgetHeader() { o.headers.set(nil) }

// parseReplyMetadata returns the metadata that a server has sent with a reply. It checks them
// again: a server need not be ours.
func parseReplyMetadata(pairs []byte) (Metadata, error) {
	if len(pairs) > wire.MaxReplyMetadata {
		return nil, fmt.Errorf("metadata of %d bytes: at most %d are allowed", len(pairs), wire.MaxReplyMetadata)
	}
	md, err := wire.ParsePairs(pairs, wire.MaxPairs)
	if err != nil {
		return nil, err
	}
	return md, Metadata(md).check()
}
