// Orders places a shop's orders with an inventory.
package main

import "example.com/rpc-from-scratch/final/cmd"

func main() { cmd.Orders() }
