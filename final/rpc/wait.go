package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
)

// waiting returns the context under which a call waits for a connection: its own
// if that has a deadline, else one that ends after WithMaxWait.
func (o *clientOptions) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded || o.maxWait <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, o.maxWait)
}

// isHasty reports whether a call is not to wait longer than for the attempts to
// connect that are under way.
func (o *clientOptions) isHasty(ctx context.Context) bool {
	_, bounded := ctx.Deadline()
	return o.failFast || !bounded && o.maxWait <= 0
}

// waitedTooLong is the error of a call without a deadline that found no connection.
func (o *clientOptions) waitedTooLong(last error) *Error {
	if last == nil {
		last = errors.New("no answer from any server")
	}
	return unrun(Errorf(Unavailable, "%s; waited %v (WithMaxWait)", messageOf(last), o.maxWait).because(last))
}

// messageOf returns the text of an error without its code.
func messageOf(err error) string {
	if e, ok := err.(*Error); ok {
		return e.Message
	}
	return err.Error()
}

// because adds a cause for errors.Is.
func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

// mayPass reports whether connecting failed for a reason that may soon be gone. A
// server that refuses this client, by its hello or for its certificate, will do
// so again, and so will a name that cannot be dialled.
func mayPass(err error) bool {
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &noTLS):
		return false
	}
	switch CodeOf(err) {
	case Unavailable, ResourceExhausted, DeadlineExceeded:
		return true
	}
	return false
}

// changes returns a channel that is closed when a member or the list of them
// changes. Take it before you look.
func (p *Pool) changes() <-chan struct{} {
	p.changeMu.Lock()
	defer p.changeMu.Unlock()
	if p.change == nil {
		p.change = make(chan struct{})
	}
	return p.change
}

// wake has the calls that wait look again.
func (p *Pool) wake() {
	p.changeMu.Lock()
	defer p.changeMu.Unlock()
	if p.change != nil {
		close(p.change)
		p.change = nil
	}
}

// take returns a member that can take a call, with the call counted, and waits for
// the first one if there is none. It prefers those that are not in tried.
func (p *Pool) take(ctx context.Context, tried []*Client) (*Client, error) {
	if c := p.choose(*p.members.Load(), tried); c != nil {
		return c, nil
	}
	if n := p.waitingCalls.Add(1); n > int64(p.options.maxWaiting) {
		p.waitingCalls.Add(-1)
		return nil, unrun(Errorf(Unavailable, "%d calls are waiting for a server already (WithMaxWaiting)", p.options.maxWaiting))
	}
	defer p.waitingCalls.Add(-1)
	return p.await(ctx, tried)
}

// await is take for a call that waits.
func (p *Pool) await(ctx context.Context, tried []*Client) (*Client, error) {
	waiting, cancel := p.options.waiting(ctx)
	defer cancel()
	for {
		changed := p.changes()
		members := *p.members.Load()
		if c := p.choose(members, tried); c != nil {
			return c, nil
		}
		if err := p.hopeless(ctx, members); err != nil {
			return nil, err
		}
		for _, c := range members {
			c.connectSoon()
		}
		select {
		case <-changed:
		case <-waiting.Done():
		}
		switch {
		case ctx.Err() != nil:
			return nil, p.gaveUp(ctx)
		case waiting.Err() != nil:
			return nil, p.options.waitedTooLong(p.plight())
		}
	}
}

// hopeless returns an error if a call need not wait: the pool is closed, or all
// servers have refused this client and are not asked again yet.
func (p *Pool) hopeless(ctx context.Context, members []*Client) error {
	p.mu.Lock()
	closed, heard, resolverFailed := p.closed, p.heard, p.resolveErr != nil
	p.mu.Unlock()
	hasty := p.options.isHasty(ctx)
	switch {
	case closed:
		return unrun(Errorf(Canceled, "%w", ErrClientClosed))
	case len(members) == 0 && hasty && (heard || resolverFailed):
		return unrun(Errorf(Unavailable, "%w", p.plight()))
	case len(members) == 0:
		return nil
	}
	var worst error
	for _, c := range members {
		err := c.last()
		if err == nil || !c.backingOff() || !hasty && mayPass(err) {
			return nil
		}
		if worst == nil || mayPass(worst) {
			worst = err
		}
	}
	return worst
}

// plight says why there is no server for a call.
func (p *Pool) plight() error {
	p.mu.Lock()
	resolver, heard := p.resolveErr, p.heard
	p.mu.Unlock()
	members := *p.members.Load()
	var errs []error
	text := "waiting for the resolver"
	switch {
	case len(members) > 0:
		text = "connecting to " + addrsOf(members)
	case heard:
		text = "the resolver knows no servers"
	}
	for _, c := range members {
		if err := c.last(); err != nil {
			text += "; the last attempt: " + messageOf(err)
			errs = append(errs, err)
			break
		}
	}
	if resolver != nil {
		text += "; the resolver: " + toError(resolver).Message
		errs = append(errs, resolver)
	}
	return &plight{text, errs}
}

// A plight is a text for people, and for programs the errors that it is made of.
type plight struct {
	text string
	errs []error
}

func (p *plight) Error() string   { return p.text }
func (p *plight) Unwrap() []error { return p.errs }

// addrsOf returns the addresses of members, each once, as far as they are few.
func addrsOf(members []*Client) string {
	const most = 3
	text, last, n := "", "", 0
	for _, c := range members {
		if c.addr == last {
			continue
		}
		last = c.addr
		if n++; n > most {
			return fmt.Sprintf("%s and others", text)
		}
		if n > 1 {
			text += ", "
		}
		text += c.addr
	}
	return text
}

// gaveUp is the error of a call whose context ended while it waited.
func (p *Pool) gaveUp(ctx context.Context) *Error {
	e := contextError(ctx.Err())
	why := p.plight()
	e.Message = why.Error() + ": " + e.Message
	e.cause = errors.Join(ctx.Err(), withoutCodes(why))
	return unrun(e)
}

// withoutCodes hides the codes of errors that are not the call's own, and leaves
// what they were made from.
func withoutCodes(err error) error {
	p, ok := err.(*plight)
	if !ok {
		return nil
	}
	var causes []error
	for _, err := range p.errs {
		for e, ok := err.(*Error); ok && err != nil; e, ok = err.(*Error) {
			err = e.cause
		}
		causes = append(causes, err)
	}
	return errors.Join(causes...)
}
