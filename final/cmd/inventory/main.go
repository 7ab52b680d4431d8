// Inventory serves a shop's stock and reservations from a database file.
package main

import "example.com/rpc-from-scratch/final/internal/shop"

func main() { shop.Inventory() }
