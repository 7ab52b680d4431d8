// Client calls one method and prints its result.
package main

import "example.com/rpc-from-scratch/step07-inventory-app/cmd"

func main() { cmd.Client() }
