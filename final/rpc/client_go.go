package rpc

import (
	"bytes"
	"context"
	"reflect"
	"runtime/debug"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// Pending is a call made by Go. If you do not need its outcome, you need not
// wait for it.
type Pending struct {
	done chan struct{}
	err  error // set before done is closed
}

// Done returns a channel that is closed when the call has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits until the call has ended, and returns its error. The context given
// to Go bounds it. It may be called by many goroutines, and again.
func (p *Pending) Wait() error {
	<-p.done
	return p.err
}

// failed returns a call that has ended.
func failed(err error) *Pending {
	p := &Pending{done: make(chan struct{}), err: err}
	close(p.done)
	return p
}

// start makes a call in a goroutine of its own, from params as they are now.
func start(ctx context.Context, caller Caller, o *clientOptions, method string, params, reply any) *Pending {
	p := &Pending{done: make(chan struct{})}
	optionsFrom(ctx).ForgetHeader()
	ctx, params, p.err = snapshot(ctx, o, params)
	if p.err != nil {
		close(p.done)
		return p
	}
	go func() {
		p.err = errUserEnded(method)
		defer close(p.done)
		defer func() {
			if v := recover(); v != nil {
				printPanic("in a call of "+method, v, debug.Stack())
				p.err = Errorf(Internal, "call %s: %s panicked: %s", method, userCode, textOfPanic(v))
			}
		}()
		p.err = caller.Call(ctx, method, params, reply)
	}()
	return p
}

// userCode is what runs on a call's goroutine and is not ours. Which of it has ended the
// goroutine is not known.
const userCode = "an interceptor, an observer, a marshaler or the context"

// errUserEnded is the error of a call whose goroutine was ended by runtime.Goexit, as by
// a test's FailNow, or by a panic that goes on to the caller.
func errUserEnded(method string) *Error {
	return Errorf(Internal, "call %s: %s ended the call's goroutine", method, userCode)
}

// snapshot keeps params as they are now, so that the caller may change them: encoded,
// if nothing but the connection wants them. Interceptors want to see values, so for
// them it makes a copy: of the memory or, where types hide some of it, by the codec. If
// neither is exact, they see params themselves, and what has been encoded here is
// sent for them.
func snapshot(ctx context.Context, o *clientOptions, params any) (context.Context, any, error) {
	if params == nil {
		return ctx, nil, nil
	}
	if len(o.interceptors) > 0 {
		if view, exact := values.Clone(params, nil); exact {
			return ctx, view, nil // before encoding, by which a value may change
		}
	}
	body, err := encodeWith(o.codec, nil, params)
	if err != nil {
		return ctx, nil, unencoded(err)
	}
	ready := &encoded{body: body}
	if isStream(o.codec) {
		ready.flags = wire.FlagSelfContained
	}
	if len(o.interceptors) == 0 {
		return ctx, ready, nil
	}
	if view, exact := throughCodec(o.codec, params, body); exact {
		return ctx, view, nil
	}
	call := *optionsFrom(ctx)
	call.frozen = &frozenParams{params, ready}
	ctx = context.WithValue(ctx, optionsKey{}, &call)
	return values.WithLive(ctx, &values.Live{Params: params, Codec: o.codecName, Body: body}), params, nil
}

// throughCodec copies params by decoding body, which they encode to. It reports
// whether the copy encodes to the same.
func throughCodec(codec Codec, params any, body []byte) (view any, exact bool) {
	t := reflect.TypeOf(params)
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	decoded := func() any {
		fresh := reflect.New(t)
		if decodeWith(codec, body, fresh.Interface()) != nil {
			return nil
		}
		if pointer {
			return fresh.Interface()
		}
		return fresh.Elem().Interface()
	}
	view = decoded()
	if view == nil {
		return nil, false
	}
	again, err := encodeWith(codec, nil, view)
	if err != nil || !bytes.Equal(body, again) {
		return nil, false
	}
	return decoded(), true // anew: encoding may change a value
}

// encoded is params that Go has encoded already.
type encoded struct {
	body  []byte
	flags uint8
}

func (e *encoded) outBody() outBody {
	buf := bytepool.Get(len(e.body))
	buf.B = append(buf.B, e.body...)
	return outBody{buf: buf, flags: e.flags}
}

// frozenParams are params that could not be copied, and what they were when the
// call was made.
type frozenParams struct {
	params any
	*encoded
}

// thaw returns what to send for params.
func (f *frozenParams) thaw(params any) any {
	if f == nil || !values.Same(f.params, params) {
		return params
	}
	return f.encoded
}
