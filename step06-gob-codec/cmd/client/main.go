// Client calls one method and prints its result.
package main

import "example.com/rpc-from-scratch/step06-gob-codec/cmd"

func main() { cmd.Client() }
