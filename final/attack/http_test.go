package attack_test

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// post is the beginning of a call over HTTP.
const post = "POST /rpc/Victim.Echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

// say connects to the gateway, says something, and has it answered within the bound: the
// connection ends.
func (a *attacker) say(what string, bound time.Duration, text string, then func(write func(string) bool)) error {
	conn, ok := a.dial(a.victim.HTTP)
	if !ok {
		return nil
	}
	defer conn.Close()
	go func() {
		if a.write(conn, []byte(text)) && then != nil {
			then(func(s string) bool { return a.write(conn, []byte(s)) })
		}
	}()
	return a.mustEnd(conn, bound, what)
}

// slowly writes a byte every now and then.
func slowly(write func(string) bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for write("x") {
		<-tick.C
	}
}

func httpHeaderDrip(a *attacker) error {
	return a.say("headers byte by byte", handshake+idle, post+"X-Slow: ", slowly)
}

func httpBodyDrip(a *attacker) error {
	return a.say("a body byte by byte", readFrame+idle, post+"Content-Length: 1000\r\n\r\n", slowly)
}

func httpNoBody(a *attacker) error {
	return a.say("a body that never comes", readFrame+idle, post+"Content-Length: 1000\r\n\r\n", nil)
}

func httpLargeBody(a *attacker) error {
	return a.say("too large a body", readFrame+idle, post+"Transfer-Encoding: chunked\r\n\r\n", func(write func(string) bool) {
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 32<<10, strings.Repeat(" ", 32<<10))
		for write(chunk) {
		}
	})
}

func httpLargeHeaders(a *attacker) error {
	return a.say("too large headers", handshake+idle, post, func(write func(string) bool) {
		for write("X-Large: " + strings.Repeat("x", 4<<10) + "\r\n") {
		}
	})
}

// withoutEnd writes a text without end.
func withoutEnd(text string) func(write func(string) bool) {
	return func(write func(string) bool) {
		for write(text) {
		}
	}
}

const chunked = post + "Transfer-Encoding: chunked\r\n\r\n"

// httpChunkExtension sends one extension of a chunk that never ends, or one with each byte.
func httpChunkExtension(a *attacker) error {
	if err := a.say("an extension of a chunk", readFrame+idle, chunked+"1;x=", withoutEnd(strings.Repeat("x", 1<<10))); err != nil {
		return err
	}
	return a.say("extensions of chunks", readFrame+idle, chunked, withoutEnd("1;x="+strings.Repeat("x", 1<<10)+"\r\n \r\n"))
}

func httpChunkDrip(a *attacker) error {
	return a.say("an extension byte by byte", readFrame+idle, chunked+"1;x=", slowly)
}

// httpTrailers sends trailers without end, after params that are whole.
func httpTrailers(a *attacker) error {
	return a.say("trailers", readFrame+idle, chunked+"2\r\n{}\r\n0\r\n", withoutEnd("X-More: "+strings.Repeat("x", 1<<10)+"\r\n"))
}

func httpTrailerDrip(a *attacker) error {
	return a.say("a trailer byte by byte", readFrame+idle, chunked+"2\r\n{}\r\n0\r\nX-More: ", slowly)
}

// httpSmuggle sends bodies whose end two programs could see at different places.
func httpSmuggle(a *attacker) error {
	for _, text := range []string{
		post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /rpc/Victim.Panic HTTP/1.1\r\n\r\n",
		post + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
		post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		post + "Content-Length: -1\r\n\r\n{}",
	} {
		if err := a.say("two requests in one", readFrame+idle, text, nil); err != nil {
			return err
		}
	}
	return nil
}

// httpUnread asks for large answers, and reads none.
func httpUnread(a *attacker) error {
	conn, ok := a.dial(a.victim.HTTP)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.whenOver(conn)
	ask := strings.Replace(post, "Victim.Echo", fill.Name(), 1) + "Content-Length: 16\r\n\r\n{\"Bytes\":200000}"
	a.flood(conn, func(uint64) []byte { return []byte(ask) })
	return nil
}

// httpHogs is how many connections one attacker needs for more places than the gateway has,
// of calls and of streams.
const httpHogs = gatewayInFlight + gatewayStreams

// httpHog holds as many calls and streams as it gets: all their handlers wait.
func httpHog(a *attacker) error {
	var wg sync.WaitGroup
	for i := range httpHogs {
		method := wait.Name()
		if i%2 == 0 {
			method = watch.Name()
		}
		wg.Go(func() { a.hold(method, i%2 != 0) })
	}
	wg.Wait()
	return nil
}

// hold calls over HTTP, and again when the handler has returned.
func (a *attacker) hold(method string, again bool) {
	conn, ok := a.dial(a.victim.HTTP)
	if !ok {
		return
	}
	defer conn.Close()
	a.discard(conn)
	ask := []byte(strings.Replace(post, echo.Name(), method, 1) + "Content-Length: 14\r\n\r\n{\"Bytes\":1000}")
	tick := time.NewTicker(maxRun)
	defer tick.Stop()
	for a.write(conn, ask) && again {
		select {
		case <-tick.C:
		case <-a.ctx.Done():
		}
	}
	<-a.ctx.Done()
}

func httpBadParams(a *attacker) error {
	body := strings.Repeat("[", 100_000)
	return a.say("params that do not decode", readFrame+idle,
		post+fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body), nil)
}
