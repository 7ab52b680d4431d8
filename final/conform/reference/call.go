package reference

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// Call is the program conform/client: ADDR METHOD PARAMS makes one call and prints
// its result.
func Call() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client ADDR METHOD PARAMS")
		os.Exit(2)
	}
	result, err := call(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
	fmt.Printf("%s\n", result)
}

func call(addr, method, params string) (result json.RawMessage, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// There is one server, for one connection. Without fail-fast a call that never ran waits
	// for it to come back.
	client, err := rpc.Dial(ctx, addr, rpc.WithFailFast())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	err = client.Call(ctx, method, json.RawMessage(params), &result)
	return result, err
}
