// Raw sends what you type to a server, and prints what it answers.
package main

import "example.com/rpc-from-scratch/step04-registry/cmd"

func main() { cmd.Raw() }
