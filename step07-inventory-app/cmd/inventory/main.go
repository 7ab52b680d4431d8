// Inventory serves the stock of a shop.
package main

import "example.com/rpc-from-scratch/step07-inventory-app/cmd"

func main() { cmd.Inventory() }
