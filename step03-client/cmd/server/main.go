// Server answers requests in JSON, one per line.
package main

import "example.com/rpc-from-scratch/step03-client/cmd"

func main() { cmd.Server() }
