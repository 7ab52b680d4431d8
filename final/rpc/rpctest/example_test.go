package rpctest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

type CheckStockRequest struct{ Item string }
type CheckStockReply struct{ Count int }

var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")

// label is code to be tested: it makes a call.
func label(ctx context.Context, inventory rpc.Caller, item string) (string, error) {
	stock, err := CheckStock.Call(ctx, inventory, &CheckStockRequest{Item: item})
	if errors.Is(err, rpc.NotFound) {
		return "not sold here", nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d left", stock.Count), nil
}

// In these examples, t is the parameter of the test that they stand for.
// TestExamples runs them.
var t *testing.T

func TestExamples(parent *testing.T) {
	for name, example := range map[string]func(){"Fake": ExampleFake, "NewClient": ExampleNewClient, "StubServerStream": ExampleStubServerStream} {
		parent.Run(name, func(test *testing.T) {
			t = test
			example()
		})
	}
}

func ExampleFake() {
	inventory := rpctest.NewFake(t)
	rpctest.Stub(inventory, CheckStock, func(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
		if req.Item != "item1" {
			return nil, rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		}
		return &CheckStockReply{Count: 7}, nil
	})

	text, err := label(t.Context(), inventory, "item1")
	require.NoError(t, err)
	assert.Equal(t, "7 left", text)

	text, err = label(t.Context(), inventory, "item2")
	require.NoError(t, err)
	assert.Equal(t, "not sold here", text)

	assert.Equal(t, &CheckStockRequest{Item: "item2"}, inventory.Calls()[1].Params)
}

type Change struct{ Count int }

var Watch = rpc.ServerStream[CheckStockRequest, Change]("Inventory.Watch")

// soldOut is code to be tested: it waits until an item is sold out.
func soldOut(ctx context.Context, inventory rpc.Caller, item string) (changes int, err error) {
	stock, err := Watch.Open(ctx, inventory, &CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	for change, err := range stock.All() {
		if err != nil {
			return changes, err
		}
		if changes++; change.Count == 0 {
			break // it ends the stream
		}
	}
	return changes, nil
}

func ExampleStubServerStream() {
	inventory := rpctest.NewFake(t)
	rpctest.StubServerStream(inventory, Watch, func(ctx context.Context, req *CheckStockRequest, out *rpc.Sender[Change]) error {
		for count := 2; ; count-- {
			if err := out.Send(ctx, &Change{Count: count}); err != nil {
				return err // the caller has left
			}
		}
	})

	changes, err := soldOut(t.Context(), inventory, "item1")
	require.NoError(t, err)
	assert.Equal(t, 3, changes)
	assert.Equal(t, rpc.ServerStreaming, inventory.Calls()[0].Kind)
}

// A handler that hangs, and a client with a deadline of an hour: in a bubble the
// clock jumps, and the test takes no time.
func ExampleNewClient() {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		err := CheckStock.Handle(srv, func(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		require.NoError(t, err)
		client := rpctest.NewClient(t, srv, rpc.WithDefaultTimeout(time.Hour))

		begun := time.Now()
		_, err = label(t.Context(), client, "item1")
		assert.ErrorIs(t, err, rpc.DeadlineExceeded)
		assert.Equal(t, time.Hour, time.Since(begun))
	})
}

func ExampleNetwork() {
	var mem rpctest.Network
	for _, addr := range []string{"a", "b"} {
		srv := rpc.NewServer()
		defer srv.Close()
		err := CheckStock.Handle(srv, func(context.Context, *CheckStockRequest) (*CheckStockReply, error) {
			return &CheckStockReply{Count: 7}, nil
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		ln, err := mem.Listen(addr)
		if err != nil {
			fmt.Println(err)
			return
		}
		go srv.Serve(ln)
	}
	pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, rpc.WithDialer(mem.Dial))
	defer pool.Close()
	fmt.Println(label(context.Background(), pool, "item1"))
	// Output: 7 left <nil>
}
