package rpccmd

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"unicode"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
)

// tokenVariable holds a token for all commands. Unlike the command line, other
// users of the machine do not see a process's environment.
const tokenVariable = "RPC_TOKEN"

// token returns the bearer token to send, "" for none.
func (o *options) token() (string, error) {
	if o.tokenFile == "" {
		return oneToken(tokenVariable, os.Getenv(tokenVariable))
	}
	data, err := readFile(o.tokenFile)
	if err != nil {
		return "", usagef("-token-file: %w", err)
	}
	where := "-token-file " + o.tokenFile
	text, err := utf8Text(where, data)
	if err != nil {
		return "", err
	}
	token, err := oneToken(where, string(text))
	if err == nil && token == "" {
		return "", usagef("%s is empty: want one line with the token", where)
	}
	return token, err
}

// oneToken returns text without the white space around it. An error does not repeat
// the text.
func oneToken(where, text string) (string, error) {
	token := strings.TrimSpace(text)
	switch {
	case strings.ContainsAny(token, "\r\n"):
		return "", usagef("%s: want one line with the token", where)
	case strings.ContainsFunc(token, unicode.IsSpace):
		return "", usagef("%s: want the token alone, without \"Bearer\" or white space", where)
	}
	return token, nil
}

// sendToken makes a client send the token, over connections that others cannot
// read.
func sendToken(secure bool, token string, dial dialer) rpc.ClientOption {
	source := auth.Static(token)
	switch {
	case secure: // by -tls or https
		return auth.OverAnything(source)
	case dial == nil:
		return auth.OverLoopback(source)
	}
	return rpc.WithClientOptions(rpc.WithDialer(dial.loopback), auth.OverAnything(source))
}

// A dialer is what [rpc.WithDialer] takes.
type dialer func(ctx context.Context, addr string) (net.Conn, error)

// loopback is d for addresses of this machine only.
func (d dialer) loopback(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := d(ctx, addr)
	if err != nil {
		return nil, err
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		conn.Close()
		return nil, rpc.Errorf(rpc.FailedPrecondition, "auth: %s is not this machine: a token goes there over TLS only", conn.RemoteAddr())
	}
	return conn, nil
}
