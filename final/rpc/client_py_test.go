package rpc_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// testdata/clients/client.py was written from PROTOCOL.md. Here it calls the Go
// server, and meets the captures' servers, good and bad.

// python returns a command that runs Python in the folder of client.py.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("client.py needs Python: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = filepath.Join(filepath.Dir(wireFile(t, "final-calls.txt")), "..", "clients")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

// run returns what the command printed and its exit code.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		require.IsType(t, new(exec.ExitError), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// pythonServer serves the captures' service on a free port.
func pythonServer(t *testing.T, opts ...rpc.ServerOption) (*rpc.Server, string) {
	t.Helper()
	srv := rpc.NewServer(opts...)
	require.NoError(t, CheckStock.Handle(srv, checkCaptured))
	require.NoError(t, srv.Register("Test", captured{t}))
	require.NoError(t, srv.RegisterFunc("Test.Nothing", func() error { return nil }))
	require.NoError(t, srv.RegisterFunc("Test.Long", func(n int) string { return strings.Repeat("x", n) }))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return srv, ln.Addr().String()
}

func TestClientPy_CallsFromTheCommandLine(t *testing.T) {
	_, addr := pythonServer(t)
	for name, c := range map[string]struct {
		args           []string
		stdout, stderr string
		code           int
	}{
		"a call":              {[]string{addr, "Inventory.CheckStock", `{"Item":"item1"}`}, "{\"Count\": 100}\n", "", 0},
		"no params":           {[]string{addr, "Test.Nothing"}, "null\n", "", 0},
		"metadata":            {[]string{"-m", "user=ann", addr, "Test.User"}, "\"ann\"\n", "", 0},
		"a reply's metadata":  {[]string{"-m", "user=ann", "-s", addr, "Test.Header", `{"V":null}`}, "{\"V\": null}\n", "user=ann\n", 0},
		"an error's metadata": {[]string{"-m", "user=ann", "-s", addr, "Test.Header", `{"V":"item9"}`}, "", "user=ann\nclient.py: not_found: unknown: item9\n  item: item9\n", 1},
		"an error":            {[]string{addr, "Inventory.CheckStock", `{"Item":"item9"}`}, "", "client.py: not_found: unknown item: item9\n  item: item9\n", 1},
		"no such method":      {[]string{addr, "Inventory.Nope"}, "", "client.py: unimplemented: method not found: Inventory.Nope\n", 1},
		"the time is up":      {[]string{"-t", "0.05", addr, "Test.Wait"}, "", "client.py: deadline_exceeded: ", 1},
		"no time at all":      {[]string{"-t", "0.0005", addr, "Test.Nothing"}, "", "client.py: deadline_exceeded: no time is left to send the call\n", 1},
		"params are no JSON":  {[]string{addr, "Test.Nothing", `{`}, "", "client.py: params or metadata: ", 2},
		"too few arguments":   {[]string{addr}, "", "usage: client.py", 2},
		"nobody there":        {[]string{"127.0.0.1:1", "Test.Nothing"}, "", "client.py: unavailable: connect to 127.0.0.1:1: ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := run(t, python(t, append([]string{"client.py"}, c.args...)...))
			assert.Equal(t, c.stdout, stdout)
			assert.True(t, strings.HasPrefix(stderr, c.stderr), "stderr: %s", stderr)
			assert.Equal(t, c.code, code)
		})
	}
}

// modulePy uses client.py as a module. Its lines of output say what held.
const modulePy = `
import sys, threading
from client import Client, RPCError

def fails(code, f, *args, **kw):
    try:
        f(*args, **kw)
    except RPCError as e:
        assert e.code == code, (code, e)
        return e
    assert False, "no error"

addr = sys.argv[1]
c = Client(addr, metadata={"app": "test"})

held = [c.start("Test.Wait") for _ in range(3)]
replies = []
def many(g):
    for i in range(50):
        word = f"w{g}-{i}ä"
        replies.append(c.call("Test.User", metadata={"user": word}) == word)
threads = [threading.Thread(target=many, args=(g,)) for g in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert len(replies) == 200 and all(replies)
print("200 replies passed the held calls, each to its caller")

held[1].cancel()
assert fails("canceled", held[1].result).never_ran is False
c.ping()
print("cancelled, and the connection goes on")

e = fails("not_found", c.call, "Inventory.CheckStock", {"Item": "item9"})
assert e.details == {"item": "item9"} and e.remote and not e.never_ran, e.details
e = fails("unimplemented", c.call, "Inventory.Nope")
assert e.never_ran
e = fails("internal", c.call, "Test.Panic")
assert "secret" not in e.message
print("errors have code, message and details")

assert len(c.call("Test.Long", 200_000)) == 200_000
e = fails("resource_exhausted", c.call, "Test.Long", "x" * (5 << 20))
assert e.never_ran and not e.remote
small = Client(addr, max_message=4096)
e = fails("resource_exhausted", small.call, "Test.Long", 5000)
assert e.remote and not e.never_ran
assert small.call("Test.Long", 5) == "xxxxx"
small.close()
fails("canceled", small.call, "Test.Long", 5)
print("sizes are bounded both ways")

e = fails("deadline_exceeded", c.call, "Test.Wait", timeout=0.05)
fails("invalid_argument", c.call, "Test.Long", {"Item": {1, 2}})
print("deadlines are kept")

sys.stdin.readline()                      # the server shuts down now
while True:                               # until the go-away has come
    try:
        c.call("Test.Nothing")
    except RPCError as e:
        assert e.code == "unavailable" and e.never_ran, e
        break
for h in held[0], held[2]:                # these are served all the same
    h.cancel()
c._reader.join()                          # nothing is in flight: the connection is closed
print("after the go-away no call begins")
`

func TestClientPy_AsAModule(t *testing.T) {
	srv, addr := pythonServer(t, rpc.WithMaxInFlight(8))
	cmd := python(t, "-c", modulePy, addr)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, cmd.Start())
	const before = "200 replies passed the held calls, each to its caller\n" +
		"cancelled, and the connection goes on\n" +
		"errors have code, message and details\n" +
		"sizes are bounded both ways\n" +
		"deadlines are kept\n"
	got := make([]byte, len(before))
	n, _ := io.ReadFull(stdout, got)
	down := make(chan error, 1)
	if assert.Equal(t, before, string(got[:n])) {
		go func() { down <- srv.Shutdown(t.Context()) }()
		io.WriteString(stdin, "\n")
	}
	stdin.Close()
	rest, err := io.ReadAll(stdout)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), "%s", errs.String())
	assert.Equal(t, "after the go-away no call begins\n", string(rest))
	assert.NoError(t, <-down)
}

// capturesPy makes the one call of each capture, or opens its stream, from the server at each
// address.
const capturesPy = `
import sys
from client import BIDI, Client, RPCError

for arg in sys.argv[1:]:
    addr, _, stream = arg.partition(" ")
    try:
        with Client(addr) as c:
            if stream:
                with c.stream(stream, BIDI) as s:
                    list(s)
            print(c.call("Inventory.CheckStock", {"Item": "item1"}))
    except RPCError as e:
        print("RPCError", e.code, e.never_ran, len(str(e).splitlines()))
`

// The captures are as good for client.py as for the Go client: one call of
// Inventory.CheckStock is byte for byte the same.
func TestClientPy_DoesAsCaptured(t *testing.T) {
	args := []string{"-c", capturesPy}
	var names, want []string
	var played sync.WaitGroup
	defer played.Wait() // after the listeners are closed
	for _, file := range []string{"final-calls.txt", "final-go-away.txt", "final-client-bad.txt"} {
		_, sections := readCapture(t, file)
		for _, s := range sections {
			var outcome string
			switch {
			case s.name == "a call", s.name == "client: a ping from the server":
				outcome = "{'Count': 100}"
			case strings.HasPrefix(s.name, "client: bad: hello that refuses"):
				outcome = "RPCError unknown True 1"
			case s.name == "client: bad: hello of another version":
				outcome = "RPCError unimplemented True 1"
			case s.name == "client: bad: hello too long":
				outcome = "RPCError resource_exhausted True 1"
			case strings.HasPrefix(s.name, "client: bad: hello"):
				outcome = "RPCError invalid_argument True 1"
			case strings.HasPrefix(s.name, "client: bad: "):
				outcome = "RPCError unavailable False 1"
			default:
				continue // it is about more than one call
			}
			stream, says := saysOf(s)
			if stream && says != 2 {
				continue // it opens more, or does what this program does not
			}
			names, want = append(names, s.name), append(want, outcome)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			arg := ln.Addr().String()
			if stream {
				arg += " Test.Echo"
			}
			args = append(args, arg)
			played.Go(func() { playServer(t, ln, s) })
		}
	}
	stdout, stderr, _ := run(t, python(t, args...))
	got := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, got, len(want), "%s", stderr)
	for i, name := range names {
		assert.Equal(t, want[i], got[i], name)
	}
}

// itemAndWantPy receives until its stream fails.
const itemAndWantPy = `
import sys
from client import BIDI, Client, RPCError

with Client(sys.argv[1]) as c, c.stream("Test.Echo", BIDI) as s:
    try:
        while True:
            print(s.receive())
    except RPCError as e:
        print(e.code)
`

// An item without bytes is an item, and a want that no item costs fails its stream alone.
func TestClientPy_TakesAnEmptyItemAndRefusesAWantThatNothingCosts(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	var played sync.WaitGroup
	defer played.Wait()
	played.Go(func() {
		conn, err := ln.Accept()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, err = readMessage(conn, true)
		assert.NoError(t, err)
		hello := wire.ServerHello{InFlight: 1, MaxMessage: 1 << 20, Text: "rpc.streams=1,16384"}
		conn.Write(hello.Append(nil))
		_, err = readMessage(conn, false)
		assert.NoError(t, err)
		conn.Write(wire.AppendHeader(nil, wire.KindData, 0, 1, 0))
		for _, want := range []struct {
			bytes uint32
			kind  wire.Kind
		}{
			{16384, wire.KindCredit}, // once the item is taken
			{4<<20 + 4<<17, wire.KindCredit},
			{4<<20 + 4<<17 + 1, wire.KindCancel},
		} {
			conn.Write(wire.AppendBytes(nil, wire.KindWant, 1, want.bytes))
			frame, err := readMessage(conn, false)
			if !assert.NoError(t, err) || !assert.NotEmpty(t, frame, "the client closes") {
				return
			}
			assert.Equal(t, want.kind, wire.Kind(frame[4]), "want of %d", want.bytes)
		}
	})
	stdout, stderr, _ := run(t, python(t, "-c", itemAndWantPy, ln.Addr().String()))
	assert.Equal(t, "None\ninternal\n", stdout, "%s", stderr)
}

// noSensePy opens a stream after the other on one connection.
const noSensePy = `
import sys
from client import BIDI, Client, RPCError

with Client(sys.argv[1]) as c:
    for _ in range(int(sys.argv[2])):
        with c.stream("Test.Echo", BIDI) as s:
            try:
                print(s.receive())
            except RPCError as e:
                print(e.code, s.header, s.metadata)
            except EOFError:
                print("end", s.header, s.metadata)
`

// A header or trailer that makes no sense fails its stream alone, and leaves an error's own
// code. One that goes past the frame's end ends the connection, as every field does.
func TestClientPy_MetadataWithoutSenseFailAStreamAlone(t *testing.T) {
	pairs := func(kv ...string) (b []byte) {
		for _, s := range kv {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
		}
		return b
	}
	header := func(pairs []byte) func(id uint64) []byte {
		return func(id uint64) []byte {
			return append(wire.AppendHeader(nil, wire.KindHeader, 0, id, len(pairs)), pairs...)
		}
	}
	end := func(code wire.Code, size int, pairs []byte) func(id uint64) []byte {
		fields := binary.BigEndian.AppendUint16([]byte{byte(code), 0, 0}, uint16(size))
		fields = append(fields, pairs...)
		return func(id uint64) []byte {
			return append(wire.AppendHeader(nil, wire.KindEnd, wire.FlagReplyMetadata, id, len(fields)), fields...)
		}
	}
	good, bad := pairs("user", "ann"), pairs("User", "ann")
	var many []byte
	for range 129 {
		many = append(many, good...)
	}
	streams := []struct {
		server func(id uint64) []byte
		want   string
	}{
		{header(bad), "internal {} {}"},
		{header(good[:6]), "internal {} {}"},
		{header(many), "internal {} {}"},
		{header(pairs("k", "a\tb")), "internal {} {}"},
		{header(pairs("k", "\xff")), "internal {} {}"},
		{header(pairs("k", strings.Repeat("v", 8<<10))), "internal {} {}"},
		{end(wire.OK, len(bad), bad), "internal {} {}"},
		{end(wire.Code(rpc.NotFound), len(bad), bad), "not_found {} {}"},
		{end(wire.OK, len(good), good), "end {} {'user': 'ann'}"},
		{end(wire.OK, len(good)+1, good), "unavailable {} {}"}, // the last: the client closes
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	var played sync.WaitGroup
	defer played.Wait()
	played.Go(func() {
		conn, err := ln.Accept()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, err = readMessage(conn, true)
		assert.NoError(t, err)
		hello := wire.ServerHello{InFlight: 1, MaxMessage: 1 << 20, Text: "rpc.reply-metadata=1 rpc.streams=1,16384"}
		conn.Write(hello.Append(nil))
		for i, s := range streams {
			frame, err := readMessage(conn, false)
			if !assert.NoError(t, err) || !assert.NotEmpty(t, frame, "the client closes: stream %d", i+1) {
				return
			}
			assert.Equal(t, wire.KindOpen, wire.Kind(frame[4]))
			conn.Write(s.server(uint64(i + 1)))
			if i == len(streams)-1 {
				break
			}
			frame, err = readMessage(conn, false)
			if !assert.NoError(t, err) || !assert.NotEmpty(t, frame, "the client closes: stream %d", i+1) {
				return
			}
			if kind := wire.Kind(frame[4]); kind == wire.KindCancel {
				conn.Write(end(wire.OK, 0, nil)(uint64(i + 1)))
			} else {
				assert.Equal(t, wire.KindEnd, kind)
			}
		}
	})
	stdout, stderr, _ := run(t, python(t, "-c", noSensePy, ln.Addr().String(), strconv.Itoa(len(streams))))
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, len(streams), "%s", stderr)
	for i, s := range streams {
		assert.Equal(t, s.want, lines[i], "stream %d", i+1)
	}
}

// saysOf returns whether the client of a section opens a stream, and how many messages it sends.
func saysOf(s *section) (stream bool, messages int) {
	for i, p := range s.packets {
		if p.fromClient && p.data != "" {
			messages++
			stream = stream || i > 0 && wire.Kind(p.data[4]) == wire.KindOpen
		}
	}
	return stream, messages
}

// playServer plays the section's server for one connection and checks what the
// client sends.
func playServer(t *testing.T, ln net.Listener, s *section) {
	conn, err := ln.Accept()
	if !assert.NoError(t, err) {
		return
	}
	defer conn.Close()
	for i, p := range s.packets {
		switch {
		case p.fromClient && p.data == "":
			if i > 0 && s.packets[i-1].data != "" { // else this side has closed already
				rest, _ := io.ReadAll(conn)
				assert.Empty(t, string(rest), "the client closes")
			}
		case p.fromClient:
			got, err := readMessage(conn, i == 0)
			assert.NoError(t, err)
			if i == 0 {
				got = asOffered(p.data, got)
			}
			assert.Equal(t, p.data, got)
		case p.data == "":
			conn.Close()
		default:
			io.WriteString(conn, p.data)
		}
	}
}
