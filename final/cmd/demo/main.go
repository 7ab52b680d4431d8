// Demo runs a whole shop as processes, kills its inventory server in the middle
// of ten thousand orders, and shows that the books balance.
package main

import "example.com/rpc-from-scratch/final/cmd"

func main() { cmd.Demo() }
