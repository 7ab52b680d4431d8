package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// A board shows how much there is of each item. It does not ask: the inventory tells it,
// in a stream. Its methods may be called concurrently.
type board struct {
	caller rpc.Caller // of the inventory
	news   chan struct{}

	mu     sync.Mutex
	items  map[string]inventory.Item // as last told
	seen   boardSeen
	failed error // what the last stream ended with
}

// boardSeen is what a board was told.
type boardSeen struct {
	levels  int // of any item
	streams int // that told it one
}

func newBoard(caller rpc.Caller) *board {
	return &board{caller: caller, news: make(chan struct{}, 1), items: map[string]inventory.Item{}}
}

// follow keeps the board up to date until ctx ends. A stream ends with its server. The
// next one begins with all items as they are then, so the board has missed nothing.
func (b *board) follow(ctx context.Context) {
	for {
		err := b.watch(ctx)
		b.mu.Lock()
		b.failed = err
		b.mu.Unlock()
		if !pause(ctx, 10*time.Millisecond) {
			return
		}
	}
}

func (b *board) watch(ctx context.Context) error {
	stream, err := inventory.Watch.Open(ctx, b.caller, &inventory.WatchRequest{})
	if err != nil {
		return err
	}
	defer stream.Close()
	first := true
	for item, err := range stream.All() {
		if err != nil {
			return err
		}
		b.show(*item, first)
		first = false
	}
	return nil
}

func (b *board) show(item inventory.Item, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items[item.ID] = item
	b.seen.levels++
	if first {
		b.seen.streams++
	}
	select {
	case b.news <- struct{}{}:
	default:
	}
}

func (b *board) saw() boardSeen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen
}

// showsWithin bounds how long a board may be behind.
const showsWithin = 30 * time.Second

// settle waits until the board shows what the inventory lists. Nothing may be ordered
// meanwhile. One goroutine at a time may call it.
func (b *board) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, showsWithin)
	defer cancel()
	list, err := inventory.List.Call(ctx, b.caller, &inventory.ListRequest{})
	if err != nil {
		return err
	}
	for {
		differs := b.compare(list.Items)
		if differs == nil {
			return nil
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			b.mu.Lock()
			defer b.mu.Unlock()
			return errors.Join(context.Cause(ctx), differs, b.failed)
		}
	}
}

// compare returns how the board differs from a stock, if it does.
func (b *board) compare(stock []inventory.Item) error {
	want := map[string]inventory.Item{}
	for _, item := range stock {
		want[item.ID] = item
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !maps.Equal(want, b.items) {
		return fmt.Errorf("the board shows %v, the inventory has %v", b.items, want)
	}
	return nil
}
