// Client calls one method and prints its result.
package main

import "example.com/rpc-from-scratch/step04-registry/cmd"

func main() { cmd.Client() }
