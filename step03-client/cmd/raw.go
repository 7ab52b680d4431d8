package cmd

import (
	"bufio"
	"flag"
	"io"
	"net"
	"os"
)

// Raw is the program cmd/raw: what you type goes out, what arrives is printed.
// It speaks no protocol, so it can talk to the server of any step.
func Raw() {
	flags := flag.NewFlagSet("raw", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "connect to this `address`")
	parse(flags, 0, 0)

	exit("raw", talk(*addr, os.Stdin, os.Stdout))
}

// talk copies from in to the server at addr, and from the server to out, until
// the server closes the connection.
func talk(addr string, in io.Reader, out io.Writer) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		io.Copy(conn, in)
		// Only our direction ends: the last answers may still be on their way.
		conn.(*net.TCPConn).CloseWrite()
	}()
	return show(conn, out)
}

// show copies in to out until in ends. Newlines and tabs stay as they are; plain
// escapes all else that is not printable.
func show(in io.Reader, out io.Writer) error {
	for r := bufio.NewReader(in); ; {
		c, _, err := r.ReadRune()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		text := string(c)
		if c != '\n' && c != '\t' {
			text = plain(text)
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
	}
}
