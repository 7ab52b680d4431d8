package consul

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"example.com/rpc-from-scratch/final/discovery/static"
)

// Service describes a server to register.
type Service struct {
	// Name is what a Resolver asks for: letters, digits, '-', '_' and '.'.
	Name string
	// Addr is the "host:port" that clients dial. The unspecified address of a
	// listener on all interfaces, such as 0.0.0.0, is refused.
	Addr string
	// ID is unique among the services of the agent. Default Name-Addr.
	ID string
	// Tags and Meta go into the catalog as they are.
	Tags []string
	Meta map[string]string

	// TTL is how long the server may send no heart-beat before Consul marks it as
	// failed. Three are sent in that time. 0 is 15 s; less than 1 s counts as 1 s.
	TTL time.Duration
	// TCPEvery, if above 0, replaces the heart-beats: Consul connects to Addr once
	// in that time. The agent must reach Addr, and does not notice a program that
	// hangs. The server sees connections that never say hello.
	TCPEvery time.Duration
	// DeregisterAfter is how long a service may be failed before Consul removes it.
	// Less than 1 min, which is Consul's least, counts as 1 min.
	DeregisterAfter time.Duration

	// OnError gets the errors of failed heart-beats, each as one line. It must not
	// wait, and may call the Registration's methods. A panic in it is printed. It may
	// be nil.
	OnError func(error)
}

// withDefaults checks s and fills in what was left out.
func (s Service) withDefaults() (Service, error) {
	if err := checkName(s.Name); err != nil {
		return s, err
	}
	if err := static.Check(s.Addr); err != nil {
		return s, fmt.Errorf("consul: register %s: %w", s.Name, err)
	}
	host, _, _ := net.SplitHostPort(s.Addr)
	if strings.HasPrefix(s.Addr, "unix:") || net.ParseIP(host).IsUnspecified() {
		return s, fmt.Errorf("consul: register %s: %q is no host:port that a client could dial", s.Name, s.Addr)
	}
	if s.ID == "" {
		s.ID = s.Name + "-" + s.Addr
	}
	if strings.ContainsAny(s.ID, "/?#%") {
		return s, fmt.Errorf("consul: register %s: the ID %q does not fit in a URL", s.Name, s.ID)
	}
	if s.TTL == 0 {
		s.TTL = 15 * time.Second
	}
	s.TTL = max(s.TTL, time.Second)
	s.DeregisterAfter = max(s.DeregisterAfter, time.Minute)
	if s.OnError == nil {
		s.OnError = func(error) {}
	}
	return s, nil
}

func checkName(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool {
		return !(r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
	if name == "" || bad || strings.Trim(name, ".") == "" {
		return fmt.Errorf("consul: service name %q: want letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

func (s *Service) checkID() string { return "service:" + s.ID }

// every is the time between two heart-beats, or looks at the registration.
func (s *Service) every() time.Duration {
	if s.TCPEvery > 0 {
		return s.TCPEvery
	}
	return s.TTL / 3
}

// registration is s in Consul's words. It begins as passing: who registers listens.
func (s *Service) registration() *api.AgentServiceRegistration {
	host, port, _ := net.SplitHostPort(s.Addr)
	number, _ := strconv.Atoi(port)
	check := &api.AgentServiceCheck{
		CheckID:                        s.checkID(),
		Status:                         api.HealthPassing,
		DeregisterCriticalServiceAfter: s.DeregisterAfter.String(),
	}
	if s.TCPEvery > 0 {
		check.TCP, check.Interval, check.Timeout = s.Addr, s.TCPEvery.String(), s.TCPEvery.String()
	} else {
		check.TTL = s.TTL.String()
	}
	return &api.AgentServiceRegistration{
		ID: s.ID, Name: s.Name, Address: host, Port: number, Tags: s.Tags, Meta: s.Meta, Check: check,
	}
}
