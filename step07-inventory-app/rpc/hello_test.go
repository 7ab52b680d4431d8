package rpc

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHello_ChoosesTheCodec(t *testing.T) {
	for _, codec := range []string{"json", "gob"} {
		synctest.Test(t, func(t *testing.T) {
			srv := newStockServer(t)
			c, err := NewClientCodec(t.Context(), srv.connect(t), codec)
			require.NoError(t, err)
			defer c.Close()
			var quantity int
			require.NoError(t, call(c, "Inventory.CheckStock", "item1", &quantity))
			assert.Equal(t, 100, quantity)
		})
	}
}

func TestHello_ARefusalSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe() // whose other end would grant anything
		go io.Copy(io.Discard, server)
		go io.WriteString(server, "RPC/1 ok\n")
		_, err := NewClientCodec(t.Context(), client, "xml")
		assert.ErrorContains(t, err, "xml", "the client has no such codec")
		_, err = client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.ErrClosedPipe, "the connection is closed")
	})
	synctest.Test(t, func(t *testing.T) {
		srv, odd := newStockServer(t), strings.Repeat("\x01", 100)
		conn := srv.connect(t)
		refusal := exchange(t, conn, "RPC/1 "+odd+"\n")
		assert.Regexp(t, `^RPC/1 error [ -~]+\n$`, refusal, "what is odd is escaped")
		assert.LessOrEqual(t, len(refusal), maxHello, "a client can read it")
		conn.SetReadDeadline(time.Now().Add(patience))
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "the connection ends")
		refusal = exchange(t, srv.connect(t), "R"+odd+" json\n")
		assert.LessOrEqual(t, len(refusal), maxHello, "this one, too")
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		srv.AllowGob = false
		_, err := NewClientCodec(t.Context(), srv.connect(t), "gob")
		assert.ErrorContains(t, err, "gob")
		assert.NotContains(t, err.Error(), "unknown", "the server knows gob, and does not allow it")
	})
}

func TestHello_AnOddAnswerIsAnError(t *testing.T) {
	for _, test := range []struct{ name, answer, want string }{
		{"an older server", `{"error":"invalid request"}` + "\n", "invalid request"},
		{"another version", "RPC/2 ok\n", "RPC/2 ok"},
		{"too long", strings.Repeat("x", maxHello+1) + "\n", ""},
		{"cut off", "RPC/1 o", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer server.Close()
				go func() {
					takeHello(server)
					io.WriteString(server, test.answer)
					server.Close()
				}()
				_, err := NewClientCodec(t.Context(), client, "json")
				assert.ErrorContains(t, err, test.want)
				_, err = client.Read(make([]byte, 1))
				assert.ErrorIs(t, err, io.ErrClosedPipe, "the connection is closed")
			})
		})
	}
}

func TestHello_EndsWithItsContext(t *testing.T) {
	for _, reads := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe() // whose other end is silent
			defer server.Close()
			if reads {
				go io.Copy(io.Discard, server)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := NewClientCodec(ctx, client, "json")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		})
	}
}

func TestHello_LeavesTheContextBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := NewClientCodec(ctx, newStockServer(t).connect(t), "json")
		require.NoError(t, err)
		defer c.Close()
		<-time.After(time.Minute) // of the bubble's clock
		assert.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
	})
}

// A client may send its first request along with the hello. A server that read
// ahead while it looked for the hello's end would lose it.
func TestHello_WhatFollowsInTheSamePacketIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newStockServer(t).connect(t)
		go io.WriteString(conn, "RPC/1 json\n"+`{"id":1,"method":"Inventory.CheckStock","params":"item1"}`+"\n")
		assert.Equal(t, "RPC/1 ok\n", read(t, conn))
		assert.Equal(t, `{"id":1,"result":100}`+"\n", read(t, conn))
	})
}

func TestHello_WhatFollowsItsAnswerIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		go func() {
			takeHello(server)
			io.WriteString(server, "RPC/1 ok\n"+"garbage\n")
		}()
		c, err := NewClientCodec(t.Context(), client, "json")
		require.NoError(t, err)
		synctest.Wait()
		assert.Error(t, call(c, "M", nil, nil))
	})
}

func TestHello_MayComeByteByByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newStockServer(t).connect(t)
		for _, b := range []byte("RPC/1 json\r\n") {
			write(t, conn, string(b))
		}
		assert.Equal(t, "RPC/1 ok\n", read(t, conn))
	})
}

func TestHello_HasALimit(t *testing.T) {
	endless := "R" + strings.Repeat("x", 2*maxHello)
	synctest.Test(t, func(t *testing.T) {
		conn := newStockServer(t).connect(t)
		write(t, conn, endless)
		conn.SetReadDeadline(time.Now().Add(patience))
		_, err := io.Copy(io.Discard, conn)
		assert.NoError(t, err, "the server does not wait for its end")
	})
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		go io.Copy(io.Discard, server)
		go io.WriteString(server, endless)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := NewClientCodec(ctx, client, "json")
		require.Error(t, err)
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "nor does the client wait for that of an answer")
	})
}
