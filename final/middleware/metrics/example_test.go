package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	reg := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	m, err := metrics.NewServer(reg)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer(m.Options())
	defer srv.Close()
	srv.RegisterFunc("Greeter.Hello", func(name string) (string, error) {
		if name == "" {
			return "", rpc.Errorf(rpc.InvalidArgument, "who?")
		}
		return "Hello, " + name, nil
	})
	ln, err := rpc.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx := context.Background()
	client, err := rpc.Dial(ctx, ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	client.Call(ctx, "Greeter.Hello", "Ann", nil)
	client.Call(ctx, "Greeter.Hello", "Bob", nil)
	client.Call(ctx, "Greeter.Hello", "", nil)

	page := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer page.Close()
	resp, err := http.Get(page.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, `rpc_server_calls_finished_total{`) && strings.Contains(line, "Greeter") {
			fmt.Print(line)
		}
	}
	fmt.Println(err)
	// Output:
	// rpc_server_calls_finished_total{code="invalid_argument",method="Greeter.Hello"} 1
	// rpc_server_calls_finished_total{code="ok",method="Greeter.Hello"} 2
	// <nil>
}
