package cmd_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is what a terminal obeys: a colour, a bell, a return to the beginning
// of the line, the 8-bit form of an escape sequence, text from right to left.
const hostile, harmless = "\x1b[31m\a\r\x7f\u009b2J\u202e", `\u001b[31m\u0007\u000d\u007f\u009b2J\u202e`

func TestRaw_WhatArrivesIsNoCommandForTheTerminal(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		io.WriteString(conn, "é\t"+hostile+"\n\xff\n")
		conn.Close()
	}()
	raw := exec.Command("raw", "-addr", ln.Addr().String())
	raw.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := raw.CombinedOutput()
	require.NoError(t, err, "%q", out)
	assert.Equal(t, "é\t"+harmless+"\n\ufffd\n", string(out))
}
