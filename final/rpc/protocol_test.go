package rpc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// frameOf builds a frame by hand, right or wrong.
func frameOf(k wire.Kind, flags uint8, id uint64, payload string) []byte {
	return append(wire.AppendHeader(nil, k, flags, id, len(payload)), payload...)
}

// What cannot be understood ends the connection, with a go-away that says why.
func TestServer_BadFrameIsAnsweredWithAGoAway(t *testing.T) {
	request := func(flags uint8, payload string) []byte { return frameOf(wire.KindRequest, flags, 1, payload) }
	for name, c := range map[string]struct {
		bytes []byte
		code  Code
		text  string
	}{
		"length 0":                {[]byte{0, 0, 0, 0}, InvalidArgument, "frame of length 0"},
		"length below the header": {[]byte{0, 0, 0, 9, 1}, InvalidArgument, "frame of length 9"},
		"length 4 GiB":            {[]byte{255, 255, 255, 255}, ResourceExhausted, "frame of length 4294967295: at most 4194304"},
		"unknown kind":            {frameOf(99, 0, 1, ""), Unimplemented, "unknown frame kind 99"},
		"kind 0":                  {frameOf(0, 0, 1, ""), Unimplemented, "unknown frame kind 0"},
		"a stream's kind":         {frameOf(8, 0, 1, ""), Unimplemented, "unknown frame kind 8"},
		"reserved flags":          {request(0x80, ""), InvalidArgument, "reserved flags 0x80"},
		"flags on a cancel":       {frameOf(wire.KindCancel, 1, 1, ""), InvalidArgument, "reserved flags 0x01"},
		"fields on a ping":        {frameOf(wire.KindPing, 0, 1, "x"), InvalidArgument, "1 bytes in a frame of kind 5"},
		"response to nobody":      {frameOf(wire.KindResponse, 0, 1, "{}"), InvalidArgument, "the client sent a frame of kind 2"},
		"error to nobody":         {frameOf(wire.KindError, 0, 1, "\x05\x00\x00"), InvalidArgument, "the client sent a frame of kind 3"},
		"go-away from a client":   {frameOf(wire.KindGoAway, 0, 1, "\x05\x00\x00"), InvalidArgument, "the client sent a frame of kind 7"},
		"truncated request":       {request(0, "\x00\x00\x00\x00\x00"), InvalidArgument, "truncated request"},
		"method past the end":     {request(0, "\x00\x00\x00\x00\x00\x09abc"), InvalidArgument, "truncated request"},
		"metadata past the end":   {request(wire.FlagPairs, "\x00\x00\x00\x00\x00\x01a\x00\x05k"), InvalidArgument, "truncated request"},
		"ID 0":                    {frameOf(wire.KindRequest, 0, 0, "\x00\x00\x00\x00\x00\x01a"), InvalidArgument, "call ID 0 after 0"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				raw := rawClient(t, srv, "json")
				go raw.conn.Write(c.bytes)
				_, e := raw.readGoAway()
				assert.Equal(t, c.code, e.Code)
				assert.Contains(t, e.Message, c.text)
				raw.conn.Close()
				srv.Close()
			})
		})
	}
}

func TestServer_SecondRequestWithAnIDInFlightIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		raw := rawClient(t, srv, "json")
		raw.request(7, checkStock.Name(), `{"Item":"held"}`)
		raw.request(7, checkStock.Name(), `{"Item":"item1"}`)
		last, e := raw.readGoAway()
		assert.Equal(t, uint64(7), last)
		assert.Contains(t, e.Message, "call ID 7 after 7")
		assert.Zero(t, inv.runs("item1"))
		raw.conn.Close()
	})
}

func TestServer_BadRequestIsAnsweredAndTheConnectionGoesOn(t *testing.T) {
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		method, params string
		code           Code
		text           string
	}{
		"invalid UTF-8 in the method":  {"Inventory.\xff\nX", "", InvalidArgument, `method name is not UTF-8: "Inventory.\xff\nX"`},
		"newline in the method":        {"Inventory.A\nB", "", Unimplemented, "method not found: Inventory.A B"},
		"method too long":              {long, "", InvalidArgument, "method name of 200 bytes: at most 128 are allowed"},
		"no method":                    {"", "", Unimplemented, "method not found: "},
		"params of another type":       {checkStock.Name(), `[1]`, InvalidArgument, "decode params of Inventory.CheckStock"},
		"params that are not JSON":     {checkStock.Name(), `{"Item`, InvalidArgument, "decode params of Inventory.CheckStock"},
		"params nested without an end": {checkStock.Name(), strings.Repeat("[", 1<<20), InvalidArgument, "exceeded max depth"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				raw := rawClient(t, srv, "json")
				defer raw.conn.Close()
				raw.request(1, c.method, c.params)
				e := raw.readError(1)
				assert.Equal(t, c.code, e.Code)
				assert.Contains(t, e.Message, c.text)
				assert.True(t, e.neverRan)
				raw.request(2, checkStock.Name(), `{"Item":"item1"}`)
				assert.JSONEq(t, `{"Item":"item1","Count":100}`, string(raw.read().Payload))
			})
		})
	}
}

func TestServer_BadMetadataIsAnsweredAndTheConnectionGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		pairs string
		text  string
	}{
		"newline":        {"\x00\x01k\x00\x03a\nb", "not one line of UTF-8"},
		"invalid UTF-8":  {"\x00\x01k\x00\x01\xff", "not one line of UTF-8"},
		"upper case key": {"\x00\x01K\x00\x01v", "only a-z"},
		"empty key":      {"\x00\x00\x00\x01v", "key of 0 bytes"},
		"truncated":      {"\x00\x09k", "truncated pairs"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t)
				raw := rawClient(t, srv, "json")
				defer raw.conn.Close()
				payload := "\x00\x00\x00\x00\x00\x14" + checkStock.Name() + string(binary.BigEndian.AppendUint16(nil, uint16(len(c.pairs)))) + c.pairs + `{"Item":"item1"}`
				raw.write(frameOf(wire.KindRequest, wire.FlagPairs, 1, payload))
				e := raw.readError(1)
				assert.Equal(t, InvalidArgument, e.Code)
				assert.Contains(t, e.Message, c.text)
				assert.Zero(t, inv.runs("item1"))
				raw.request(2, checkStock.Name(), `{"Item":"item1"}`)
				assert.Equal(t, wire.KindResponse, raw.read().Kind)
			})
		})
	}
}

func TestServer_CancelForNobodyIsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		raw := rawClient(t, srv, "json")
		defer raw.conn.Close()
		raw.write(wire.AppendHeader(nil, wire.KindCancel, 0, 99, 0))
		raw.write(wire.AppendHeader(nil, wire.KindPong, 0, 99, 0))
		raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 42, 0))
		f := raw.read()
		assert.Equal(t, wire.KindPong, f.Kind)
		assert.Equal(t, uint64(42), f.ID)
	})
}

func TestServer_EveryRequestGetsOneReplyACancelledOneToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		raw := rawClient(t, srv, "json")
		defer raw.conn.Close()
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		raw.write(wire.AppendHeader(nil, wire.KindCancel, 0, 1, 0))
		raw.write(wire.AppendHeader(nil, wire.KindCancel, 0, 1, 0))
		assert.Equal(t, Canceled, raw.readError(1).Code)
		raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
		assert.Equal(t, wire.KindPong, raw.read().Kind, "and no second reply before it")
	})
}

func TestServer_TruncatedFrameEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() {
			srv.ServeConn(far)
			close(served)
		}()
		near.Write((&wire.ClientHello{Codec: "json", MaxMessage: 1024}).Append(nil))
		_, err := wire.ReadHello(near, wire.MaxHello)
		require.NoError(t, err)
		near.Write([]byte{0, 0, 0, 50, 1})
		near.Close()
		<-served
		srv.Close()
	})
}

// helloTo sends bytes as a client's hello and returns the server's answer.
func helloTo(t *testing.T, srv *Server, hello string) (wire.ServerHello, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go srv.ServeConn(far)
	go near.Write([]byte(hello))
	near.SetReadDeadline(time.Now().Add(time.Minute))
	body, err := wire.ReadHello(near, wire.MaxHello)
	if err != nil {
		return wire.ServerHello{}, err
	}
	return parseServerHello(body)
}

func TestHello_ServerAnswersABadOneWithACode(t *testing.T) {
	for name, c := range map[string]struct {
		hello string
		want  string
	}{
		"wrong magic":      {"GET / HTTP/1.1\r\n\r\n", `invalid_argument: protocol: hello begins with "GET ": not this protocol`},
		"unknown version":  {"\x93RPC\x09\x00\x00", "unimplemented: unknown version 9: this side speaks 1"},
		"version 0":        {"\x93RPC\x00\x00\x00", "unimplemented: unknown version 0: this side speaks 1"},
		"unknown codec":    {"\x93RPC\x01\x00\x08\x03xml\x00\x10\x00\x00", `unimplemented: unknown codec "xml": this server offers json`},
		"truncated":        {"\x93RPC\x01\x00\x03\x09js", "invalid_argument: protocol: truncated hello"},
		"too long":         {"\x93RPC\x01\xff\xff", "resource_exhausted: hello of 65535 bytes: at most 8320 are allowed"},
		"too small a size": {"\x93RPC\x01\x00\x09\x04json\x00\x00\x00\x01", "invalid_argument: protocol: hello: a largest message of 1 bytes, less than 1024"},
		"bad metadata":     {"\x93RPC\x01\x00\x0f\x04json\x00\x10\x00\x00\x00\x01\n\x00\x01v", "invalid_argument: metadata key"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				_, err := helloTo(t, srv, c.hello)
				require.Error(t, err)
				assert.Contains(t, err.Error(), c.want)
				srv.Close()
			})
		})
	}
}

// 7days-golang #34: a buffered reader of the hello swallowed the bytes behind it.
func TestHello_DoesNotReadAhead(t *testing.T) {
	hello := (&wire.ClientHello{Codec: "gob", MaxMessage: 4096, Pairs: wire.AppendPairs(nil, Metadata{"k": "v"})}).Append(nil)
	in := strings.NewReader(string(hello) + "first frame")
	body, err := wire.ReadHello(in, wire.MaxHello)
	require.NoError(t, err)
	h, metadata, err := parseClientHello(body)
	require.NoError(t, err)
	assert.Equal(t, "gob", h.Codec)
	assert.Equal(t, uint32(4096), h.MaxMessage)
	assert.Equal(t, Metadata{"k": "v"}, metadata)
	rest, _ := io.ReadAll(in)
	assert.Equal(t, "first frame", string(rest))
}

func TestHello_AndFirstCallsMayComeInOneWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		near, far := net.Pipe()
		defer near.Close()
		go srv.ServeConn(far)
		first := (&wire.ClientHello{Codec: "json", MaxMessage: 4096}).Append(nil)
		params := `{"Item":"item1"}`
		first = append((&wire.RequestHead{Method: checkStock.Name()}).Append(first, 0, 1, len(params)), params...)
		go near.Write(first)
		_, err := wire.ReadHello(near, wire.MaxHello)
		require.NoError(t, err)
		assert.Equal(t, uint64(1), rawOn(t, near).read().ID)
	})
}

func TestHello_ClientRefusesABadServer(t *testing.T) {
	for name, c := range map[string]struct {
		answer, want string
	}{
		"another protocol": {"HTTP/1.1 400 Bad Request\r\n", `hello begins with "HTTP"`},
		"unknown version":  {"\x93RPC\x02\x00\x00", "unknown version 2: this side speaks 1"},
		"truncated":        {"\x93RPC\x01\x00\x01\x00", "truncated hello"},
		"no calls at all":  {"\x93RPC\x01\x00\x09\x00\x00\x00\x00\x00\x00\x10\x00\x00", "bounds of 0 calls"},
		"a strange code":   {"\x93RPC\x01\x00\x0a\xee\x00\x00\x00\x00\x00\x00\x00\x00x", "unknown: x"},
		"its end":          {"\x93R", "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				near, far := net.Pipe()
				client := NewClient(near)
				defer client.Close()
				go func() {
					wire.ReadHello(far, wire.MaxHello)
					far.Write([]byte(c.answer))
					far.Close()
				}()
				_, err := checkStock.Call(t.Context(), client, &stockRequest{})
				require.Error(t, err)
				assert.Contains(t, err.Error(), c.want)
				assert.True(t, NeverRan(err))
			})
		})
	}
}

// rawServer is a server by hand behind a client.
func rawServer(t *testing.T, opts ...ClientOption) (*Client, *rawConn) {
	t.Helper()
	return rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}, opts...)
}

func rawServerSaying(t testing.TB, hello wire.ServerHello, opts ...ClientOption) (*Client, *rawConn) {
	t.Helper()
	near, far := net.Pipe()
	client := NewClient(near, opts...)
	_, err := wire.ReadHello(far, wire.MaxHello)
	require.NoError(t, err)
	raw := rawOn(t, far)
	t.Cleanup(func() { client.Close() })
	raw.write(hello.Append(nil))
	return client, raw
}

func TestClient_BadFrameEndsTheConnectionWithAnError(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		text  string
	}{
		"response to nobody":      {frameOf(wire.KindResponse, 0, 2, "{}"), "a reply to call 2, which is not in flight"},
		"error to nobody":         {frameOf(wire.KindError, 0, 2, "\x05\x00\x00"), "a reply to call 2, which is not in flight"},
		"a request":               {frameOf(wire.KindRequest, 0, 1, ""), "the server sent a frame of kind 1"},
		"length 0":                {[]byte{0, 0, 0, 0}, "frame of length 0"},
		"length over the limit":   {[]byte{255, 255, 255, 255}, "at most 4194304"},
		"unknown kind":            {frameOf(99, 0, 1, ""), "unknown frame kind 99"},
		"reserved flags":          {frameOf(wire.KindResponse, 0x10, 1, ""), "reserved flags 0x10"},
		"an error without fields": {frameOf(wire.KindError, 0, 1, ""), "malformed error frame"},
		"an error cut short":      {frameOf(wire.KindError, 0, 1, "\x05\x00\x09x"), "malformed error frame"},
		"an error and more":       {frameOf(wire.KindError, 0, 1, "\x05\x00\x00more"), "malformed error frame"},
		"details cut short":       {frameOf(wire.KindError, wire.FlagPairs, 1, "\x05\x00\x00\x00\x03\x00\x01k"), "truncated pairs"},
		"go-away without fields":  {frameOf(wire.KindGoAway, 0, 1, ""), "malformed go-away"},
		"the end within a frame":  {[]byte{0, 0, 0, 50, 2}, "unexpected EOF"},
		"the end":                 {nil, "the server closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServer(t)
				call := client.Go(t.Context(), checkStock.Name(), stockRequest{}, nil)
				assert.Equal(t, uint64(1), raw.read().ID)
				raw.conn.Write(c.bytes)
				if c.bytes == nil || strings.HasPrefix(name, "the end") {
					raw.conn.Close()
				}
				err := call.Wait()
				require.ErrorIs(t, err, Unavailable)
				assert.Contains(t, err.Error(), c.text)
				assert.False(t, NeverRan(err), "it may have run")
			})
		})
	}
}

// A malformed frame must not decode to "no error".
func TestClient_ErrorFrameIsAnErrorWhateverItsCode(t *testing.T) {
	for _, code := range []byte{0, 17, 255} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServer(t)
				call := client.Go(t.Context(), checkStock.Name(), stockRequest{}, nil)
				raw.read()
				raw.write(frameOf(wire.KindError, 0, 1, string(code)+"\x00\x03a\nb"))
				if code == 255 { // string(byte) of the Go kind: two bytes of UTF-8
					assert.Error(t, call.Wait())
					return
				}
				assert.EqualError(t, call.Wait(), "unknown: a b")
			})
		})
	}
}

func TestClient_SecondReplyDoesNotReachAnyone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		var first, second stockReply
		one := client.Go(t.Context(), checkStock.Name(), stockRequest{}, &first)
		raw.read()
		two := client.Go(t.Context(), checkStock.Name(), stockRequest{}, &second)
		raw.read()
		raw.write(frameOf(wire.KindResponse, 0, 1, `{"Item":"a"}`))
		require.NoError(t, one.Wait())
		raw.write(frameOf(wire.KindResponse, 0, 1, `{"Item":"b"}`))
		assert.ErrorIs(t, two.Wait(), Unavailable)
		assert.Equal(t, "a", first.Item)
		assert.Zero(t, second)
	})
}

func TestFrames_SurviveAnySplit(t *testing.T) {
	var stream []byte
	for i := range 5 {
		stream = append(stream, frameOf(wire.KindResponse, 0, uint64(i+1), strings.Repeat("x", i*7000))...)
	}
	for _, piece := range []int{1, 2, 3, 13, 14, 1000, len(stream)} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer near.Close()
				go func() {
					for rest := stream; len(rest) > 0; {
						n := min(piece, len(rest))
						far.Write(rest[:n])
						rest = rest[n:]
					}
					far.Close()
				}()
				raw := rawOn(t, near)
				for i := range 5 {
					f := raw.read()
					assert.Equal(t, uint64(i+1), f.ID)
					assert.Equal(t, strings.Repeat("x", i*7000), string(f.Payload))
				}
				_, err := raw.in.next()
				assert.Equal(t, io.EOF, err)
			})
		})
	}
}

// grpc-go #785, rpcx #210: four bytes claimed 4 GiB, which was allocated at once.
func TestFrames_MemoryGrowsWithWhatArrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		in := frameReader{Reader: wire.Reader{Limit: 4 << 20}, conn: near, hurry: time.Now().Add(time.Second)}
		go far.Write(wire.AppendHeader(nil, wire.KindRequest, 0, 1, 4<<20-100))
		_, err := in.next()
		require.Equal(t, errHurry, err)
		assert.NotZero(t, in.Held())
		assert.LessOrEqual(t, in.Held(), 16<<10)
	})
}

func TestErrorFrames_KeepToThePeersLimit(t *testing.T) {
	e := Errorf(Internal, "%s", strings.Repeat("ä\n", 5000))
	e.Details = map[string]string{"k": strings.Repeat("x", 900)}
	b := appendError(nil, 1, e, nil, 1024)
	assert.LessOrEqual(t, len(b), 4+1024)
	f := wire.Frame{Flags: b[5], Payload: b[wire.HeaderSize:]}
	back, _, err := parseError(&f)
	require.NoError(t, err)
	assert.Equal(t, Internal, back.Code)
	assert.NotContains(t, back.Message, "\n")
	assert.NotEmpty(t, back.Message)
}

func TestFrames_IdleConnectionGivesItsBufferBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		in := frameReader{Reader: wire.Reader{Limit: 4 << 20}, conn: near, idleTimeout: time.Minute}
		begun := time.Now()
		go func() {
			far.Write(bytes.Repeat(frameOf(wire.KindPing, 0, 1, ""), 10_000))
		}()
		for range 10_000 {
			_, err := in.next()
			require.NoError(t, err)
		}
		assert.True(t, in.Grown())
		_, err := in.next()
		assert.Equal(t, errIdle, err)
		assert.Equal(t, time.Minute, time.Since(begun))
		assert.LessOrEqual(t, in.Held(), 2<<10)
	})
}
