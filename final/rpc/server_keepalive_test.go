package rpc

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A client whose machine has gone leaves no trace: its call keeps the connection from
// being idle for as long as the handler runs.
func TestServerKeepalive_NoticesADeadClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		inv := newInventory()
		inv.ended = make(chan error, 1)
		srv := inv.server(t, WithKeepalive(10*time.Second), WithErrorHandler(func(err error) { told = append(told, err.Error()) }))
		raw := rawClient(t, srv, "json")
		begun := time.Now()
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		f := raw.read()
		assert.Equal(t, wire.KindPing, f.Kind)
		assert.Zero(t, f.ID)
		assert.Equal(t, 20*time.Second, time.Since(begun), "the request arrived before the first look")
		assert.Equal(t, context.Canceled, <-inv.ended)
		assert.Equal(t, 30*time.Second, time.Since(begun))
		_, err := raw.in.next()
		assert.Error(t, err, "the connection is closed")
		synctest.Wait()
		assert.Equal(t, []string{"rpc: pipe: unavailable: keepalive timeout: nothing received from the client for 20s (WithKeepalive)"}, told)
	})
}

func TestServerKeepalive_KeepsAClientThatAnswers(t *testing.T) {
	for _, codec := range codecs() {
		bubble(t, func(t *testing.T) {
			srv := newInventory().server(t, WithCodecs(Gob), WithKeepalive(10*time.Second))
			client := pipe(t, srv, WithKeepalive(0), WithCodec(codec))
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1", Wait: time.Hour})
			assert.NoError(t, err)
			<-time.After(time.Hour)
			_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			assert.NoError(t, err, "nor is a client idle that answers")
		})
	}
}

func TestServerKeepalive_IsOffUnlessSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		raw := rawClient(t, srv, "json")
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		<-time.After(24 * time.Hour)
		close(inv.hold)
		f := raw.read()
		require.Equal(t, wire.KindResponse, f.Kind, "and no ping before it")
		raw.conn.Close()
	})
}

// Nothing of it is left when a connection has ended.
func TestServerKeepalive_EndsWithTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []error
		srv := newInventory().server(t, WithKeepalive(10*time.Second), WithErrorHandler(func(err error) { told = append(told, err) }))
		client := pipe(t, srv)
		require.NoError(t, client.Ping(t.Context()))
		client.Close()
		<-time.After(time.Hour)
		assert.Empty(t, told)
		begun := time.Now()
		srv.Close()
		assert.Zero(t, time.Since(begun))
	})
}

// When reading has ended, nothing can arrive any more: that says nothing of the client,
// however long a handler goes on.
func TestServerKeepalive_EndsWithTheReading(t *testing.T) {
	for about, end := range map[string]func(srv *Server, client *Client){
		"the client closes": func(_ *Server, client *Client) { client.Close() },
		"the server closes": func(srv *Server, _ *Client) { go srv.Close() },
	} {
		bubble(t, func(t *testing.T) {
			var told []error
			inv := newInventory()
			srv := inv.server(t, WithKeepalive(10*time.Second), WithErrorHandler(func(err error) { told = append(told, err) }))
			client := pipe(t, srv)
			client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "deaf"}, nil)
			synctest.Wait()
			end(srv, client)
			<-time.After(time.Minute)
			assert.Empty(t, told, about)
			close(inv.hold)
			srv.Close()
			client.Close()
		})
	}
}

// A client that reads slowly, and slowly enough to lose its connection for something
// else, still gets its replies and the reason.
func TestServerKeepalive_LeavesAClientTheReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []string
		srv := newInventory().server(t, WithKeepalive(time.Second), WithErrorHandler(func(err error) { told = append(told, err.Error()) }))
		raw := rawClient(t, srv, "json")
		raw.request(1, checkStock.Name(), `{"Item":"item1"}`)
		synctest.Wait() // the reply is on its way
		raw.request(1, checkStock.Name(), `{"Item":"item1"}`)
		<-time.After(5 * time.Second)
		assert.Equal(t, wire.KindResponse, raw.read().Kind)
		_, reason := raw.readGoAway()
		assert.ErrorContains(t, reason, "IDs must rise")
		raw.conn.Close()
		synctest.Wait()
		assert.Len(t, told, 1, "%q", told)
	})
}

// halfConn is a pipe that can end its sending direction, and says what is sent after that.
type halfConn struct {
	net.Conn
	ended atomic.Bool
	late  atomic.Int64
}

func (c *halfConn) CloseWrite() error {
	c.ended.Store(true)
	return nil
}

func (c *halfConn) Write(p []byte) (int, error) {
	if c.ended.Load() {
		c.late.Add(1)
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// After its last reply a server reads what the client still sends. A ping would fail then,
// and the connection would be cut before the client has read all.
func TestServerKeepalive_SendsNothingAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithKeepalive(lingerTime/10))
		near, far := net.Pipe()
		half := &halfConn{Conn: far}
		go srv.ServeConn(half)
		raw := rawOn(t, near)
		raw.write((&wire.ClientHello{Codec: "json", MaxMessage: 1 << 20}).Append(nil))
		_, err := wire.ReadHello(near, wire.MaxHello)
		require.NoError(t, err)
		synctest.Wait()
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- srv.Shutdown(t.Context()) }()
		raw.readGoAway()
		assert.NoError(t, <-ended)
		assert.Equal(t, lingerTime, time.Since(begun))
		assert.True(t, half.ended.Load())
		assert.Zero(t, half.late.Load())
	})
}

// A stream's handler may wait for its client alone: without any option a client that is
// gone is noticed while streams are open, and only then.
func TestServerKeepalive_NoticesADeadClientOfAStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
			_, err := collect(in)
			ended <- context.Cause(ctx)
			return err
		})
		defer srv.Close()
		raw := rawStreams(t, srv, "16384")
		<-time.After(time.Minute)
		for id := range uint64(2) { // again, once no stream was open for a while
			raw.write(bidi(id + 1))
			raw.write(frameOf(wire.KindEnd, 0, id+1, ""))
			assert.Equal(t, wire.KindEnd, raw.read().Kind, "and no ping before it")
			assert.NoError(t, <-ended)
			<-time.After(5 * time.Minute)
		}
		begun := time.Now()
		raw.write(bidi(3))
		assert.Equal(t, wire.KindPing, raw.read().Kind)
		assert.LessOrEqual(t, time.Since(begun), time.Minute)
		_, err := raw.in.next()
		assert.Error(t, err, "the connection is closed")
		assert.ErrorContains(t, <-ended, "keepalive timeout")
		assert.LessOrEqual(t, time.Since(begun), 90*time.Second)
	})
}

func TestServerKeepalive_KeepsAClientOfAStreamThatAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t)
		client := pipe(t, srv, WithKeepalive(0))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		<-time.After(24 * time.Hour)
		require.NoError(t, s.Send(t.Context(), &change{N: 1}))
		item, err := s.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, item.N)
	})
}

func TestServerKeepalive_OfStreamsIsOffWithoutPings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, echo, WithKeepalive(0))
		raw := rawStreams(t, srv, "16384")
		raw.write(bidi(1))
		<-time.After(24 * time.Hour)
		raw.write(frameOf(wire.KindEnd, 0, 1, ""))
		assert.Equal(t, wire.KindEnd, raw.read().Kind, "and no ping before it")
	})
}
