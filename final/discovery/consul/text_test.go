package consul

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a terminal would obey, and how it may be shown.
const (
	hostile  = "\x1b[31m\a\r\x7f\u009b2J\u202e\nforged"
	harmless = `\u001b[31m\u0007\u000d\u007f\u009b2J\u202e\u000aforged`
)

func TestErrors_HaveAnAgentsWordsAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []error
		hear := func(err error) { lines = append(lines, err) }
		answers := 0
		client := fakeConsul(func(req *http.Request) (*http.Response, error) {
			if answers++; strings.HasSuffix(req.URL.Path, "/register") && answers == 1 {
				return reply(200, "", "{}"), nil
			}
			return reply(500, "", hostile+strings.Repeat("long", 10_000)), nil
		}).client(t)

		service := Service{Name: "inventory", Addr: "10.0.0.1:7000", TTL: 3 * time.Second, OnError: hear}
		reg, err := Register(t.Context(), client, service)
		require.NoError(t, err)
		<-time.After(1500 * time.Millisecond)
		synctest.Wait()
		hear(reg.Deregister(t.Context()))
		_, err = Register(t.Context(), client, service)
		hear(err)
		resolver := &Resolver{Client: client, Service: "inventory", OnError: hear}
		hear(resolver.Resolve(t.Context(), func([]string) {}))

		require.Len(t, lines, 5, "a heart-beat, two returned, a query told and returned")
		for _, err := range lines {
			assert.Contains(t, err.Error(), harmless)
			assert.Less(t, len(err.Error()), 5<<10)
			var status api.StatusError
			assert.True(t, errors.As(err, &status), "the cause is still there")
		}
	})
}

func TestErrors_HaveAnInstancesAddressAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, addr := range []string{hostile + ":7000", strings.Repeat("long", 10_000) + ":7000"} {
			said := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
				if n == 1 {
					return reply(200, "7", instances(addr)), nil
				}
				return blocked(req, "7", instances(addr))
			})
			<-time.After(time.Second)
			said.mu.Lock()
			require.Len(t, said.errs, 1)
			assert.Less(t, len(said.errs[0]), 5<<10)
			assert.NotContains(t, said.errs[0], "\u202e")
			said.mu.Unlock()
		}
	})
}
