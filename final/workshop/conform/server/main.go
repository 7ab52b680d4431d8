// Server offers what conform needs, on final/rpc:
//
//	go tool workshop conform -- go run ./conform/server -until-eof
package main

import "example.com/rpc-from-scratch/final/workshop/conform/reference"

func main() { reference.Main() }
