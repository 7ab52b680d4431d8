package console

import (
	"errors"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A portMap gives each port of a text a free one to run with, so that two runs
// do not meet. The free ones are below those that a system hands out by itself.
type portMap struct{ real map[string]string }

var loopback = regexp.MustCompile(`(127\.0\.0\.1|localhost|\[::1\]):(\d+)\b`)

// toReal replaces the ports of loopback addresses by free ones; port 0, which
// asks for any, stays.
func (m *portMap) toReal(text string) (string, error) {
	var failed error
	text = loopback.ReplaceAllStringFunc(text, func(addr string) string {
		host, port := addr[:strings.LastIndex(addr, ":")], addr[strings.LastIndex(addr, ":")+1:]
		if port == "0" {
			return addr
		}
		if m.real[port] == "" {
			free, err := freePort()
			if err != nil {
				failed = err
				return addr
			}
			if m.real == nil {
				m.real = make(map[string]string)
			}
			m.real[port] = free
		}
		return host + ":" + m.real[port]
	})
	return text, failed
}

// toShown puts the text's own ports back.
func (m *portMap) toShown(text string) string {
	for shown, real := range m.real {
		text = strings.ReplaceAll(text, ":"+real, ":"+shown)
	}
	return text
}

var (
	givenMu sync.Mutex
	given   = make(map[int]bool)
)

// freePort returns a port that nobody listens on, and that it has not returned
// before.
func freePort() (string, error) {
	givenMu.Lock()
	defer givenMu.Unlock()
	for range 100 {
		port := 15000 + rand.IntN(15000)
		if given[port] {
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		ln.Close()
		given[port] = true
		return strconv.Itoa(port), nil
	}
	return "", errors.New("found no free port on 127.0.0.1")
}
