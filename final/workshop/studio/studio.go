// Package studio serves the book on the loopback interface, with what is true of the
// reader's own folder: which pieces are written, which tests pass, what travels on the wire.
package studio

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
	"example.com/rpc-from-scratch/final/workshop/engine"
)

// Options of a studio; the zero value is for use.
type Options struct {
	Editor    string            // a link that opens a file, with {path}, {line} and {column} in it; "": VS Code's
	Check     check.Options     // of each check
	Watch     watch.Options     // how saves are noticed
	Reporters []engine.Reporter // told of each check of all tests
}

// A Studio is a learner's folder as pages.
type Studio struct {
	target  check.Target
	options Options
	editor  editor
	token   string
	host    string // the address that it listens on
	book    *pages
	state   *state
	wire    *wireTap
	again   chan struct{}
	ended   chan struct{} // closed when it ends: streams of events end, too
}

// New makes the studio of a folder that is to be served on ln.
func New(target check.Target, ln net.Listener, o Options) (*Studio, error) {
	e, err := newEditor(o.Editor)
	if err != nil {
		return nil, err
	}
	b, err := book.Load(target.Root)
	if err != nil {
		return nil, err
	}
	s := &Studio{
		target: target, options: o, editor: e, token: rand.Text(), host: ln.Addr().String(),
		book: newPages(b), state: newState(target), again: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	s.wire = newWireTap(s.state.notify)
	return s, nil
}

// URL is where the studio begins. It has the token, which is a secret.
func (s *Studio) URL() string { return "http://" + s.host + "/?token=" + s.token }

// Serve serves the pages on ln and checks the folder until ctx ends. Then it ends the
// reader's server and all tests, closes ln and returns nil.
func (s *Studio) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	var all sync.WaitGroup
	var failed error
	all.Go(func() {
		failed = s.engine().Run(ctx, s.event)
		cancel()
	})
	all.Go(func() { s.state.findHints(s.ended) })
	all.Go(func() {
		<-ctx.Done()
		close(s.ended)
		s.wire.stop()
		srv.Close()
	})
	err := srv.Serve(ln)
	cancel()
	all.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(failed, err)
}

func (s *Studio) engine() *engine.Engine {
	return &engine.Engine{
		Dir: s.target.Dir, Watch: s.options.Watch, Quick: true, Again: s.again, Reporters: s.options.Reporters,
		Options: func(context.Context, check.Target) (check.Options, error) { return s.options.Check, nil },
	}
}

// event takes what the engine says, and keeps what a check saw.
func (s *Studio) event(e engine.Event) {
	hinted := s.state.take(e)
	if e.Kind == engine.Saved {
		s.wire.saved(e.Target)
	}
	if e.Kind == engine.Checked {
		s.state.mu.Lock() // an answer may be kept at the same time
		err := engine.Record(e.Report, e.All, hinted)
		s.state.mu.Unlock()
		if err != nil {
			s.state.fail(fmt.Errorf("the progress is not kept: %w", err))
		}
	}
}
