// Raw sends what you type to a server, and prints what it answers.
package main

import "example.com/rpc-from-scratch/step02-json-protocol/cmd"

func main() { cmd.Raw() }
