package tracing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/rpc-from-scratch/final/tracing"
)

func TestOptions_NilIsRefused(t *testing.T) {
	for want, construct := range map[string]func(){
		"tracing: WithTracerProvider: the provider is nil": func() { tracing.Client(tracing.WithTracerProvider((*sdktrace.TracerProvider)(nil))) },
		"tracing: WithPropagator: the propagator is nil":   func() { tracing.Server(tracing.WithPropagator(nil)) },
		"tracing: the option is nil":                       func() { tracing.Server(nil) },
	} {
		assert.PanicsWithError(t, want, construct)
	}
}
