// Blockedwriters is a room of the bug museum: two programs that each wait for the
// other to read.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go Echo(conn)
		}
	}()
	for _, n := range []int{10, 1_000, 100_000} {
		fmt.Printf("%6d lines: ", n)
		fmt.Println(send(ln.Addr().String(), n))
	}
}

// send sends n lines of a kilobyte to the server at addr, and says how it went.
func send(addr string, n int) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second)) // else it would wait for ever
	lines := make([]string, n)
	for i := range lines {
		lines[i] = strings.Repeat("x", 1023)
	}
	answers, err := Send(conn, lines)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "stuck"
	}
	return fmt.Sprintf("%d answers", len(answers))
}

// Echo sends back each line that comes from conn, until conn ends.
func Echo(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
}

// Send sends lines to an echo server, and returns its answers in the same order.
func Send(conn net.Conn, lines []string) ([]string, error) {
	for _, line := range lines {
		if _, err := io.WriteString(conn, line+"\n"); err != nil {
			return nil, err
		}
	}
	var answers []string
	r := bufio.NewReader(conn)
	for range lines {
		answer, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		answers = append(answers, strings.TrimSuffix(answer, "\n"))
	}
	return answers, nil
}
