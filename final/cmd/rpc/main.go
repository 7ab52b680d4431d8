// The program rpc asks servers what they can do, calls them and measures them:
//
//	rpc list ADDR                     the services and their methods
//	rpc describe ADDR METHOD          a method's types
//	rpc call ADDR METHOD JSON         one call, or a stream
//	rpc ping ADDR                     does it answer, and how fast
//	rpc health ADDR [SERVICE]         serving, draining or not serving
//	rpc bench ADDR METHOD JSON        many calls or items, and how long they take
//
// rpc COMMAND -h has the flags. It exits with 0 if all went well, 1 if a call
// failed, 2 if it was asked the wrong way.
package main

import "example.com/rpc-from-scratch/final/internal/rpccmd"

func main() { rpccmd.Main() }
