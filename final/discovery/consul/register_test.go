package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// agent is a Consul agent in a bubble that knows one service or none.
type agent struct {
	t     *testing.T
	begun time.Time

	mu     sync.Mutex
	knows  bool
	away   bool
	asked  []string // "15s PUT /v1/…"
	bodies []string
}

func newAgent(t *testing.T) *agent { return &agent{t: t, begun: time.Now()} }

func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	what := strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/v1/agent/"), "inventory-10.0.0.1:7000")
	a.asked = append(a.asked, fmt.Sprintf("%v %s", time.Since(a.begun), what))
	if a.away {
		return nil, errors.New("connection refused")
	}
	switch {
	case what == "service/register":
		var body json.RawMessage
		require.NoError(a.t, json.NewDecoder(req.Body).Decode(&body))
		a.bodies = append(a.bodies, string(body))
		assert.Equal(a.t, "true", req.URL.Query().Get("replace-existing-checks"))
		a.knows = true
	case !a.knows:
		return reply(404, "", "Unknown check or service ID"), nil
	case what == "service/deregister/":
		a.knows = false
	}
	return reply(200, "", "{}"), nil
}

func (a *agent) set(set func()) {
	a.mu.Lock()
	set()
	a.mu.Unlock()
}

// news returns what the agent was asked since the last time.
func (a *agent) news() []string {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func (a *agent) client() *api.Client { return fakeConsul(a.RoundTrip).client(a.t) }

func TestRegister_SendsHeartBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000", Tags: []string{"v2"}, Meta: map[string]string{"codec": "json"}})
		require.NoError(t, err)
		assert.JSONEq(t, `{"ID":"inventory-10.0.0.1:7000","Name":"inventory","Address":"10.0.0.1","Port":7000,"Tags":["v2"],"Meta":{"codec":"json"},
			"Check":{"CheckID":"service:inventory-10.0.0.1:7000","Status":"passing","TTL":"15s","DeregisterCriticalServiceAfter":"1m0s"},"Checks":null}`, a.bodies[0])
		<-time.After(16 * time.Second)
		assert.Equal(t, []string{"0s service/register", "5s check/update/service:", "10s check/update/service:", "15s check/update/service:"}, a.news())
		require.NoError(t, reg.Deregister(t.Context()))
		<-time.After(time.Hour)
		assert.Equal(t, []string{"16s service/deregister/"}, a.news(), "and no heart-beat after it")
		assert.NoError(t, reg.Deregister(t.Context()), "again")
	})
}

func TestRegister_LooksAfterATCPCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := Register(ctx, a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000", TCPEvery: 3 * time.Second, DeregisterAfter: time.Hour})
		require.NoError(t, err)
		assert.Contains(t, a.bodies[0], `"Interval":"3s","Timeout":"3s","TCP":"10.0.0.1:7000","Status":"passing","DeregisterCriticalServiceAfter":"1h0m0s"`)
		<-time.After(4 * time.Second)
		a.set(func() { a.knows = false })
		<-time.After(6 * time.Second)
		assert.Equal(t, []string{"0s service/register", "3s service/", "6s service/", "6s service/register", "9s service/"}, a.news())
	})
}

func TestRegister_AgainWhenConsulHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Register(ctx, a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000", TTL: 3 * time.Second, OnError: func(err error) {
			a.set(func() { told = append(told, err.Error()) })
		}})
		require.NoError(t, err)
		a.news()
		a.set(func() { a.away = true })
		<-time.After(2500 * time.Millisecond)
		a.set(func() { a.away, a.knows = false, false })
		<-time.After(2 * time.Second)
		assert.Equal(t, []string{"1s check/update/service:", "2s check/update/service:", "3s check/update/service:", "3s service/register", "4s check/update/service:"}, a.news())
		a.set(func() {
			assert.Len(t, told, 2)
			assert.Contains(t, told[0], "consul: heart-beat of inventory-10.0.0.1:7000: ")
			assert.Contains(t, told[0], "connection refused")
		})
		cancel()
		<-time.After(time.Hour)
		assert.Empty(t, a.news(), "ctx ends the heart-beats")
	})
}

func TestRegister_RefusesWhatNobodyCouldFind(t *testing.T) {
	for _, c := range []struct {
		service Service
		want    string
	}{
		{Service{Addr: "a:1"}, `consul: service name "": want letters`},
		{Service{Name: "../../kv/x", Addr: "a:1"}, `consul: service name "../../kv/x": want letters`},
		{Service{Name: "inventory"}, `address "": want host:port`},
		{Service{Name: "inventory", Addr: ":7000"}, `address ":7000": want a host name`},
		{Service{Name: "inventory", Addr: "0.0.0.0:7000"}, `"0.0.0.0:7000" is no host:port that a client could dial`},
		{Service{Name: "inventory", Addr: "[::]:7000"}, `"[::]:7000" is no host:port that a client could dial`},
		{Service{Name: "inventory", Addr: "unix:/tmp/x"}, `"unix:/tmp/x" is no host:port that a client could dial`},
		{Service{Name: "inventory", Addr: "a:1", ID: "../agent/leave"}, `the ID "../agent/leave" does not fit in a URL`},
	} {
		_, err := Register(t.Context(), nil, c.service)
		assert.ErrorContains(t, err, c.want)
	}
}

// A heart-beat that is on its way could register the server again.
func TestRegistration_DeregistersAfterTheLastHeartBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		release := make(chan struct{})
		reg, err := Register(t.Context(), fakeConsul(func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, "/check/update/") {
				<-release
			}
			return a.RoundTrip(req)
		}).client(t), Service{Name: "inventory", Addr: "10.0.0.1:7000"})
		require.NoError(t, err)
		<-time.After(6 * time.Second) // the heart-beat of 5 s is on its way
		done := make(chan error)
		go func() { done <- reg.Deregister(context.Background()) }()
		assert.Equal(t, []string{"0s service/register"}, a.news())
		close(release)
		require.NoError(t, <-done)
		assert.Equal(t, []string{"6s check/update/service:", "6s service/deregister/"}, a.news())
	})
}

func TestRegistration_OnErrorMayDeregister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		var reg *Registration
		ended := make(chan error, 1)
		reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000", OnError: func(error) {
			a.set(func() { a.away = false })
			ended <- reg.Deregister(context.Background())
		}})
		require.NoError(t, err)
		a.set(func() { a.away = true })
		<-time.After(time.Minute)
		select {
		case err := <-ended:
			assert.NoError(t, err)
		default:
			require.Fail(t, "Deregister has not returned")
		}
		assert.Equal(t, []string{"0s service/register", "5s check/update/service:", "5s service/deregister/"}, a.news())
	})
}

// ring may contain itself.
type ring []ring

func TestRegistration_APanicInOnErrorEndsNothing(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	endless := make(ring, 1)
	endless[0] = endless
	for want, value := range map[string]any{`boom\u000aforged`: "boom\nforged", "a consul.ring that is too deep to be printed": endless} {
		printed.Reset()
		synctest.Test(t, func(t *testing.T) {
			a := newAgent(t)
			reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000", OnError: func(error) { panic(value) }})
			require.NoError(t, err)
			a.set(func() { a.away = true })
			<-time.After(6 * time.Second)
			a.set(func() { a.away = false })
			<-time.After(5 * time.Second)
			assert.Equal(t, []string{"0s service/register", "5s check/update/service:", "10s check/update/service:"}, a.news())
			require.NoError(t, reg.Deregister(t.Context()))
		})
		assert.Contains(t, printed.String(), "consul: panic in OnError of inventory-10.0.0.1:7000: "+want)
		assert.Contains(t, printed.String(), "TestRegistration_APanicInOnErrorEndsNothing")
	}
}

func TestRegister_FailsWhileConsulIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		a.away = true
		reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000"})
		assert.Nil(t, reg)
		assert.ErrorContains(t, err, "consul: register inventory-10.0.0.1:7000: ")
	})
}

// shutdowner notes when it was asked.
type shutdowner struct {
	begun time.Time
	at    time.Duration
	err   error
}

func (s *shutdowner) Shutdown(context.Context) error {
	s.at = time.Since(s.begun)
	return s.err
}

func TestRegistration_ShutdownComesAfterDeregisteringAndNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000"})
		require.NoError(t, err)
		srv := &shutdowner{begun: time.Now(), err: errors.New("calls were cut")}
		assert.EqualError(t, reg.Shutdown(t.Context(), srv, 2*time.Second), "calls were cut")
		assert.Equal(t, []string{"0s service/register", "0s service/deregister/"}, a.news())
		assert.Equal(t, 2*time.Second, srv.at)
	})
}

func TestRegistration_ShutdownDoesNotWaitForConsul(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		hangs := false
		reg, err := Register(t.Context(), fakeConsul(func(req *http.Request) (*http.Response, error) {
			if hangs {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return a.RoundTrip(req)
		}).client(t), Service{Name: "inventory", Addr: "10.0.0.1:7000"})
		require.NoError(t, err)
		hangs = true
		srv := &shutdowner{begun: time.Now()}
		err = reg.Shutdown(t.Context(), srv, time.Minute)
		assert.ErrorContains(t, err, "consul: deregister inventory-10.0.0.1:7000: ")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, farewell, srv.at)
	})
}

func TestRegistration_NoticeEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t)
		reg, err := Register(t.Context(), a.client(), Service{Name: "inventory", Addr: "10.0.0.1:7000"})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		srv := &shutdowner{begun: time.Now()}
		assert.NoError(t, reg.Shutdown(ctx, srv, time.Hour))
		assert.Equal(t, time.Second, srv.at)
	})
}
