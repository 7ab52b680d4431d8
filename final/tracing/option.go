package tracing

import (
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// scope names this package among what makes spans.
const scope = "example.com/rpc-from-scratch/final/tracing"

// Option configures [Client] or [Server]. If a value is given twice, the last
// one counts; attributes add up. A nil option or value panics.
type Option func(*options)

type options struct {
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
	attributes []attribute.KeyValue
	public     bool
}

// WithTracerProvider sets who makes the spans. Default: OpenTelemetry's global
// provider, also if that is set later.
func WithTracerProvider(p trace.TracerProvider) Option {
	misuse.NotNil("tracing: WithTracerProvider", "provider", p)
	return func(o *options) { o.provider = p }
}

// WithPropagator sets what travels, and how it is written. Default:
// OpenTelemetry's global propagator, also if that is set later.
func WithPropagator(p propagation.TextMapPropagator) Option {
	misuse.NotNil("tracing: WithPropagator", "propagator", p)
	return func(o *options) { o.propagator = p }
}

// WithAttributes adds attributes to every span: at a client for example
// server.address, which an interceptor does not know.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(o *options) { o.attributes = append(o.attributes, attributes...) }
}

// WithPublicEndpoint is for a [Server] whose clients are strangers. Each call
// begins a new trace, with a link to the client's, and the client's baggage is
// ignored. A stranger can then neither write into our traces nor decide that a
// call is sampled. A [Client] ignores the option.
func WithPublicEndpoint() Option {
	return func(o *options) { o.public = true }
}

// tracing is what both sides' interceptors share.
type tracing struct {
	options
	tracer trace.Tracer
}

func newTracing(opts []Option) *tracing {
	t := &tracing{options: options{
		provider:   otel.GetTracerProvider(),
		propagator: otel.GetTextMapPropagator(),
	}}
	for _, opt := range opts {
		misuse.NotNil("tracing", "option", opt)
		opt(&t.options)
	}
	t.tracer = t.provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	return t
}

var system = semconv.RPCSystemNameKey.String("rpc-from-scratch")

// attributesOf returns what is known of a call before it begins, so that a
// sampler can decide by it.
func (t *tracing) attributesOf(method string) trace.SpanStartEventOption {
	return trace.WithAttributes(slices.Concat(t.attributes, []attribute.KeyValue{system, semconv.RPCMethod(method)})...)
}
