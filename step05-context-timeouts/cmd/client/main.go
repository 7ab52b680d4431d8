// Client calls one method and prints its result.
package main

import "example.com/rpc-from-scratch/step05-context-timeouts/cmd"

func main() { cmd.Client() }
