package tracing_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

func Example() {
	// A program exports its spans to a collector, and most often sets provider and
	// propagator once for all, with otel.SetTracerProvider and
	// otel.SetTextMapPropagator. Then there is no need for options.
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	opts := []tracing.Option{tracing.WithTracerProvider(provider), tracing.WithPropagator(propagation.TraceContext{})}

	srv := rpc.NewServer(rpc.WithServerMiddleware(tracing.Server(opts...)))
	defer srv.Close()
	if err := srv.RegisterFunc("Inventory.CheckStock", func(item string) int { return 100 }); err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String(), rpc.WithClientInterceptors(tracing.Client(opts...)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if err := client.Call(ctx, "Inventory.CheckStock", "item1", nil); err != nil {
		fmt.Println(err)
	}
	// The handler's span ends first.
	list := spans.GetSpans()
	for _, span := range list {
		fmt.Println(span.SpanKind, span.Name)
	}
	fmt.Println("parent and child:", list[0].Parent.SpanID() == list[1].SpanContext.SpanID())
	// Output:
	// server Inventory.CheckStock
	// client Inventory.CheckStock
	// parent and child: true
}
