// Package static finds servers without a registry: addresses in a flag or in a
// file, checked before they are used.
//
//	addrs, err := static.Parse("10.0.0.1:7000,10.0.0.2:7000")
//	pool := rpc.NewPool(addrs)
//
//	pool := rpc.NewPool(&static.File{Path: "servers.txt"})
//
// The file has one address per line, and # begins a comment. It is read again
// when it changes, so you can add and remove servers without restarting their
// clients. If servers register themselves, use discovery/consul.
package static
