// Client calls one method and prints its result.
package main

import "example.com/rpc-from-scratch/step03-client/cmd"

func main() { cmd.Client() }
