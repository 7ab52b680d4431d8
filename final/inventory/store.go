package inventory

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"example.com/rpc-from-scratch/final/internal/durable"
	"example.com/rpc-from-scratch/final/rpc"
)

// Inventory is the service Inventory over a database file. It may be used
// concurrently, and never reserves more than there is.
type Inventory struct {
	db       *bolt.DB
	firstTx  int          // the last transaction before ours
	repeated atomic.Int64 // requests for an order that was known
	watchers watchers
}

const (
	// lockWait is how long Open waits for another process to let go of the file.
	lockWait = time.Second
	// batchDelay is how long a reservation waits for others to be committed with:
	// about the time of an fsync, which they then share.
	batchDelay = time.Millisecond
)

// Open opens the database file, or makes it with that stock (units by item) if
// there is none or it is empty; otherwise the file's own stock counts. A nil stock
// makes nothing. A stock with a quantity below 0, or with an id that is empty, too
// long or not UTF-8, is an error in any case.
//
// A file that another process has open is an error after a second, and so is one
// that is damaged or something else; nothing is written to it then. Open reads the
// whole file: its pages, and each record with its checksum. What it cannot find is
// a whole file of an earlier time, such as an old copy.
//
// The file is mapped into memory. If another program makes it shorter while it is
// open, or the disk cannot be read, the system ends the process (SIGBUS): no code
// of ours can catch that. What was answered before is on the disk.
func Open(path string, stock map[string]int) (*Inventory, error) {
	inv, err := open(path, stock, lockWait, durable.SyncDir)
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open %s: another process has it open", path)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return inv, nil
}

// open waits so long for the file's lock, and writes the folder's entry of the file
// to the disk by sync.
func open(path string, stock map[string]int, wait time.Duration, sync func(dir string) error) (*Inventory, error) {
	if err := checkStock(stock); err != nil {
		return nil, err
	}
	fresh, err := inspect(path, wait)
	if err != nil {
		return nil, err
	}
	if fresh && stock == nil {
		return nil, errors.New("no such database")
	}
	var db *bolt.DB
	err = guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: wait})
		return openError(err)
	})
	if err != nil {
		return nil, err
	}
	db.MaxBatchDelay = batchDelay
	if fresh {
		err = db.Update(func(tx *bolt.Tx) error { return create(tx, stock) })
	}
	inv := &Inventory{db: db}
	if err == nil {
		err = syncFolder(path, sync)
	}
	if err == nil {
		inv.firstTx, err = inv.lastTx()
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return inv, nil
}

// syncFolder writes the folder's entry of the file to the disk, by sync. The folder
// is that of the file itself, where path is a link to it.
func syncFolder(path string, sync func(dir string) error) error {
	if file, err := filepath.EvalSymlinks(path); err == nil { // it fails on some of Windows' volumes
		path = file
	}
	return sync(filepath.Dir(path))
}

// Close waits for running calls and closes the database. Calls fail from then on.
func (inv *Inventory) Close() error { return inv.db.Close() }

// Counts says what an Inventory has done since Open.
type Counts struct {
	Repeated int // requests for an order that was known already
	Commits  int // writes to the disk, shared by requests that arrived together
}

// Counts returns the counts so far, and after Close an error.
func (inv *Inventory) Counts() (Counts, error) {
	last, err := inv.lastTx()
	return Counts{Repeated: int(inv.repeated.Load()), Commits: last - inv.firstTx}, err
}

// lastTx returns the number of the last transaction that has written.
func (inv *Inventory) lastTx() (id int, err error) {
	err = inv.db.View(func(tx *bolt.Tx) error {
		id = tx.ID()
		return nil
	})
	return id, err
}

// change runs fn in a transaction that is on the disk when change returns. Calls
// that come at about the same time share one. answer is what fn decided: an
// answer for the caller, not a failure, so what fn has written is kept.
//
// fn may be run again if the transaction of another caller fails in it.
func (inv *Inventory) change(ctx context.Context, fn func(*books) (answer, err error)) error {
	if err := ctx.Err(); err != nil {
		return err // the caller has left
	}
	var answer error
	var changed []string
	err := inv.db.Batch(func(tx *bolt.Tx) (err error) {
		b := newBooks(tx)
		answer, err = fn(b)
		changed = b.changed
		return err
	})
	if err != nil {
		return broken(err)
	}
	inv.watchers.tell(changed)
	return answer
}

// view runs fn in a transaction that sees one moment and changes nothing.
func (inv *Inventory) view(fn func(*books) error) error {
	err := inv.db.View(func(tx *bolt.Tx) error { return fn(newBooks(tx)) })
	var coded *rpc.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	return broken(err)
}

// broken is what callers get when the database fails.
func broken(err error) error {
	return rpc.Errorf(rpc.Internal, "inventory database: %w", err)
}
