package rpc

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// opened opens a bidi stream that ends with the test, and returns it and what its handler is to do.
func opened(t *testing.T, srv *Server, opts ...ClientOption) (*DuplexStream[change, change], *Client) {
	client := pipe(t, srv, opts...)
	s, err := syncing.Open(t.Context(), client)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, client
}

// bidiServer has one method, a bidi stream.
func bidiServer(t *testing.T, handler func(ctx context.Context, in *Receiver[change], out *Sender[change]) error, opts ...ServerOption) *Server {
	t.Helper()
	srv := newInventory().server(t, opts...)
	require.NoError(t, syncing.Handle(srv, handler))
	return srv
}

func TestStreamMetadata_HeaderIsThereBeforeItemsAndTrailerWithTheEnd(t *testing.T) {
	for name, failed := range map[string]error{"good end": nil, "error": Errorf(NotFound, "not here").WithDetail("item", "item1")} {
		for _, items := range []int{0, 3} {
			t.Run(fmt.Sprint(name, " after ", items), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s, client := opened(t, bidiServer(t, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
						require.NoError(t, SetHeader(ctx, Metadata{"a": "1", "b": "1"}))
						require.NoError(t, SetHeader(ctx, Metadata{"b": "2"}))
						require.NoError(t, SetTrailer(ctx, Metadata{"c": "1"}))
						for n := range items {
							require.NoError(t, out.Send(ctx, &change{N: n}))
						}
						require.NoError(t, SetTrailer(ctx, Metadata{"d": "2"}))
						return failed
					}))
					header, err := s.Header(t.Context())
					require.NoError(t, err)
					assert.Equal(t, Metadata{"a": "1", "b": "2"}, header)
					header["a"] = "mine"
					got, err := collect(&s.Receiver)
					assert.Len(t, got, items)
					assert.Equal(t, CodeOf(failed), CodeOf(err))
					assert.Equal(t, Metadata{"c": "1", "d": "2"}, s.Trailer())
					if failed != nil {
						assert.Equal(t, "item1", toError(err).Details["item"])
					}
					header, err = s.Header(t.Context())
					require.NoError(t, err)
					assert.Equal(t, Metadata{"a": "1", "b": "2"}, header, "again, a copy each")
					assertNoStreams(t, client)
				})
			})
		}
	}
}

func TestStreamMetadata_AllShapesHaveIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		set := func(ctx context.Context) error {
			return cmpErr(SetHeader(ctx, Metadata{"h": "1"}), SetTrailer(ctx, Metadata{"t": "1"}))
		}
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error { return set(ctx) }))
		require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *Receiver[change]) (*report, error) {
			_, err := collect(in)
			return &report{}, cmpErr(err, set(ctx))
		}))
		client := pipe(t, srv)

		in, err := watch.Open(t.Context(), client, &watchRequest{})
		require.NoError(t, err)
		header, err := in.Header(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{"h": "1"}, header)
		_, err = in.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		assert.Equal(t, Metadata{"t": "1"}, in.Trailer())

		out, err := imports.Open(t.Context(), client)
		require.NoError(t, err)
		assert.Nil(t, out.Trailer())
		_, err = out.CloseAndReceive(t.Context())
		require.NoError(t, err)
		header, err = out.Header(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{"h": "1"}, header)
		assert.Equal(t, Metadata{"t": "1"}, out.Trailer())
	})
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestStreamMetadata_SendHeaderDoesNotWaitForAnItem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := opened(t, bidiServer(t, func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
			require.NoError(t, SetHeader(ctx, Metadata{"a": "1"}))
			require.NoError(t, SendHeader(ctx))
			require.NoError(t, SendHeader(ctx), "again")
			err := SetHeader(ctx, Metadata{"a": "2"})
			assert.Equal(t, FailedPrecondition, CodeOf(err), "%v", err)
			_, err = in.Receive(ctx)
			return err
		}))
		header, err := s.Header(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{"a": "1"}, header)
		assert.Nil(t, s.Trailer(), "the handler has not returned")
	})
}

func TestStreamMetadata_OfAHandlerThatSetsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := opened(t, streamServer(t))
		_, err := s.Header(timeout(t, time.Second))
		assert.Equal(t, DeadlineExceeded, CodeOf(err), "none has arrived, and no item")
		require.NoError(t, s.Send(t.Context(), &change{}))
		for range 2 {
			header, err := s.Header(t.Context())
			require.NoError(t, err)
			assert.Nil(t, header)
		}
		require.NoError(t, s.CloseSend())
		_, err = collect(&s.Receiver)
		require.NoError(t, err)
		assert.Nil(t, s.Trailer())
	})
}

// What a hook sets for a stream travels, too, also if the hook refuses the stream.
func TestStreamMetadata_OfARefusedStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, _ := opened(t, bidiServer(t, echo, WithAuthorize(func(ctx context.Context, _ string) (Identity, error) {
			require.NoError(t, SetHeader(ctx, Metadata{"h": "1"}))
			require.NoError(t, SetTrailer(ctx, Metadata{"t": "1"}))
			return Identity{}, Errorf(PermissionDenied, "no")
		})))
		header, err := s.Header(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Metadata{"h": "1"}, header)
		_, err = s.Receive(t.Context())
		assert.Equal(t, PermissionDenied, CodeOf(err))
		assert.True(t, NeverRan(err))
		assert.Equal(t, Metadata{"t": "1"}, s.Trailer())
	})
}

func TestStreamMetadata_BadOnesAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		many, long := Metadata{}, Metadata{"a": strings.Repeat("x", wire.MaxReplyMetadata)}
		for n := range wire.MaxPairs + 1 {
			many[fmt.Sprint(n)] = ""
		}
		call := newInventory().server(t)
		inCall := Method[letter, letter]("Test.InCall")
		require.NoError(t, inCall.Handle(call, func(ctx context.Context, in *letter) (*letter, error) {
			assert.NoError(t, SendHeader(ctx), "of a call: nothing to do")
			return in, SetTrailer(ctx, Metadata{"a": "1"})
		}))
		require.NoError(t, syncing.Handle(call, func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
			for name, set := range map[string]func(context.Context, Metadata) error{"SetHeader": SetHeader, "SetTrailer": SetTrailer} {
				assert.Equal(t, InvalidArgument, CodeOf(set(ctx, Metadata{"": "1"})), name)
				assert.Equal(t, InvalidArgument, CodeOf(set(ctx, Metadata{"a": "\xff"})), name)
				assert.Equal(t, ResourceExhausted, CodeOf(set(ctx, many)), name)
				assert.Equal(t, ResourceExhausted, CodeOf(set(ctx, long)), name)
				assert.Equal(t, InvalidArgument, CodeOf(set(t.Context(), Metadata{"a": "1"})), name)
			}
			assert.Equal(t, InvalidArgument, CodeOf(SendHeader(t.Context())))
			require.NoError(t, out.Send(ctx, &change{}))
			assert.Equal(t, FailedPrecondition, CodeOf(SetHeader(ctx, Metadata{"a": "1"})))
			_, err := call.Invoke(ctx, Invocation{Method: inCall.Name(), Codec: JSON, Params: []byte(`{}`)})
			assert.Equal(t, InvalidArgument, CodeOf(err), "%v", err)
			return nil
		}))
		s, _ := opened(t, call)
		got, err := collect(&s.Receiver)
		assert.NoError(t, err)
		assert.Len(t, got, 1)
		header, err := s.Header(t.Context())
		assert.NoError(t, err)
		assert.Nil(t, header)
		assert.Nil(t, s.Trailer())
	})
}

// Header waits for its context, and for what ends the stream.
func TestStreamMetadata_HeaderOfAStreamThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(cancel func(), s *DuplexStream[change, change], c *Client, srv *Server)
		code Code
	}{
		"closed":          {func(_ func(), s *DuplexStream[change, change], _ *Client, _ *Server) { s.Close() }, Canceled},
		"cancelled":       {func(cancel func(), _ *DuplexStream[change, change], _ *Client, _ *Server) { cancel() }, Canceled},
		"connection lost": {func(_ func(), _ *DuplexStream[change, change], _ *Client, srv *Server) { srv.Close() }, Unavailable},
		"client closed":   {func(_ func(), _ *DuplexStream[change, change], c *Client, _ *Server) { c.Close() }, Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
					_, err := in.Receive(ctx)
					return err
				})
				client := pipe(t, srv)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, err := syncing.Open(ctx, client)
				require.NoError(t, err)
				_, err = s.Header(timeout(t, time.Second))
				assert.Equal(t, DeadlineExceeded, CodeOf(err))
				failed := make(chan error)
				for range 3 {
					go func() {
						_, err := s.Header(context.Background())
						failed <- err
					}()
				}
				synctest.Wait()
				c.end(cancel, s, client, srv)
				for range 3 {
					assert.Equal(t, c.code, CodeOf(<-failed))
				}
				assert.Nil(t, s.Trailer())
			})
		})
	}
}

// A client that has not offered metadata of replies gets none, and one that reads little
// gets what fits.
func TestStreamMetadata_WhatTheClientDoesNotTakeIsLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		hello           wire.ClientHello
		header, trailer bool
	}{
		"not offered": {wire.ClientHello{MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, map[string]string{streamsKey: "16384"})}, false, false},
		"offered":     {wire.ClientHello{MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, map[string]string{streamsKey: "16384", replyMetadataKey: "1"})}, true, true},
		"no room":     {wire.ClientHello{MaxMessage: 1 << 10, Pairs: wire.AppendPairs(nil, map[string]string{streamsKey: "16384", replyMetadataKey: "1"})}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				long := Metadata{"a": strings.Repeat("x", 2000)}
				srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
					require.NoError(t, SetHeader(ctx, long))
					require.NoError(t, SetTrailer(ctx, long))
					return out.Send(ctx, &change{})
				})
				c.hello.Codec = "json"
				raw := rawClientSaying(t, srv, c.hello)
				raw.write(bidi(1))
				f := raw.read()
				if c.header {
					require.Equal(t, wire.KindHeader, f.Kind)
					md, err := parseReplyMetadata(f.Payload)
					require.NoError(t, err)
					assert.Equal(t, long, md)
					f = raw.read()
				}
				require.Equal(t, wire.KindData, f.Kind)
				f = raw.read()
				require.Equal(t, wire.KindEnd, f.Kind)
				assert.Equal(t, c.trailer, f.Flags&wire.FlagReplyMetadata != 0)
				raw.conn.Close()
				srv.Close()
			})
		})
	}
}

// What a server says by hand.
func TestStreamMetadata_ClientChecksIt(t *testing.T) {
	header := func(pairs string) []byte { return frameOf(wire.KindHeader, 0, 1, pairs) }
	item := frameOf(wire.KindData, 0, 1, "{}")
	for name, c := range map[string]struct {
		frames [][]byte
		lost   string // of the connection; "": the stream alone fails
		failed string
	}{
		"a second header":         {[][]byte{header(""), header("")}, "a header of stream 1 after another one", ""},
		"a header after an item":  {[][]byte{item, header("")}, "a header of stream 1 after another one, or after an item", ""},
		"a header of no stream":   {[][]byte{frameOf(wire.KindHeader, 0, 7, "")}, "header for stream 7, which is not open", ""},
		"a header cut short":      {[][]byte{header("\x00\x05a")}, "", "the header of Inventory.Sync"},
		"a header of a bad pair":  {[][]byte{header("\x00\x00\x00\x01x")}, "", "the header of Inventory.Sync"},
		"a header above 8 KiB":    {[][]byte{header(strings.Repeat("\x00\x01a\x00\x01b", 1500))}, "", "the header of Inventory.Sync"},
		"a trailer of a bad pair": {[][]byte{frameOf(wire.KindEnd, wire.FlagReplyMetadata, 1, "\x00\x00\x00\x00\x05\x00\x00\x00\x01x")}, "", "the trailer of Inventory.Sync"},
		"a trailer cut short":     {[][]byte{frameOf(wire.KindEnd, wire.FlagReplyMetadata, 1, "\x00\x00\x00\x00\x05\x00")}, "malformed end of stream 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := streamingServer(t, "rpc.streams=10,16384 rpc.reply-metadata=1")
				s := openRaw(t, client, raw)
				go io.Copy(io.Discard, raw.conn)
				for _, f := range c.frames {
					raw.conn.Write(f)
				}
				synctest.Wait()
				if c.lost != "" {
					assert.ErrorContains(t, client.fixed.err, c.lost)
					return
				}
				_, err := s.Receive(t.Context())
				assert.Equal(t, Internal, CodeOf(err))
				assert.ErrorContains(t, err, c.failed)
				assert.Nil(t, client.fixed.err, "the connection goes on")
				assert.Nil(t, s.Trailer())
				client.Close()
			})
		})
	}
}

func TestStreamMetadata_ZeroValuesHaveNone(t *testing.T) {
	for _, s := range []interface {
		Header(context.Context) (Metadata, error)
		Trailer() Metadata
	}{
		new(ReceiveStream[change]), (*ReceiveStream[change])(nil), new(SendStream[change, report]), (*SendStream[change, report])(nil),
		new(DuplexStream[change, change]), (*DuplexStream[change, change])(nil),
	} {
		_, err := s.Header(t.Context())
		assert.Equal(t, InvalidArgument, CodeOf(err))
		assert.Nil(t, s.Trailer())
	}
}
