// Server answers requests in JSON, one per line.
package main

import "example.com/rpc-from-scratch/step02-json-protocol/cmd"

func main() { cmd.Server() }
