package rpc

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// fromConn is a connection that comes from an address.
type fromConn struct {
	net.Conn
	addr net.Addr
}

func (c fromConn) RemoteAddr() net.Addr { return c.addr }

// pipeFrom connects a client at an address to srv inside a bubble.
func pipeFrom(t *testing.T, srv *Server, addr string) *Client {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(fromConn{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))})
	client := NewClient(near, WithMaxAttempts(1), WithKeepalive(0))
	t.Cleanup(func() { client.Close() })
	return client
}

func TestPlaces_OneHostLeavesConnectionsToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var last error
		srv := newInventory().server(t, WithMaxConns(32), WithPeerShare(2, 2), WithErrorHandler(func(err error) { last = err }))
		refused := 0
		for port := range 40 {
			if err := pipeFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1)).Ping(t.Context()); err != nil {
				refused++
				synctest.Wait()
				assert.EqualError(t, last, fmt.Sprintf("rpc: 10.0.0.1:%d: resource_exhausted: more than 2 connections from this address, and more than 24 in all (WithPeerShare)", port+1))
				assert.True(t, NeverRan(err))
			}
		}
		assert.Equal(t, 16, refused, "three quarters of the places can be had")
		for _, host := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"} {
			for port := range 2 {
				assert.NoError(t, pipeFrom(t, srv, fmt.Sprintf("%s:%d", host, port+1)).Ping(t.Context()), host)
			}
		}
		assert.Error(t, pipeFrom(t, srv, "10.0.0.6:1").Ping(t.Context()))
		synctest.Wait()
		assert.EqualError(t, last, "rpc: 10.0.0.6:1: resource_exhausted: more than 32 connections")
	})
}

func TestPlaces_OneHostLeavesHandlersToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxHandlers(32), WithPeerShare(2, 2))
		var held []*Pending
		for port := range 4 {
			client := pipeFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1))
			for range 10 {
				held = append(held, client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
			}
		}
		synctest.Wait()
		assert.Equal(t, 24, inv.runs("held"), "three quarters of the places can be had")
		other := pipeFrom(t, srv, "10.0.0.2:1")
		for range 2 {
			held = append(held, other.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
		}
		synctest.Wait()
		assert.Equal(t, 26, inv.runs("held"))
		_, err := checkStock.Call(t.Context(), other, &stockRequest{Item: "held"})
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.ErrorContains(t, err, "more than 2 calls from this address are running, and more than 24 in all (WithPeerShare)")
		assert.True(t, NeverRan(err))
		_, err = checkStock.Call(t.Context(), pipeFrom(t, srv, "10.0.0.3:1"), &stockRequest{Item: "item1"})
		assert.NoError(t, err)

		close(inv.hold)
		failed := 0
		for _, call := range held {
			if err := call.Wait(); err != nil {
				assert.ErrorIs(t, err, ResourceExhausted)
				failed++
			}
		}
		assert.Equal(t, 16, failed)
		_, err = checkStock.Call(t.Context(), other, &stockRequest{Item: "held"})
		assert.NoError(t, err, "there is room again")
	})
}

// A quarter of a few places protects nobody, and all clients may have one address: a
// proxy's, or a machine's own.
func TestPlaces_AFewAreForWhoeverComes(t *testing.T) {
	for places, first := range map[int]int{1: 1, 4: 4, 63: 63, 64: 48, 65: 49} {
		bubble(t, func(t *testing.T) {
			inv := newInventory()
			srv := inv.server(t, WithMaxConns(places), WithMaxHandlers(places))
			for port := range places {
				client := pipeFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1))
				client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
			}
			synctest.Wait()
			assert.EqualValues(t, first, srv.connPlaces.now(), "of %d", places)
			one := pipeFrom(t, srv, "10.0.0.2:1")
			for range places {
				one.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
			}
			synctest.Wait()
			assert.Equal(t, first+min(places-first, 4), inv.runs("held"), "of %d", places)
			close(inv.hold)
		})
	}
}

// A gateway says for whom it calls.
func TestPlaces_InvokeCountsForItsPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxHandlers(32), WithPeerShare(2, 2))
		invoke := func(addr net.Addr, item string) error {
			in := Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{"Item":"` + item + `"}`), Peer: &Peer{Addr: addr}}
			_, err := srv.Invoke(t.Context(), in)
			return err
		}
		hog := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:1"))
		for range 30 {
			go invoke(hog, "held")
		}
		synctest.Wait()
		assert.Equal(t, 24, inv.runs("held"))
		assert.ErrorContains(t, invoke(hog, "item1"), "WithPeerShare")
		assert.NoError(t, invoke(net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:1")), "item1"))
		assert.NoError(t, invoke(nil, "item1"), "a peer that is not known has no share")
		close(inv.hold)
	})
}

func TestPlaces_AShareOfAllTurnsFairnessOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxConns(8), WithMaxHandlers(8), WithPeerShare(8, 8))
		for port := range 8 {
			client := pipeFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1))
			client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		}
		synctest.Wait()
		assert.Equal(t, 8, inv.runs("held"))
		close(inv.hold)
	})
}

// What an address has taken is forgotten with its last connection.
func TestPlaces_NothingIsLeftOfAnAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		for host := range 100 {
			client := pipeFrom(t, srv, fmt.Sprintf("10.0.0.%d:1", host))
			require.NoError(t, client.Ping(t.Context()))
			client.Close()
		}
		synctest.Wait()
		assert.Empty(t, srv.origins.all)
		assert.Zero(t, srv.connPlaces.now())
		assert.Zero(t, srv.handlerPlaces.now())
	})
}

// now returns how many places are taken.
func (p *places) now() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

type spelling string

func (s spelling) Network() string { return "tcp" }
func (s spelling) String() string  { return string(s) }

func TestOrigin_IsAnAddressOrANetworkOfIPv6(t *testing.T) {
	for _, same := range [][2]string{
		{"10.0.0.1:1", "10.0.0.1:2"},
		{"10.0.0.1:1", "[::ffff:10.0.0.1]:1"},
		{"[2001:db8::1]:1", "[2001:db8:0:0:ffff::2]:1"},
		{"[fe80::1%eth0]:1", "[fe80::1%eth0]:2"},
		{"10.0.0.1:1", "[64:ff9b::10.0.0.1]:1"},
	} {
		one, ok := originOf(nil, spelling(same[0]))
		assert.True(t, ok, same)
		other, ok := originOf(nil, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(same[1])))
		assert.True(t, ok, same)
		assert.Equal(t, one, other)
	}
	for _, differ := range [][2]string{
		{"10.0.0.1:1", "10.0.0.2:1"},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1"},
		{"[fe80::1%eth0]:1", "[fe80::2%eth0]:1"}, // a link is one network for all that are on it
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1"},
		{"[fe80::1]:1", "[fe80::1%eth1]:1"},
		{"[64:ff9b::10.0.0.1]:1", "[64:ff9b::10.0.0.2]:1"}, // NAT64: all of IPv4 in one network
	} {
		one, _ := originOf(nil, spelling(differ[0]))
		other, _ := originOf(nil, spelling(differ[1]))
		assert.NotEqual(t, one, other, differ)
	}
	for _, none := range []net.Addr{nil, noAddr{}, spelling("pipe"), spelling(""), &net.UnixAddr{Name: "/tmp/s"}, (*net.TCPAddr)(nil)} {
		_, ok := originOf(nil, none)
		assert.False(t, ok, "%v", none)
	}
}

func TestPlaces_OneHostOverTCP(t *testing.T) {
	noLeaks(t)
	addr := listen(t, newInventory().server(t, WithMaxConns(8), WithPeerShare(1, 1)))
	for range 6 {
		require.NoError(t, dial(t, addr).Ping(t.Context()))
	}
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer conn.Close()
		body, err := wire.ReadHello(conn, wire.MaxHello) // it comes though this end has not said a word
		require.NoError(t, err)
		_, err = parseServerHello(body)
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.ErrorContains(t, err, "more than 1 connections from this address, and more than 6 in all (WithPeerShare)")
	}
}

// An address that asks again and again for more than its share takes nothing by that,
// not even for a moment.
func TestPlaces_WhatIsRefusedTakesNothing(t *testing.T) {
	srv := newServer(t, WithMaxHandlers(4), WithPeerShare(1, 1))
	from := func(addr string) *origin {
		return srv.enterFrom(nil, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	}
	hog, other := from("10.0.0.1:1"), from("10.0.0.2:1")
	for range 3 {
		require.Nil(t, srv.acquire(&method{}, hog))
	}
	done := make(chan struct{})
	var hogs sync.WaitGroup
	for range 4 {
		hogs.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if srv.acquire(&method{}, hog) == nil {
						srv.release(hog)
					}
				}
			}
		})
	}
	refused := 0
	for range 100_000 {
		if srv.acquire(&method{}, other) != nil {
			refused++
		} else {
			srv.release(other)
		}
	}
	close(done)
	hogs.Wait()
	assert.Zero(t, refused, "there is a place for the other address")
}

// mutedConn says its address once the other end has said something, as a wrapper for the
// PROXY protocol does.
type mutedConn struct{ net.Conn }

func (c mutedConn) RemoteAddr() net.Addr {
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return noAddr{}
	}
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:1"))
}

// A connection has its place before its address is known: who keeps that back opens no
// more connections than others, and not for longer.
func TestPlaces_AConnectionThatKeepsItsAddressBackIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithMaxConns(2), WithHandshakeTimeout(10*time.Second))
		open, count := 0, sync.Mutex{}
		opened := func(n int) {
			count.Lock()
			defer count.Unlock()
			open += n
		}
		var peers []net.Conn
		for range 3 * (2 + connsInspected) {
			near, far := net.Pipe()
			peers = append(peers, near)
			opened(1)
			go func() {
				srv.ServeConn(mutedConn{far})
				opened(-1)
			}()
			synctest.Wait()
		}
		assert.Equal(t, 2+connsInspected, open)
		near, far := net.Pipe()
		go srv.ServeConn(far)
		_, err := wire.ReadHello(near, wire.MaxHello)
		assert.ErrorIs(t, err, io.EOF, "no more than that, whatever its address is")
		<-time.After(10*time.Second + 10*time.Millisecond) // and for what is said to those that were too many
		synctest.Wait()
		assert.Zero(t, open, "as long as a hello may take")
		for _, peer := range peers {
			peer.Close()
		}
		assert.NoError(t, pipeFrom(t, srv, "10.0.0.2:1").Ping(t.Context()))
	})
}

// Whoever is refused over TLS, or on a connection that may not be written to without
// waiting, is told nothing: the server would have to wait for a stranger.
func TestPlaces_ARefusalThatWouldHaveToWaitIsNotSaid(t *testing.T) {
	for about, wrap := range map[string]func(net.Conn) net.Conn{
		"TLS":     func(conn net.Conn) net.Conn { return tls.Server(conn, &tls.Config{}) },
		"wrapped": func(conn net.Conn) net.Conn { return struct{ net.Conn }{conn} },
	} {
		noLeaks(t)
		var told tellTale
		srv := newServer(t, WithMaxConns(4), WithPeerShare(1, 1), WithErrorHandler(told.tell))
		addr := listen(t, srv)
		for range 3 {
			require.NoError(t, dial(t, addr).Ping(t.Context()))
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		near, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer near.Close()
		far, err := ln.Accept()
		require.NoError(t, err)
		srv.ServeConn(wrap(far))
		said, err := io.ReadAll(near)
		assert.NoError(t, err, about)
		assert.Empty(t, said, about)
		told.mu.Lock()
		if assert.Len(t, told.told, 1, about) {
			assert.Contains(t, told.told[0], "(WithPeerShare)", about)
		}
		told.mu.Unlock()
	}
}

// Once it is known, its address has a share like any other.
func TestPlaces_ALateAddressHasAShare(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		srv := newInventory().server(t, WithMaxConns(4), WithPeerShare(1, 1), WithErrorHandler(func(err error) { told = append(told, err.Error()) }))
		for range 4 {
			near, far := net.Pipe()
			go srv.ServeConn(mutedConn{far})
			near.Write([]byte{0})
			client := NewClient(near, WithMaxAttempts(1), WithKeepalive(0))
			defer client.Close()
			client.Ping(t.Context())
			synctest.Wait()
		}
		assert.Equal(t, []string{"rpc: 10.0.0.1:1: resource_exhausted: more than 1 connections from this address, and more than 3 in all (WithPeerShare)"}, told)
		assert.EqualValues(t, 3, srv.connPlaces.now())
		assert.NoError(t, pipeFrom(t, srv, "10.0.0.2:1").Ping(t.Context()))
	})
}
