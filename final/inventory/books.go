package inventory

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The buckets of the database. Values are JSON, so that any bolt tool shows them.
var (
	formatBucket       = []byte("rpc-from-scratch inventory 1") // empty: says what this file is
	stockBucket        = []byte("stock")                        // item id → level
	reservationsBucket = []byte("reservations")                 // order id → Reservation
)

// A level is how much there is of one item. The sum never changes.
type level struct {
	Left     int `json:"left"`
	Reserved int `json:"reserved"`
}

// create makes the buckets of a new database, unless another process that waited
// for the same file was first.
func create(tx *bolt.Tx, stock map[string]int) error {
	if tx.Bucket(formatBucket) != nil {
		return nil
	}
	for _, name := range [][]byte{formatBucket, stockBucket, reservationsBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	b := newBooks(tx)
	for item, quantity := range stock {
		if err := b.setLevel(item, level{Left: quantity}); err != nil {
			return err
		}
	}
	return nil
}

// books are the stock and the reservations as one transaction sees them.
type books struct {
	stock        *bolt.Bucket
	reservations *bolt.Bucket
}

func newBooks(tx *bolt.Tx) *books {
	return &books{tx.Bucket(stockBucket), tx.Bucket(reservationsBucket)}
}

func (b *books) level(item string) (level, bool, error) { return get[level](b.stock, item) }

func (b *books) setLevel(item string, l level) error { return put(b.stock, item, l) }

func (b *books) reservation(order string) (*Reservation, bool, error) {
	r, ok, err := get[Reservation](b.reservations, order)
	r.Order = order // the key counts, not what JSON has made of it in the record
	return &r, ok, err
}

func (b *books) setReservation(r *Reservation) error { return put(b.reservations, r.Order, r) }

// move takes the units of lines from what is left to what is reserved; sign -1
// takes them back.
func (b *books) move(lines []Line, sign int) error {
	for _, line := range lines {
		l, _, err := b.level(line.Item)
		if err != nil {
			return err
		}
		l.Left -= sign * line.Quantity
		l.Reserved += sign * line.Quantity
		if l.Left < 0 || l.Reserved < 0 {
			return fmt.Errorf("of %s, %d would be left and %d reserved: the books do not balance", line.Item, l.Left, l.Reserved)
		}
		if err := b.setLevel(line.Item, l); err != nil {
			return err
		}
	}
	return nil
}

func get[T any](b *bolt.Bucket, key string) (v T, ok bool, err error) {
	data := b.Get([]byte(key))
	if data == nil {
		return v, false, nil
	}
	return v, true, decode(key, data, &v)
}

func decode(key string, data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("record %q is damaged: %w", key, err)
	}
	return nil
}

func put(b *bolt.Bucket, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), data)
}
