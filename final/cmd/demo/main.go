// Demo runs a whole shop as processes, kills its inventory server in the middle
// of ten thousand orders, and shows that the books balance. With -consul ADDR the
// order servers find the inventory through a Consul agent.
package main

import "example.com/rpc-from-scratch/final/internal/demo"

func main() { demo.Main(discover) }
