// Inventory serves a shop's stock and reservations from a database file.
package main

import "example.com/rpc-from-scratch/final/cmd"

func main() { cmd.Inventory() }
