// Orders places orders with an inventory.
package main

import "example.com/rpc-from-scratch/step07-inventory-app/cmd"

func main() { cmd.Orders() }
