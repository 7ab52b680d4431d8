package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// answers are what a gateway to a server with opts answers, by what it was asked for.
func answers(t *testing.T, opts ...rpc.ServerOption) map[string]string {
	t.Helper()
	srv := rpc.NewServer(append(opts, rpc.WithPanicHandler(func(context.Context, any, []byte) {}))...)
	defer srv.Close()
	register(t, srv)
	registerStreams(t, srv)
	g, all := gateway.New(srv), map[string]string{}
	for _, accept := range []string{"application/x-ndjson", "text/event-stream"} {
		for _, text := range []string{"fine", "error", "panic"} {
			for _, stream := range []string{oddWatch.Name(), oddImport.Name(), oddSync.Name()} {
				all[stream+" "+text+" "+accept] = answer(t, g, stream, fmt.Sprintf(`{"Text":%q}`, text), accept)
			}
		}
	}
	for _, method := range []string{"Odd.Slice", "Odd.Error", "Odd.Nope"} {
		all[method] = answer(t, g, method, "[1]", "application/json")
	}
	return all
}

// answer is the status, the kind and the text of an answer.
func answer(t *testing.T, g *gateway.Gateway, method, params, accept string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/rpc/"+method, strings.NewReader(params))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	r.Header.Set("Authorization", "Bearer 2YotnFZFEjr1zCsicMWpAA")
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return fmt.Sprintln(w.Code, w.Header().Get("Content-Type"), string(text))
}

// What a gateway answers is the same with all middleware, in any order.
func TestCompose_AGatewayAnswersAsItDoesPlain(t *testing.T) {
	plain := answers(t)
	assert.Regexp(t, `^200 application/x-ndjson ({"item":{"Text":"fine"}}\n){40}{"end":{"code":"ok"}}\n`, plain["Odd.Watch fine application/x-ndjson"])
	assert.Regexp(t, `^200 text/event-stream (data: {"Text":"error"}\n\n){40}event: end\ndata: {"code":"aborted",.*"shelf":"7"`, plain["Odd.Watch error text/event-stream"])
	for _, stream := range []string{"Odd.Import", "Odd.Sync"} {
		assert.Regexp(t, `^501 application/json {"code":"unimplemented"`, plain[stream+" fine text/event-stream"])
	}
	for i, opt := range serverSide(t, 0) {
		if i == 0 {
			continue // the guard, which is in every order
		}
		assert.Equal(t, plain, answers(t, opt), "alone %d", i)
	}
	for _, order := range permutations() {
		assert.Equal(t, plain, answers(t, chosen(serverSide(t, 0), order)...), "order %v", order)
	}
}
