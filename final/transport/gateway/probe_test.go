package gateway

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
)

func TestHealth_AnswersAProbe(t *testing.T) {
	noLeaks(t)
	srv, url := serve(t, newInventory(), nil, WithHosts("shop.example"))
	h, err := health.Register(srv)
	require.NoError(t, err)
	probe := func(method, path string, status int, text string) {
		t.Helper()
		a := do(t, method, url+path, "")
		assert.Equal(t, status, a.StatusCode, path)
		assert.Equal(t, text, a.text, path)
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	}
	probe("GET", "/rpc/healthz", 200, "serving\n")
	probe("HEAD", "/rpc/healthz", 200, "")
	probe("GET", "/rpc/healthz?service=Inventory", 200, "serving\n")
	for _, query := range []string{"service=a;b", "service=100%"} {
		assert.Equal(t, 400, do(t, "GET", url+"/rpc/healthz?"+query, "").StatusCode, query)
	}
	h.Set("Inventory", health.NotServing)
	probe("GET", "/rpc/healthz?service=Inventory", 503, "not_serving\n")
	probe("GET", "/rpc/healthz", 200, "serving\n")
	h.Set("", health.Draining)
	probe("GET", "/rpc/healthz", 503, "draining\n")
	probe("HEAD", "/rpc/healthz", 503, "")
	a := do(t, "GET", url+"/rpc/healthz?service=Nope", "")
	assert.Equal(t, 404, a.StatusCode)
	assert.Equal(t, "not_found", a.failure(t).Code)
	a = do(t, "POST", url+"/rpc/healthz", "")
	assert.Equal(t, 405, a.StatusCode)
	assert.Equal(t, "GET, HEAD", a.Header.Get("Allow"))
	require.NoError(t, srv.Shutdown(t.Context()))
	probe("GET", "/rpc/healthz", 503, "closed\n")
}

func TestHealth_WithoutAHealthCheckIsTheServersState(t *testing.T) {
	noLeaks(t)
	srv, url := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) {
		return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no token")
	})}, WithPage(nil))
	paths := []string{"/rpc/healthz", "/rpc/healthz?service=Inventory", "/rpc/healthz?service=Nope"}
	for _, path := range paths {
		a := do(t, "GET", url+path, "")
		assert.Equal(t, 200, a.StatusCode, path)
		assert.Equal(t, "serving\n", a.text, path)
	}
	require.NoError(t, srv.Shutdown(t.Context()))
	for _, path := range paths {
		a := do(t, "GET", url+path, "")
		assert.Equal(t, 503, a.StatusCode, path)
		assert.Equal(t, "closed\n", a.text, path)
	}
}

// A probe is a call: it passes what calls pass.
func TestHealth_IsAuthorized(t *testing.T) {
	noLeaks(t)
	srv, url := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(func(ctx context.Context, method string) (rpc.Identity, error) {
		if rpc.MetadataFrom(ctx)["authorization"] != "Bearer t" {
			return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no token")
		}
		return rpc.Identity{Name: "probe"}, nil
	})})
	_, err := health.Register(srv)
	require.NoError(t, err)
	assert.Equal(t, 401, do(t, "GET", url+"/rpc/healthz", "").StatusCode)
	assert.Equal(t, 200, do(t, "GET", url+"/rpc/healthz", "", "Authorization: Bearer t").StatusCode)
}

func TestHealth_AnswersWhileAllIsFull(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	srv, url := serve(t, inv, []rpc.ServerOption{rpc.WithMaxHandlers(1)}, WithMaxInFlight(1))
	_, err := health.Register(srv)
	require.NoError(t, err)
	a := post(t, url+method, `{"item":"deaf"}`, "Rpc-Timeout: 20ms")
	assert.Equal(t, http.StatusGatewayTimeout, a.StatusCode)
	assert.Equal(t, http.StatusTooManyRequests, post(t, url+method, `{}`).StatusCode)
	assert.Equal(t, http.StatusOK, do(t, "GET", url+"/rpc/healthz", "").StatusCode)
	assert.Equal(t, `{"status":"serving","services":{"Clock":"serving","Health":"serving","Inventory":"serving"}}`+"\n", post(t, url+"/rpc/Health.Check", `{}`).text)
	close(inv.let)
	<-inv.ended
}
