// Server offers what conform needs, on final/rpc:
//
//	go tool workshop conform -- go run ./final/conform/server -until-eof
package main

import "example.com/rpc-from-scratch/final/conform/reference"

func main() { reference.Main() }
