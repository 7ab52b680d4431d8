// Server answers requests in JSON, one per line.
package main

import "example.com/rpc-from-scratch/step06-gob-codec/cmd"

func main() { cmd.Server() }
