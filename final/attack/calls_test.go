package attack_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

func garbage(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	defer conn.Close()
	junk := make([]byte, 1<<10)
	for i := range junk {
		junk[i] = byte(rand.Uint32())
	}
	a.write(conn, junk)
	return a.mustEnd(conn, handshake, "garbage")
}

func foreign(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, []byte("POST /rpc/Victim.Echo HTTP/1.1\r\nHost: victim\r\nContent-Length: 2\r\n\r\n{}"))
	return a.mustEnd(conn, handshake, "HTTP")
}

func helloNever(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, []byte(wire.Magic))
	return a.mustEnd(conn, handshake, "a hello that does not come")
}

func helloDrip(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	defer conn.Close()
	go a.drip(conn, hello(map[string]string{"a": strings.Repeat("b", 1000)}), 50*time.Millisecond)
	return a.mustEnd(conn, handshake, "a hello byte by byte")
}

func helloLong(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, append([]byte(wire.Magic), 1, 0xff, 0xff))
	return a.mustEnd(conn, handshake, "a hello that claims 64 KiB")
}

func helloFlood(a *attacker) error {
	if conn, ok := a.open(nil); ok {
		conn.Close()
	}
	return nil
}

func reset(a *attacker) error {
	conn, ok := a.dial(a.victim.RPC)
	if !ok {
		return nil
	}
	a.write(conn, hello(nil))
	conn.(*net.TCPConn).SetLinger(0) // closing sends a reset
	return conn.Close()
}

func idleConnection(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	return a.mustEnd(conn, idle, "an idle connection")
}

// crowd takes more places than there are, and holds what it gets.
func crowd(a *attacker) error {
	var held []net.Conn
	for range maxConns / 4 {
		if conn, ok := a.open(nil); ok {
			held = append(held, conn)
		}
	}
	all := a.held.Add(int64(len(held)))
	<-a.ctx.Done()
	for _, conn := range held {
		conn.Close()
	}
	if all > maxConns {
		return fmt.Errorf("%d connections are open: at most %d are allowed", all, maxConns)
	}
	return nil
}

func halfClosed(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, request(1, wait.Name(), `{}`))
	conn.(*net.TCPConn).CloseWrite()
	return a.mustEnd(conn, maxRun, "a half-closed connection")
}

func frameClaimed(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, wire.AppendHeader(nil, wire.KindRequest, 0, 1, maxMessage-wire.MinLength))
	return a.mustEnd(conn, readFrame, "a frame of which only the header comes")
}

func frameDrip(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	go a.drip(conn, request(1, echo.Name(), `{"Text":"`+strings.Repeat("x", 1000)+`"}`), 50*time.Millisecond)
	return a.mustEnd(conn, readFrame, "a frame byte by byte")
}

// frameBroken sends one of the frames that end a connection.
func frameBroken(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	ping := bare(wire.KindPing, 1)
	length := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	twice := request(7, "Victim.Nope", "{}")
	frames := [][]byte{
		append(length(0), ping[4:]...),
		append(length(9), ping[4:]...),
		append(length(maxMessage+1), ping[4:]...),
		append(length(1<<32-1), ping[4:]...),
		bare(0, 1), bare(8, 1), bare(99, 1), bare(wire.KindGoAway, 1), bare(wire.KindResponse, 1),
		wire.AppendHeader(nil, wire.KindPing, 0xff, 1, 0),
		append(wire.AppendHeader(nil, wire.KindPing, 0, 1, 1), 'x'),
		append(wire.AppendHeader(nil, wire.KindRequest, 0, 1, 6), 0, 0, 0, 0, 0xff, 0xff), // a method past the end
		append(wire.AppendHeader(nil, wire.KindRequest, wire.FlagPairs, 1, 8), 0, 0, 0, 0, 0, 0, 0xff, 0xff),
		append(twice, twice...),
		request(0, echo.Name(), "{}"),
		hello(nil),
	}
	a.write(conn, frames[rand.IntN(len(frames))])
	return a.mustEnd(conn, readFrame, "a broken frame")
}

// calling opens a connection, and floods it with what next makes. What the victim answers
// is read.
func (a *attacker) calling(metadata map[string]string, next func(n uint64) []byte) error {
	if conn, ok := a.open(metadata); ok {
		a.floodAndDrop(conn, next)
	}
	return nil
}

// floodAndDrop floods a connection with what next makes, and drops what the victim answers.
func (a *attacker) floodAndDrop(conn net.Conn, next func(n uint64) []byte) {
	defer conn.Close()
	a.whenOver(conn)
	a.discard(conn)
	a.flood(conn, next)
}

// many joins some requests, so that a write is worth its time.
func many(n uint64, one func(id uint64) []byte) (b []byte) {
	const each = 20
	for i := range uint64(each) {
		b = append(b, one(n*each+i)...)
	}
	return b
}

func unknownMethods(a *attacker) error {
	return a.calling(nil, func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return request(id, fmt.Sprint("Victim.Nope", id), "{}") })
	})
}

func badParams(a *attacker) error {
	bad := []string{
		strings.Repeat("[", 100_000), `{"Text":` + strings.Repeat("{\"a\":", 20_000), `{"Text":1e999999}`, "\xff\xfe", `{"Text":"\ud800`, "",
		`{"Text":"` + strings.Repeat(`\u0000`, 30_000), strings.Repeat(" ", 200_000),
	}
	return a.calling(nil, func(n uint64) []byte { return request(n, echo.Name(), bad[n%uint64(len(bad))]) })
}

func manyPairs(a *attacker) error {
	large, much := map[string]string{"a": strings.Repeat("b", 60<<10)}, map[string]string{}
	for i := range 1000 {
		much[fmt.Sprint("key-", i)] = ""
	}
	return a.calling(nil, func(n uint64) []byte {
		head := wire.RequestHead{Method: echo.Name(), Metadata: large}
		if n%2 == 0 {
			head.Metadata = much
		}
		return append(head.Append(nil, 0, n, 2), "{}"...)
	})
}

// bomb is a body that becomes sixteen times as large as a message may be.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprintf(w, `{"Text":"%s"}`, strings.Repeat("x", 16*maxMessage))
	w.Close()
	return b.Bytes()
})

func bombs(a *attacker) error {
	return a.calling(map[string]string{"rpc.compression": "gzip"}, func(n uint64) []byte {
		head := wire.RequestHead{Method: echo.Name()}
		return append(head.Append(nil, wire.FlagCompressed, n, len(bomb())), bomb()...)
	})
}

func tooMany(a *attacker) error {
	return a.calling(nil, func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return request(id, wait.Name(), "{}") })
	})
}

func cancels(a *attacker) error {
	return a.calling(nil, func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return append(request(id, wait.Name(), "{}"), bare(wire.KindCancel, id)...) })
	})
}

// waiting fills the places of a connection, and then waits.
func waiting(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.whenOver(conn)
	for id := range uint64(maxInFlight) {
		a.write(conn, request(id+1, wait.Name(), `{"Bytes":1}`+strings.Repeat(" ", maxMessage/2)))
	}
	conn.SetReadDeadline(time.Now().Add(maxRun + patience))
	for answers := wire.HeaderSize; answers > 0; answers-- {
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			if a.ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("a handler that waits: no answer: %w", err)
		}
	}
	return nil
}

// hog takes more handlers than there are, over connections that each keep to their bound,
// and takes each place again that becomes free.
func hog(a *attacker) error {
	var wg sync.WaitGroup
	for range maxHandlers/maxInFlight + 1 {
		wg.Go(func() { a.fill(50*time.Millisecond, maxInFlight, wait.Name(), "{}") })
	}
	wg.Wait()
	return nil
}

// memoryHogs is how many connections take all memory for params, if each takes a 16th of what
// it may: that much it may also take of the last quarter.
const memoryHogs = paramsMemory/(connParamsMemory/16) + 12

// hogMemory takes all memory for params, with few bytes, and takes it again when it becomes
// free.
func hogMemory(a *attacker) error {
	params := `{"Rows":[` + strings.Repeat("[],", 200) + `[]]}` // they count as 524,221 bytes
	var wg sync.WaitGroup
	for range memoryHogs {
		wg.Go(func() { a.fill(100*time.Millisecond, 1, grow.Name(), params) })
	}
	wg.Wait()
	return nil
}

// fill makes so many calls at once, again after each pause.
func (a *attacker) fill(pause time.Duration, calls int, method, params string) {
	conn, ok := a.open(nil)
	if !ok {
		return
	}
	defer conn.Close()
	a.whenOver(conn)
	a.discard(conn)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for id := uint64(1); a.ctx.Err() == nil; <-tick.C {
		for range calls {
			if !a.write(conn, request(id, method, params)) {
				return
			}
			id++
		}
	}
}

func panics(a *attacker) error {
	return a.calling(nil, func(n uint64) []byte { return request(n, crash.Name(), "{}") })
}

func pings(a *attacker) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	for n := range uint64(100) {
		a.write(conn, many(n, func(id uint64) []byte { return bare(wire.KindPing, id) }))
	}
	return a.mustEnd(conn, writeTimeout, "2,000 pings at once")
}

// unreadBy floods a connection and reads nothing.
func (a *attacker) unreadBy(next func(n uint64) []byte) error {
	conn, ok := a.open(nil)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.whenOver(conn)
	a.flood(conn, next)
	return nil
}

func unreadPongs(a *attacker) error {
	return a.unreadBy(func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return bare(wire.KindPing, id) })
	})
}

func unreadRefusals(a *attacker) error {
	return a.unreadBy(func(n uint64) []byte {
		return many(n, func(id uint64) []byte { return request(id, "Victim.Nope", "{}") })
	})
}

// growing sends params of which each three bytes become a row of 512: some that can never
// fit, and many that fit one by one.
func growing(a *attacker) error {
	const rows = 3_000
	return a.calling(nil, func(n uint64) []byte {
		if n%10 == 0 {
			return request(n+1, grow.Name(), `{"Rows":[`+strings.Repeat("[],", 80_000)+`[]]}`)
		}
		return request(n+1, grow.Name(), `{"Rows":[`+strings.Repeat("[],", rows)+`[]]}`)
	})
}

// unreadLarge asks for results that are nearly as large as a message may be.
func unreadLarge(a *attacker) error {
	return a.unreadBy(func(n uint64) []byte { return request(n, fill.Name(), `{"Bytes":200000}`) })
}

func unreadResults(a *attacker) error {
	return a.unreadBy(func(n uint64) []byte { return request(n, fill.Name(), `{"Bytes":1000}`) })
}
