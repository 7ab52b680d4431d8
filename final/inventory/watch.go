package inventory

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// Watch sends the items that req names as they are now, and each again when it has
// changed, until the caller leaves. A caller that is slower than the changes gets the
// latest of each item, and not those between: what waits for it is bounded by the
// number of items. The same levels are not sent twice.
//
// The error's code is InvalidArgument, NotFound (no such item), or Unavailable when the
// server drains: watch again, another server has the items, or this one soon.
func (inv *Inventory) Watch(ctx context.Context, req *WatchRequest, out *rpc.Sender[Item]) error {
	items, err := inv.watched(req)
	if err != nil {
		return err
	}
	w := inv.watchers.add(items)
	defer inv.watchers.remove(w)
	sent := make(map[string]Item, len(items))
	for {
		for _, id := range w.take() {
			item, err := inv.item(id)
			if err != nil {
				return err
			}
			if last, ok := sent[id]; ok && last == item {
				continue
			}
			if err := out.Send(ctx, &item); err != nil {
				return err
			}
			sent[id] = item
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return ctx.Err()
		case <-rpc.DrainingFrom(ctx):
			return rpc.Errorf(rpc.Unavailable, "the server is about to end: watch again")
		}
	}
}

// watched returns the ids of the items that a request is about.
func (inv *Inventory) watched(req *WatchRequest) (items []string, err error) {
	if n := len(req.Items); n > MaxLines {
		return nil, rpc.Errorf(rpc.InvalidArgument, "watch at most %d items, not %d, or all", MaxLines, n)
	}
	for _, id := range req.Items {
		if err := checkItem(id); err != nil {
			return nil, err
		}
		if _, err := inv.item(id); err != nil {
			return nil, err
		}
	}
	if len(req.Items) > 0 {
		return req.Items, nil
	}
	err = inv.view(func(b *books) error {
		return b.eachLevel(func(id string, _ level) error {
			items = append(items, id)
			return nil
		})
	})
	return items, err
}

// item returns an item as it is now.
func (inv *Inventory) item(id string) (item Item, err error) {
	err = inv.view(func(b *books) error {
		l, ok, err := b.level(id)
		if err == nil && !ok {
			err = rpc.Errorf(rpc.NotFound, "unknown item: %s", id)
		}
		item = Item{ID: id, Left: l.Left, Reserved: l.Reserved}
		return err
	})
	return item, err
}
