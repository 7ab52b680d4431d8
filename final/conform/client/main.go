// Client makes the call that conform -client asks for, on final/rpc:
//
//	go tool workshop conform -client -- go run ./final/conform/client
package main

import "example.com/rpc-from-scratch/final/conform/reference"

func main() { reference.Call() }
