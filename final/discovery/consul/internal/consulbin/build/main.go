// Command build makes the Consul server that the tests of discovery/consul run,
// if it is not in the cache yet, and prints its path. Run it in discovery/consul.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"example.com/rpc-from-scratch/final/discovery/consul/internal/consulbin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	path, err := consulbin.Build(ctx, filepath.Join("testdata", "consul-server"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
