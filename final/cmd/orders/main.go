// Orders places a shop's orders with an inventory.
package main

import "example.com/rpc-from-scratch/final/internal/shop"

func main() { shop.Orders() }
