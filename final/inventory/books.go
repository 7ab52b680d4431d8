package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"

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
	changed      []string // the items whose level this transaction has set
}

func newBooks(tx *bolt.Tx) *books {
	return &books{stock: tx.Bucket(stockBucket), reservations: tx.Bucket(reservationsBucket)}
}

func (b *books) level(item string) (level, bool, error) { return get[level](b.stock, item) }

func (b *books) setLevel(item string, l level) error {
	b.changed = append(b.changed, item)
	return put(b.stock, item, l)
}

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

// A record is JSON, and its last member is a checksum of its key and of what stands
// before: a digit that the disk has lost is no number of ours.
const sumName = `,"crc32c":`

var sumTable = crc32.MakeTable(crc32.Castagnoli)

func sumOf(key string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), sumTable), sumTable, body)
}

// decode reads a record. Those of earlier versions have no checksum.
func decode(key string, data []byte, v any) error {
	if at := bytes.LastIndex(data, []byte(sumName)); at >= 0 {
		sum := strconv.FormatUint(uint64(sumOf(key, data[:at])), 10) + "}"
		if string(data[at+len(sumName):]) != sum {
			return fmt.Errorf("record %q is damaged: it is not what was written", key)
		}
	}
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
	data = bytes.TrimSuffix(data, []byte("}"))
	sum := sumOf(key, data)
	data = append(strconv.AppendUint(append(data, sumName...), uint64(sum), 10), '}')
	return b.Put([]byte(key), data)
}
