// Server answers requests in JSON, one per line.
package main

import "example.com/rpc-from-scratch/step05-context-timeouts/cmd"

func main() { cmd.Server() }
