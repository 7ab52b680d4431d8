// Raw sends what you type to a server, and prints what it answers.
package main

import "example.com/rpc-from-scratch/step06-gob-codec/cmd"

func main() { cmd.Raw() }
