// Raw sends what you type to a server, and prints what it answers.
package main

import "example.com/rpc-from-scratch/step05-context-timeouts/cmd"

func main() { cmd.Raw() }
