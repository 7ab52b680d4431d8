package consul

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/hashicorp/consul/api"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/internal/values"
)

// farewell bounds the time for Consul to hear that a server goes, so that an
// agent that hangs does not use up the time for the calls in flight.
const farewell = 3 * time.Second

// Registration is a server's place in Consul.
type Registration struct {
	agent   *api.Agent
	service Service
	stop    context.CancelFunc
	beating chan struct{} // has one place: for the heart-beat that is on its way
}

// Register registers a server that listens, and sends heart-beats until ctx
// ends or Deregister is called: ctx must live as long as the server. If Consul
// forgets the server, because it lost its state or could not be reached for too
// long, the next heart-beat registers it again.
//
// It returns an error if s makes no sense, or if Consul cannot be reached now.
// Nothing is registered then, and the caller may try again.
func Register(ctx context.Context, client *api.Client, s Service) (*Registration, error) {
	s, err := s.withDefaults()
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("consul: register: the client is nil")
	}
	r := &Registration{agent: client.Agent(), service: s, beating: make(chan struct{}, 1)}
	if err := r.register(ctx); err != nil {
		return nil, agentErrorf("consul: register %s: %w", s.ID, err)
	}
	ctx, r.stop = context.WithCancel(ctx)
	go r.live(ctx)
	return r, nil
}

// live sends heart-beats until ctx ends.
func (r *Registration) live(ctx context.Context) {
	tick := time.NewTicker(r.service.every())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.beat(ctx); err != nil && ctx.Err() == nil {
			r.tell(agentErrorf("consul: heart-beat of %s: %w", r.service.ID, err))
		}
	}
}

// tell calls OnError. A panic there must not end the process, nor the heart-beats.
func (r *Registration) tell(err error) {
	defer func() {
		if v := recover(); v != nil {
			text := fmt.Sprintf("a %T that is too deep to be printed", v)
			if !values.IsDeep(v) {
				text = fmt.Sprint(v)
			}
			log.Printf("consul: panic in OnError of %s: %s\n%s", r.service.ID, plaintext.Line(text), debug.Stack())
		}
	}()
	r.service.OnError(err)
}

// beat makes one sign of life, unless ctx has ended. Consul that answers with a
// refusal no longer knows the server.
func (r *Registration) beat(ctx context.Context) error {
	r.beating <- struct{}{}
	defer func() { <-r.beating }()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, max(r.service.every(), time.Second))
	defer cancel()
	err := r.sign(ctx)
	if refused := new(api.StatusError); errors.As(err, refused) {
		return r.register(ctx)
	}
	return err
}

// sign tells Consul that the server is alive, or asks whether Consul, which tests
// that itself, still knows it. The text is always the same: a new one would wake
// all who watch.
func (r *Registration) sign(ctx context.Context) error {
	options := new(api.QueryOptions).WithContext(ctx)
	if r.service.TCPEvery > 0 {
		_, _, err := r.agent.Service(r.service.ID, options)
		return err
	}
	return r.agent.UpdateTTLOpts(r.service.checkID(), "alive", api.HealthPassing, options)
}

func (r *Registration) register(ctx context.Context) error {
	return r.agent.ServiceRegisterOpts(r.service.registration(), api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
}

// Deregister ends the heart-beats and removes the server from Consul, so that
// no new client finds it. If it fails, Consul notices by itself, after the TTL.
// It may be called again.
func (r *Registration) Deregister(ctx context.Context) error {
	r.stop()
	r.beating <- struct{}{} // else a heart-beat on its way could register the server again
	<-r.beating
	err := r.agent.ServiceDeregisterOpts(r.service.ID, new(api.QueryOptions).WithContext(ctx))
	var refused api.StatusError
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return nil // it is not there
	}
	if err != nil {
		return agentErrorf("consul: deregister %s: %w", r.service.ID, err)
	}
	return nil
}

// Shutdown shuts a server down without losing a call. It deregisters, and waits
// for notice, so that clients learn about it and use other servers. Then it
// calls srv.Shutdown(ctx). The servers of a Consul cluster learn about a change
// within milliseconds; a notice of one second is plenty.
//
// If Consul cannot be reached within three seconds, Shutdown does not wait for
// notice. The error is that of Consul, of srv.Shutdown, or both.
func (r *Registration) Shutdown(ctx context.Context, srv interface{ Shutdown(context.Context) error }, notice time.Duration) error {
	telling, cancel := context.WithTimeout(ctx, farewell)
	untold := r.Deregister(telling)
	cancel()
	if untold == nil {
		wait(ctx, notice)
	}
	return errors.Join(untold, srv.Shutdown(ctx))
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
