package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func codecs() []Codec { return []Codec{JSON, Gob} }

func TestCall_ReturnsTheReply(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				for i := range 3 {
					item := fmt.Sprint("item", i)
					reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: item})
					require.NoError(t, err)
					assert.Equal(t, &stockReply{Item: item, Count: 100}, reply)
				}
			})
		})
	}
}

func TestCall_ReturnsCodeMessageAndDetails(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "no9"})
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.ErrorIs(t, err, NotFound)
				assert.NotErrorIs(t, err, Internal)
				assert.Equal(t, "not_found: unknown item: no9", err.Error())
				assert.Equal(t, map[string]string{"item": "no9"}, e.Details)
				assert.True(t, e.Remote())
				assert.False(t, NeverRan(err))
			})
		})
	}
}

func TestCall_ErrorsStayErrorsOnTheWire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "empty"})
		assert.EqualError(t, err, "unknown: unknown error", "an error without a text is an error")
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "plain"})
		assert.EqualError(t, err, "unknown: the shelf is on fire", "a newline would forge lines in a log")
	})
}

func TestCall_LocalErrorsAreToldFromRemoteOnes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		err := client.Call(t.Context(), checkStock.Name(), func() {}, nil)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, InvalidArgument, e.Code)
		assert.False(t, e.Remote())
		assert.True(t, NeverRan(err))
		assert.ErrorContains(t, err, "rpc: invalid_argument: encode params")
	})
}

func TestCall_ManyInFlightGetTheirOwnReplies(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			noLeaks(t)
			srv := newInventory().server(t, WithCodecs(Gob))
			client := dial(t, listen(t, srv), WithCodec(codec))
			var wg sync.WaitGroup
			for g := range 64 {
				wg.Go(func() {
					for i := range 50 {
						item := fmt.Sprintf("item%d-%d", g, i)
						reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: item})
						if assert.NoError(t, err) {
							assert.Equal(t, item, reply.Item)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestCall_SlowCallDoesNotHoldUpOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		slow := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		select {
		case <-slow.Done():
			t.Error("the held call has ended")
		default:
		}
		close(inv.hold)
		assert.NoError(t, slow.Wait())
	})
}

func TestCall_DeadlineTravels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.ended = make(chan error, 1)
		var left time.Duration
		inv.saw = func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			left = time.Until(deadline)
		}
		srv := inv.server(t)
		client := pipe(t, srv)
		begun := time.Now()
		_, err := checkStock.Call(timeout(t, 1500*time.Millisecond), client, &stockRequest{Item: "held"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, DeadlineExceeded)
		assert.Equal(t, 1500*time.Millisecond, time.Since(begun))
		assert.Equal(t, context.DeadlineExceeded, <-inv.ended)
		assert.Equal(t, 1500*time.Millisecond, left)
	})
}

func TestCall_CancelReachesTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.ended = make(chan error, 1)
		inv.started = make(chan string, 1)
		srv := inv.server(t)
		client := pipe(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		call := client.Go(ctx, checkStock.Name(), stockRequest{Item: "held"}, nil)
		<-inv.started
		cancel()
		err := call.Wait()
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, Canceled)
		assert.NotErrorIs(t, err, Internal)
		assert.Equal(t, context.Canceled, <-inv.ended)
	})
}

func TestCall_LessThanAMillisecondLeftFailsHere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		_, err := checkStock.Call(timeout(t, 999*time.Microsecond), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.True(t, NeverRan(err))
		assert.Zero(t, inv.runs("item1"))
	})
}

func TestCall_DefaultTimeoutAppliesWithoutADeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv, WithDefaultTimeout(time.Second))
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "held"})
		assert.ErrorIs(t, err, DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begun))
		synctest.Wait()
	})
}

func TestCall_HandlerTimeoutOfTheServerApplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithHandlerTimeout(time.Second))
		client := pipe(t, srv)
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "held"})
		assert.EqualError(t, err, "deadline_exceeded: context deadline exceeded")
		assert.Equal(t, time.Second, time.Since(begun))
	})
}

// thriftpy2 #130, baseplate.go #668: a late reply was given to the next caller.
func TestCall_LateReplyIsNotGivenToTheNextCaller(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				var late stockReply
				err := client.Call(timeout(t, time.Second), checkStock.Name(), stockRequest{Item: "deaf"}, &late)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				next := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
				synctest.Wait()
				close(inv.hold) // both handlers return now
				require.NoError(t, next.Wait())
				reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				assert.Equal(t, "item1", reply.Item)
				assert.Zero(t, late, "memory that its caller has taken back")
			})
		})
	}
}

// 7days-golang #85: a goroutine leaked on every timeout. The bubble would not end.
func TestCall_TimeoutsLeaveNoGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for range 100 {
			_, err := checkStock.Call(timeout(t, time.Millisecond), client, &stockRequest{Item: "held"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		client.Close()
		srv.Close()
	})
}

// The race detector is what fails this test.
func TestCall_ReplyIsNotTouchedAfterReturn(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			noLeaks(t)
			srv := newInventory().server(t, WithCodecs(Gob))
			client := dial(t, listen(t, srv), WithCodec(codec))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					var reply stockReply
					for i := range 100 {
						ctx, cancel := context.WithCancel(t.Context())
						if i%2 == 0 {
							go cancel() // races with the reply
						}
						err := client.Call(ctx, checkStock.Name(), stockRequest{Item: "item1"}, &reply)
						reply.Item = "mine again"
						if err != nil {
							assert.ErrorIs(t, err, context.Canceled)
						}
						cancel()
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestGo_EncodesParamsBeforeItReturns(t *testing.T) {
	for _, codec := range codecs() {
		for name, opts := range map[string][]ClientOption{
			"plain":        nil,
			"interceptors": {WithClientInterceptors(func(next Caller) Caller { return next })},
		} {
			t.Run(codec.Name()+"/"+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv := newInventory().server(t, WithCodecs(Gob))
					client := pipe(t, srv, append(opts, WithCodec(codec))...)
					req := &stockRequest{Item: "item1"}
					var reply stockReply
					call := client.Go(t.Context(), checkStock.Name(), req, &reply)
					req.Item = "changed"
					require.NoError(t, call.Wait())
					assert.Equal(t, "item1", reply.Item)
				})
			})
		}
	}
}

func TestCall_ParamsAndRepliesMayBeAbsent(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newServer(t, WithCodecs(Gob))
				var beats int
				require.NoError(t, srv.RegisterFunc("Heart.Beat", func(context.Context) error { beats++; return nil }))
				require.NoError(t, srv.RegisterFunc("Heart.Rate", func() int { return 60 }))
				client := pipe(t, srv, WithCodec(codec))
				require.NoError(t, client.Call(t.Context(), "Heart.Beat", nil, nil))
				require.NoError(t, client.Call(t.Context(), "Heart.Beat", "unwanted", nil))
				rate := 0
				require.NoError(t, client.Call(t.Context(), "Heart.Rate", nil, &rate))
				require.NoError(t, client.Call(t.Context(), "Heart.Rate", nil, nil), "a reply that nobody wants")
				assert.Equal(t, 2, beats)
				assert.Equal(t, 60, rate)
			})
		})
	}
}

func TestCall_UserMarshalersMayPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, srv.RegisterFunc("Bad.Params", func(explosive) error { return nil }))
		require.NoError(t, srv.RegisterFunc("Bad.Reply", func() explosive { return explosive{} }))
		client := pipe(t, srv)
		assert.ErrorIs(t, client.Call(t.Context(), "Bad.Params", explosive{}, nil), InvalidArgument)
		assert.ErrorIs(t, client.Call(t.Context(), "Bad.Params", "x", nil), InvalidArgument)
		assert.ErrorIs(t, client.Call(t.Context(), "Bad.Reply", nil, nil), Internal)
		var reply explosive
		assert.ErrorIs(t, client.Call(t.Context(), checkStock.Name(), stockRequest{}, &reply), Internal)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err, "the connection goes on")
	})
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("marshal") }
func (*explosive) UnmarshalJSON([]byte) error  { panic("unmarshal") }
func (explosive) GobEncode() ([]byte, error)   { panic("encode") }
func (*explosive) GobDecode([]byte) error      { panic("decode") }

func TestCall_MetadataPeerAndIdentityReachTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.saw = func(ctx context.Context) {
			peer, ok := PeerFrom(ctx)
			assert.True(t, ok)
			assert.Equal(t, "json", peer.Codec)
			assert.Equal(t, Metadata{"app": "test"}, peer.Metadata)
			assert.Equal(t, Metadata{"trace": "1", "user": "ann"}, MetadataFrom(ctx))
			assert.Equal(t, "ann", IdentityFrom(ctx).Name)
			assert.Equal(t, "Inventory.CheckStock", MethodFrom(ctx))
		}
		srv := inv.server(t, WithAuthorize(func(ctx context.Context, method string) (Identity, error) {
			if method != "Inventory.CheckStock" {
				return Identity{}, Errorf(PermissionDenied, "not that one")
			}
			return Identity{Name: MetadataFrom(ctx)["user"]}, nil
		}))
		defer srv.Close()
		client := pipe(t, srv, WithHelloMetadata(Metadata{"app": "test"}))
		ctx := AddMetadata(AddMetadata(t.Context(), Metadata{"trace": "1"}), Metadata{"user": "ann"})
		_, err := checkStock.Call(ctx, client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, 1, inv.runs("item1"))
	})
}

func TestCall_MetadataWithControlCharactersIsRefusedHere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for _, md := range []Metadata{{"k": "a\nb"}, {"k": "\xff"}, {"": "v"}, {"Key": "v"}, {"a b": "v"}} {
			_, err := checkStock.Call(AddMetadata(t.Context(), md), client, &stockRequest{Item: "item1"})
			assert.ErrorIs(t, err, InvalidArgument, "%q", md)
			assert.True(t, NeverRan(err))
		}
	})
}

func TestInterceptors_RunInOrderOnBothSides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var order []string
		onServer := func(name string) ServerInterceptor {
			return func(info MethodInfo, next Handler) Handler {
				order = append(order, "made "+name+" for "+info.Name)
				return func(ctx context.Context, params any) (any, error) {
					order = append(order, name+" "+params.(*stockRequest).Item)
					return next(ctx, params)
				}
			}
		}
		onClient := func(name string) ClientInterceptor {
			return func(next Caller) Caller {
				return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
					order = append(order, name)
					return next.Call(ctx, method, params, reply)
				})
			}
		}
		srv := newInventory().server(t, WithServerInterceptors(onServer("s1"), onServer("s2")))
		client := pipe(t, srv, WithClientInterceptors(onClient("c1"), onClient("c2")))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, []string{
			"made s2 for Inventory.CheckStock", "made s1 for Inventory.CheckStock",
			"c1", "c2", "s1 item1", "s2 item1",
		}, order)
	})
}

func TestErrors_MatchByCodeAndContext(t *testing.T) {
	for _, c := range []struct {
		err  error
		code Code
		is   error
	}{
		{Errorf(NotFound, "x"), NotFound, NotFound},
		{fmt.Errorf("wrapped: %w", Errorf(Aborted, "x")), Aborted, Aborted},
		{NotFound, NotFound, NotFound},
		{context.Canceled, Canceled, context.Canceled},
		{Errorf(Canceled, "x"), Canceled, context.Canceled},
		{Errorf(DeadlineExceeded, "x"), DeadlineExceeded, context.DeadlineExceeded},
		{errors.New("x"), Unknown, nil},
		{nil, OK, nil},
	} {
		assert.Equal(t, c.code, CodeOf(c.err))
		if c.is != nil {
			assert.ErrorIs(t, c.err, c.is)
		}
	}
	assert.Equal(t, 5, int(NotFound), "gRPC's number")
	assert.Equal(t, 16, int(Unauthenticated), "gRPC's number")
	assert.Equal(t, "failed_precondition", FailedPrecondition.String())
	assert.Equal(t, "code(99)", Code(99).String())
}
