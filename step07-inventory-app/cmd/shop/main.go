// Shop starts an inventory and an order service, sends customers, and checks
// that the books balance.
package main

import "example.com/rpc-from-scratch/step07-inventory-app/cmd"

func main() { cmd.Shop() }
