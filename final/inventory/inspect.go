package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

var (
	errForeign = errors.New("this is a database of something else")
	errNoBolt  = errors.New("this is not a database")
)

// inspect looks at the file before anything may write to it. fresh means that
// there is no database yet: no file, an empty one, or one in which the first
// start came no further. Otherwise the whole file is read: damage, and reservations
// that do not add up, are found here and not by a customer.
func inspect(path string, wait time.Duration) (fresh bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, errors.Unwrap(err) // without the path, which Open says
	case !info.Mode().IsRegular():
		return false, errors.New("this is not a file")
	case info.Size() == 0:
		return true, nil
	}
	err = guard(func() (err error) {
		fresh, err = read(path, wait)
		return err
	})
	return fresh, err
}

// read is inspect for a file that is there.
func read(path string, wait time.Duration) (fresh bool, err error) {
	db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true, Timeout: wait})
	if err != nil {
		return false, openError(err)
	}
	defer db.Close() // until then no other process writes
	if err := checkFile(path); err != nil {
		return false, err
	}
	err = db.View(func(tx *bolt.Tx) (damage error) {
		if first, _ := tx.Cursor().First(); first == nil {
			fresh = true
			return nil
		}
		for err := range tx.Check() {
			damage = cmp.Or(damage, err) // all have to be taken
		}
		if damage != nil {
			return fmt.Errorf("the database is damaged: %w", damage)
		}
		if tx.Bucket(formatBucket) == nil || tx.Bucket(stockBucket) == nil || tx.Bucket(reservationsBucket) == nil {
			return errForeign
		}
		return newBooks(tx).audit()
	})
	return fresh, err
}

// checkFile looks at the pages of the file.
func checkFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	err = checkPages(file, info.Size())
	if err == nil || errors.Is(err, errCutOff) {
		return err
	}
	return fmt.Errorf("the database is damaged: %w", err)
}

// openError says what bolt's errors about a file mean.
func openError(err error) error {
	var path *fs.PathError
	switch {
	case err == nil || errors.Is(err, berrors.ErrTimeout):
		return err
	case errors.As(err, &path):
		return path.Err
	}
	return fmt.Errorf("%w: %w", errNoBolt, err)
}

// audit checks that each record is one that Reserve or Release has written, and that,
// for each item, the orders that hold units hold as many as the stock says are
// reserved.
func (b *books) audit() error {
	held := map[string]int{}
	err := b.eachReservation(func(r Reservation) error {
		if !r.isWhole() {
			return fmt.Errorf("the database is damaged: order %q is %q, without what belongs to that", r.Order, r.State)
		}
		for _, line := range r.Lines {
			if r.State == Held {
				held[line.Item] += line.Quantity
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = b.eachLevel(func(item string, l level) error {
		if l.Left < 0 || l.Reserved != held[item] {
			return fmt.Errorf("the database is damaged: of %s, %d are left, %d reserved, and orders hold %d",
				item, l.Left, l.Reserved, held[item])
		}
		delete(held, item)
		return nil
	})
	if err == nil && len(held) > 0 {
		item := slices.Min(slices.Collect(maps.Keys(held)))
		err = fmt.Errorf("the database is damaged: orders hold %d of %q, which is not in the stock", held[item], item)
	}
	return err
}

// isWhole reports whether a record has what later requests for its order need.
func (r *Reservation) isWhole() bool {
	switch r.State {
	case Held:
		return len(r.Lines) > 0
	case Refused:
		return r.Shortage != nil
	}
	return r.State == Released
}

// guard turns what bolt does on a damaged file into an error: it panics, or
// follows a page number to an address where nothing is.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database is damaged: %v", p)
		}
	}()
	return fn()
}
