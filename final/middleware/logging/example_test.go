package logging_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	out := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "duration", "peer": // they differ from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	srv := rpc.NewServer(logging.New(out).ServerOptions())
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
	client.Call(ctx, "Greeter.Hello", "", nil)
	client.Call(ctx, "Greeter.Goodbye", nil, nil)
	// Output:
	// level=INFO msg="call served" method=Greeter.Hello code=ok
	// level=INFO msg="call served" method=Greeter.Hello code=invalid_argument error=who?
	// level=WARN msg="call refused" method=(unknown) code=unimplemented error="method not found: Greeter.Goodbye"
}
