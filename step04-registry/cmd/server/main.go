// Server answers requests in JSON, one per line.
package main

import "example.com/rpc-from-scratch/step04-registry/cmd"

func main() { cmd.Server() }
