//go:build !linux && !darwin

package main

// allowOpenFiles knows no limit of open files here.
func allowOpenFiles(n int) int { return n }
