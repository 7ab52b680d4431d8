package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// Call is the program conform/client: ADDR METHOD PARAMS makes one call and prints its
// result; with a SHAPE it opens a stream, sends the list of items that PARAMS is then, and
// prints those that come.
func Call() {
	if n := len(os.Args); n != 4 && n != 5 {
		fmt.Fprintln(os.Stderr, "usage: client ADDR METHOD PARAMS [server | client | bidi]")
		os.Exit(2)
	}
	if err := call(os.Args[1], os.Args[2], json.RawMessage(os.Args[3]), os.Args[4:]...); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func call(addr, method string, params json.RawMessage, shape ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// There is one server, for one connection. Without fail-fast a call that never ran waits
	// for it to come back.
	client, err := rpc.Dial(ctx, addr, rpc.WithFailFast())
	if err != nil {
		return err
	}
	defer client.Close()
	if len(shape) > 0 {
		return stream(ctx, client, method, params, shape[0])
	}
	var result json.RawMessage
	err = client.Call(ctx, method, params, &result)
	if err == nil {
		fmt.Printf("%s\n", result)
	}
	return err
}

var kinds = map[string]rpc.MethodKind{"server": rpc.ServerStreaming, "client": rpc.ClientStreaming, "bidi": rpc.BidiStreaming}

func stream(ctx context.Context, client *rpc.Client, method string, params json.RawMessage, shape string) error {
	kind := kinds[shape]
	var items []json.RawMessage
	if kind != rpc.ServerStreaming {
		if err := json.Unmarshal(params, &items); err != nil {
			return err
		}
		params = nil
	}
	var open any
	if params != nil {
		open = params
	}
	s, err := client.OpenStream(ctx, kind, method, open)
	if err != nil {
		return err
	}
	defer s.Close()
	if kind != rpc.ServerStreaming {
		go sendAll(ctx, s, items)
	}
	for {
		var item json.RawMessage
		switch err := s.Receive(ctx, &item); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		fmt.Printf("%s\n", item)
	}
}

// sendAll sends items. Receive tells of its errors, too.
func sendAll(ctx context.Context, s rpc.OpenedStream, items []json.RawMessage) {
	for _, item := range items {
		if s.Send(ctx, item) != nil {
			return
		}
	}
	s.CloseSend()
}
