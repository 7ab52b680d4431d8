package static_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"example.com/rpc-from-scratch/final/discovery/static"
	"example.com/rpc-from-scratch/final/rpc"
)

func ExampleParse() {
	addrs, err := static.Parse("10.0.0.1:7000, 10.0.0.2:7000")
	fmt.Println(len(addrs), err)
	_, err = static.Parse("10.0.0.1:7000,10.0.0.2")
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// static: address "10.0.0.2": want host:port, or unix:path; an IPv6 host stands in brackets
}

var whoAreYou = rpc.Method[string, string]("Server.Name")

// start serves on a free port of the loopback.
func start(name string) (addr string, srv *rpc.Server, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv = rpc.NewServer()
	err = whoAreYou.Handle(srv, func(context.Context, *string) (*string, error) { return &name, nil })
	go srv.Serve(ln)
	return ln.Addr().String(), srv, err
}

func ExampleFile() {
	first, one, err := start("the first")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer one.Close()
	second, two, err := start("the second")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer two.Close()

	dir, err := os.MkdirTemp("", "static")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "servers.txt")
	write := func(addr string) error { return os.WriteFile(path, []byte(addr+" # the only one\n"), 0o600) }
	if err := write(first); err != nil {
		fmt.Println(err)
		return
	}

	pool := rpc.NewPool(&static.File{Path: path, Every: 10 * time.Millisecond})
	defer pool.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	name, err := whoAreYou.Call(ctx, pool, new(string))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*name)
	if err := write(second); err != nil {
		fmt.Println(err)
		return
	}
	for *name == "the first" {
		if name, err = whoAreYou.Call(ctx, pool, new(string)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(*name)
	// Output:
	// the first
	// the second
}
