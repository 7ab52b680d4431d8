// Package program holds what the programs under final/cmd have in common: flags that
// mean the same everywhere, when a program ends, its exit status, and how it serves
// until then.
//
// A package main cannot be imported, and so a test could not run it. Each program is one
// call into a package that can: shop, demo or rpccmd.
package program
