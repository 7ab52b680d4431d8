// Server echoes what clients send, line by line.
package main

import "example.com/rpc-from-scratch/step01-tcp-server/cmd"

func main() { cmd.Server() }
