// Workshop is the tool of those who learn, teach and keep the course: it hands
// out the steps, checks what a learner writes, and holds the lessons to the code.
//
//	go tool workshop            lists its commands
//	go tool workshop start 02 ~/mine
package main

import (
	"os"

	"example.com/rpc-from-scratch/final/workshop/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
