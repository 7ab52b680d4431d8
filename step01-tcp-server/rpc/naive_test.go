package rpc

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// naiveHandle is the article's handleConnection: it treats one Read as one
// message, and one message as the whole conversation.
func naiveHandle(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil {
		return
	}
	conn.Write(buf[:n])
}

func TestNaive_OneReadIsNotOneLine(t *testing.T) {
	long := strings.Repeat("x", 2000) + "\n"
	for _, test := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"a line in two writes loses its end", []string{"hel", "lo\n"}, "hel"},
		{"a long line is cut at 1024 bytes", []string{long}, long[:1024]},
		{"the second line is never answered", []string{"one\n", "two\n"}, "one\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := net.Pipe()
			go naiveHandle(server)
			go func() {
				for _, text := range test.writes {
					io.WriteString(client, text)
				}
			}()
			got, _ := io.ReadAll(client)
			t.Logf("sent %.16q, got %.16q", test.writes, got)
			assert.Equal(t, test.want, string(got))
		})
	}
}

// naiveListen fails as the article's library does: it ends the program that
// called it.
func naiveListen(addr string) net.Listener {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatalf("cannot listen on %s: %v", addr, err)
	}
	return ln
}

func TestNaive_ALibraryThatCallsLogFatalEndsTheProgram(t *testing.T) {
	if os.Getenv("NAIVE") != "" {
		defer fmt.Println("what the program still has to do")
		naiveListen("127.0.0.1:no-such-port")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", t.Name()) // this test again, in a process of its own
	cmd.Env = append(os.Environ(), "NAIVE=1", "GORACE=atexit_sleep_ms=0")
	output, err := cmd.CombinedOutput()
	assert.EqualError(t, err, "exit status 1")
	assert.NotContains(t, string(output), "what the program still has to do")
}
