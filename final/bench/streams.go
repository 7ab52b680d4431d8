package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

// A streamer is the client of a peer that has streams.
type streamer interface {
	client

	// Watch opens a stream of req.Count items, numbered from 0, whose bodies are payload(req.Size). It ends with ctx.
	Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error)

	// Talk opens a stream on which the server sends back each item. It ends with ctx.
	Talk(ctx context.Context) (talk, error)
}

// Items are what a client receives: the next one, or io.EOF after the last.
type items interface {
	Recv() (*shoppb.StreamItem, error)
}

// A talk goes both ways.
type talk interface {
	items
	Send(item *shoppb.StreamItem) error
}

// A streamKind says what a workload's callers have instead of calls.
type streamKind int

const (
	noStream streamKind = iota
	watching            // one stream each, and receive what the server sends
	talking             // one stream each, and have one item at a time sent back
)

// handlers are the streams' handlers that run. A round ends when all have returned: what a server
// still sent would be at the next peer's cost.
var handlers sync.WaitGroup

// sendItems is the handlers' whole work of Watch. No peer keeps an item after Send, so one does for all.
func sendItems(req *shoppb.WatchRequest, send func(*shoppb.StreamItem) error) error {
	handlers.Add(1)
	defer handlers.Done()
	item := &shoppb.StreamItem{Body: payload(int(req.Size))}
	for ; item.Number < req.Count; item.Number++ {
		if err := send(item); err != nil {
			return err
		}
	}
	return nil
}

// sendBack is the handlers' whole work of Talk.
func sendBack(on talk) error {
	handlers.Add(1)
	defer handlers.Done()
	for {
		item, err := on.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := on.Send(item); err != nil {
			return err
		}
	}
}

// streamCall opens the caller's stream at its first call. Each call is then of w.messages items.
func streamCall(c streamer, w workload) call {
	if w.stream == talking {
		return talkCall(c, payload(w.body))
	}
	var in items
	want := &shoppb.StreamItem{Body: payload(w.body)}
	return func(ctx context.Context) (err error) {
		if in == nil {
			if in, err = c.Watch(ctx, &shoppb.WatchRequest{Count: math.MaxInt64, Size: int64(w.body)}); err != nil {
				return err
			}
		}
		for range w.messages {
			got, err := in.Recv()
			if err == nil {
				err = checkItem(got, want)
			}
			if err != nil {
				return err
			}
			want.Number++
		}
		return nil
	}
}

func talkCall(c streamer, body []byte) call {
	var on talk
	item := &shoppb.StreamItem{Body: body}
	return func(ctx context.Context) (err error) {
		if on == nil {
			if on, err = c.Talk(ctx); err != nil {
				return err
			}
		}
		defer func() { item.Number++ }()
		return sendAndReceive(on, item)
	}
}

func sendAndReceive(on talk, item *shoppb.StreamItem) error {
	if err := on.Send(item); err != nil {
		return err
	}
	got, err := on.Recv()
	if err != nil {
		return err
	}
	return checkItem(got, item)
}

// checkItem compares the number, and of the body the length and the ends: the peers' tests compare whole bodies.
func checkItem(got, want *shoppb.StreamItem) error {
	n := len(want.Body)
	if got.Number != want.Number {
		return fmt.Errorf("item %d: %w", got.Number, errWrongReply)
	}
	if len(got.Body) != n || got.Body[0] != want.Body[0] || got.Body[n-1] != want.Body[n-1] {
		return errWrongReply
	}
	return nil
}
