package cmd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClient_AServersWordsAreNoCommandsForTheTerminal(t *testing.T) {
	const commands = "\x7f\u009b2J\u202e"
	out, err := callAnswered(t, `"result":"`+commands+`"`)
	require.NoError(t, err, "%q", out)
	assert.Equal(t, `"\u007f\u009b2J\u202e"`+"\n", out)

	out, err = callAnswered(t, `"error":"a\u001b[31m\u0007\r\nclient: forged`+commands+`"`)
	require.Error(t, err)
	assert.Contains(t, out, `a\u001b[31m\u0007\u000d\u000aclient: forged\u007f\u009b2J\u202e`)
	assert.Equal(t, 1, strings.Count(out, "\n"), "one line: %q", out)
}

// callAnswered runs the client against a server that answers with a member of a
// response, and returns what it prints.
func callAnswered(t *testing.T, member string) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "RPC/") { // from step 06 on, the client says hello
				fmt.Fprintln(conn, "RPC/1 ok")
				continue
			}
			var req struct{ ID uint64 }
			json.Unmarshal(lines.Bytes(), &req)
			fmt.Fprintf(conn, "{\"id\":%d,%s}\n", req.ID, member)
		}
	}()
	client := exec.Command("client", "-addr", ln.Addr().String(), "Test.Method")
	client.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := client.CombinedOutput()
	return string(out), err
}
