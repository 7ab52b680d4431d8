package auth

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

const (
	annsToken = "2YotnFZFEjr1zCsicMWpAA"
	bobsToken = "SlAV32hkKG.6Yx-tZ/Oa_5=="
)

func newTokens(t testing.TB) *Tokens {
	t.Helper()
	tokens, err := NewTokens(map[string]string{annsToken: "ann", bobsToken: "bob"})
	require.NoError(t, err)
	return tokens
}

// rules are what most tests guard a server with; the fallback is Nobody.
var rules = Rules{
	"Health.Check":       Public(),
	"Inventory.*":        Known(),
	"Inventory.SetStock": Only("ann"),
}

func newGuard(t testing.TB, fallback Rule, rules Rules) *Guard {
	t.Helper()
	g, err := New(newTokens(t).Verify, fallback, rules)
	require.NoError(t, err)
	return g
}

// item is params that note that somebody has decoded them.
type item struct{ decoded bool }

func (i *item) UnmarshalJSON([]byte) error { i.decoded = true; decoded.Add(1); return nil }

// raw speaks to a server in bytes.
type raw struct {
	t    *testing.T
	conn net.Conn
	id   uint64
}

func dialRaw(t *testing.T, srv *rpc.Server) *raw {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	t.Cleanup(func() { near.Close() })
	_, err := near.Write([]byte("\x93RPC\x01\x00\t\x04json\x00@\x00\x00"))
	require.NoError(t, err)
	_, err = io.ReadFull(near, make([]byte, 16))
	require.NoError(t, err)
	return &raw{t: t, conn: near}
}

// call sends a request as it is and returns the code of the answer, whether it
// never ran, and the whole answer. The pairs are keys and values in turn.
func (r *raw) call(method string, pairs ...string) (code rpc.Code, neverRan bool, frame string) {
	r.t.Helper()
	r.id++
	var metadata []byte
	for _, s := range pairs {
		metadata = append(binary.BigEndian.AppendUint16(metadata, uint16(len(s))), s...)
	}
	body := append([]byte{1, 1}, binary.BigEndian.AppendUint64(nil, r.id)...)
	body = append(body, 0, 0, 0, 0)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(method))), method...)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(metadata))), metadata...)
	body = append(body, "{}"...)
	_, err := r.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	require.NoError(r.t, err)

	var length [4]byte
	_, err = io.ReadFull(r.conn, length[:])
	require.NoError(r.t, err)
	answer := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(r.conn, answer)
	require.NoError(r.t, err)
	if answer[0] == 2 {
		return rpc.OK, false, string(answer)
	}
	require.Equal(r.t, byte(3), answer[0])
	return rpc.Code(answer[10]), answer[1]&8 != 0, string(answer)
}
