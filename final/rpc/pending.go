package rpc

import (
	"context"
	"reflect"
)

// Pending is a call made by Go.
type Pending struct {
	done chan struct{}
	err  error // set before done is closed
}

// Done is closed when the call has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the call and returns its error. The context given
// to Go bounds it.
func (p *Pending) Wait() error {
	<-p.done
	return p.err
}

// start makes a call in a goroutine of its own, from params as they are now.
func start(ctx context.Context, caller Caller, o *clientOptions, method string, params, reply any) *Pending {
	p := &Pending{done: make(chan struct{})}
	params, p.err = snapshot(o, params)
	if p.err != nil {
		close(p.done)
		return p
	}
	go func() {
		defer close(p.done)
		p.err = caller.Call(ctx, method, params, reply)
	}()
	return p
}

// snapshot encodes params, so that the caller may change them. Interceptors
// want to see values, so for them they are decoded again.
func snapshot(o *clientOptions, params any) (any, error) {
	if params == nil {
		return nil, nil
	}
	body, err := encodeWith(o.codec, nil, params)
	if err != nil {
		return nil, unrun(Errorf(InvalidArgument, "encode params: %w", err))
	}
	if len(o.interceptors) == 0 {
		e := &encoded{body: body}
		if o.codec == Gob {
			e.flags = flagSelfContained
		}
		return e, nil
	}
	t := reflect.TypeOf(params)
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	if err := decodeWith(o.codec, body, fresh.Interface()); err != nil {
		return nil, unrun(Errorf(InvalidArgument, "copy params: %w", err))
	}
	if pointer {
		return fresh.Interface(), nil
	}
	return fresh.Elem().Interface(), nil
}
