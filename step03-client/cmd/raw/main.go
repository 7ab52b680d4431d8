// Raw sends what you type to a server, and prints what it answers.
package main

import "example.com/rpc-from-scratch/step03-client/cmd"

func main() { cmd.Raw() }
