// Server answers requests in JSON, one a line.
package main

import "example.com/rpc-from-scratch/step04-registry/cmd"

func main() { cmd.Server() }
