package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// What PROTOCOL.md says in prose and no capture shows.

// answerTo returns what a server says to a client that writes hello and waits.
func answerTo(t *testing.T, srv *Server, hello []byte) (wire.ServerHello, error) {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	defer near.Close()
	go near.Write(hello)
	body, err := wire.ReadHello(near, wire.MaxHello)
	require.NoError(t, err)
	return parseServerHello(body)
}

func TestProtocolProse_WhatIsNoHelloIsRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		begun := time.Now()
		_, err := answerTo(t, srv, []byte("GET "))
		assert.ErrorIs(t, err, InvalidArgument)
		_, err = answerTo(t, srv, []byte(wire.Magic+"\x01\xff\xff"))
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.Zero(t, time.Since(begun), "without the rest")
	})
}

func TestProtocolProse_ReservedKeysCountAmongThePairs(t *testing.T) {
	for own, want := range map[int]Code{wire.MaxPairs - 1: OK, wire.MaxPairs: ResourceExhausted} {
		bubble(t, func(t *testing.T) {
			srv := newServer(t, WithCompression(1<<10))
			md := Metadata{compressionKey: gzipName}
			for i := range own {
				md[fmt.Sprint(i)] = ""
			}
			hello, err := answerTo(t, srv, (&wire.ClientHello{Codec: "json", MaxMessage: 1 << 10, Pairs: wire.AppendPairs(nil, md)}).Append(nil))
			assert.Equal(t, want, CodeOf(err))
			assert.Equal(t, want == OK, hello.Text == compressionKey+"="+gzipName)
		})
	}
}

func TestProtocolProse_TheLaterGoAwaysReasonCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		call := client.Go(t.Context(), "Test.It", nil, nil)
		require.Equal(t, wire.KindRequest, raw.read().Kind)
		raw.write(appendGoAway(nil, 1, Errorf(Unavailable, "draining")))
		raw.write(appendGoAway(nil, 1, Errorf(InvalidArgument, "a bad frame")))
		raw.conn.Close()
		err := call.Wait()
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "a bad frame")
		assert.False(t, NeverRan(err))
	})
}

func TestProtocolProse_TheClientLooksEveryThirtySeconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, raw := rawServer(t)
		synctest.Wait()
		begun := time.Now()
		<-time.After(time.Second)
		raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 7, 0))
		require.Equal(t, wire.KindPong, raw.read().Kind)
		f := raw.read()
		assert.Equal(t, wire.KindPing, f.Kind)
		assert.Zero(t, f.ID)
		assert.Equal(t, time.Minute, time.Since(begun), "a byte had arrived in the first 30 s")
		_, err := raw.in.next()
		assert.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 90*time.Second, time.Since(begun))
	})
}

func TestProtocolProse_OneConnectionTooManyOverTLSIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithMaxConns(1))
		first, far := net.Pipe()
		defer first.Close()
		go srv.ServeConn(far)
		synctest.Wait()
		near, far := net.Pipe()
		go srv.ServeConn(tls.Server(far, &tls.Config{}))
		said, err := io.ReadAll(near)
		assert.NoError(t, err)
		assert.Empty(t, said, "what is no TLS would be taken for a broken handshake")
	})
}

// The time for connecting is part of the time for the hello.
func TestProtocolProse_ConnectingAndHelloHaveTenSecondsTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begun := time.Now()
		_, err := Dial(t.Context(), "a", WithDialer(func(context.Context, string) (net.Conn, error) {
			<-time.After(8 * time.Second)
			near, far := net.Pipe()
			go mute(far)
			return near, nil
		}))
		assert.ErrorIs(t, err, Unavailable)
		assert.Equal(t, 10*time.Second, time.Since(begun))
	})
}

func TestProtocolProse_AClientWhoseTimeIsUpSendsOneCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		call := client.Go(ctx, "Test.It", nil, nil)
		require.Equal(t, wire.KindRequest, raw.read().Kind)
		f := raw.read()
		assert.Equal(t, wire.KindCancel, f.Kind)
		assert.EqualValues(t, 1, f.ID)
		assert.ErrorIs(t, call.Wait(), DeadlineExceeded)
	})
}

func TestProtocolProse_CallsAboveAGoAwayAreUnavailableWhateverItsCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		call := client.Go(t.Context(), "Test.It", nil, nil)
		require.Equal(t, wire.KindRequest, raw.read().Kind)
		raw.write(appendGoAway(nil, 0, Errorf(InvalidArgument, "a bad frame")))
		err := call.Wait()
		assert.ErrorIs(t, err, Unavailable)
		assert.True(t, NeverRan(err))
	})
}

func TestProtocolProse_TextAndDetailsOfAGoodEndMeanNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		s := openRaw(t, client, raw)
		require.NoError(t, s.CloseSend())
		require.Equal(t, wire.KindEnd, raw.read().Kind)
		raw.write(frameOf(wire.KindEnd, wire.FlagPairs|wire.FlagNeverRan, 1, "\x00\x00\x02no\x00\x01x"))
		_, err := s.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		client.Close()
	})
}

// An item without bytes is the zero value, to a client, too.
func TestProtocolProse_AnItemWithoutBytesIsAnItem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		s := openRaw(t, client, raw)
		raw.write(frameOf(wire.KindData, 0, 1, ""))
		item, err := s.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, &change{}, item)
		client.Close()
	})
}

// At a want, less than a quarter of the window is given back at once, if that is enough.
func TestProtocolProse_AWantDoesNotWaitForAQuarterOfTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		s := openRaw(t, client, raw)
		raw.write(frameOf(wire.KindData, 0, 1, `{"Data":"`+string(repeat('x', 3000))+`"}`))
		_, err := s.Receive(t.Context())
		require.NoError(t, err)
		raw.write(number(wire.KindWant, 1, 15_000))
		for credit := int64(16384 - wire.DataCost(3011)); credit < 15_000; {
			f := raw.read()
			require.Equal(t, wire.KindCredit, f.Kind)
			n, err := wire.ParseBytes(&f)
			require.NoError(t, err)
			credit += n
		}
		client.Close()
	})
}
