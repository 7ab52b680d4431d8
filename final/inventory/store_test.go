package inventory

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"example.com/rpc-from-scratch/final/internal/durable"
	"example.com/rpc-from-scratch/final/rpc"
)

func TestOpen_FindsWhatWasAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	inv := openFile(t, path, map[string]int{"item1": 5})
	mustReserve(t, inv, "a", Line{"item1", 2})
	_, refused := inv.Reserve(t.Context(), &ReserveRequest{Order: "b", Lines: []Line{{"item1", 4}}})

	// A copy of the file, made while it is open, is what a crash leaves behind.
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	after := filepath.Join(t.TempDir(), "after.db")
	require.NoError(t, os.WriteFile(after, data, 0o600))

	inv = openFile(t, after, map[string]int{"item1": 1000})
	assert.Equal(t, []Item{{"item1", 3, 2}}, list(t, inv), "the stock is that of the first start")
	mustReserve(t, inv, "a", Line{"item1", 2})
	_, err = inv.Reserve(t.Context(), &ReserveRequest{Order: "b", Lines: []Line{{"item1", 4}}})
	assert.Equal(t, refused, err)
	assert.Equal(t, 3, left(t, inv, "item1"))
}

func TestOpen_WaitsForTheLockAndSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	openFile(t, path, map[string]int{"item1": 5})
	_, err := open(path, nil, time.Millisecond, durable.SyncDir)
	assert.ErrorContains(t, err, "timeout")
	_, err = Open(path, nil)
	assert.EqualError(t, err, "open "+path+": another process has it open")
}

func TestOpen_TakesAnEmptyFileForANewOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	assert.Equal(t, 5, left(t, openFile(t, path, map[string]int{"item1": 5}), "item1"))
}

// A first start that was killed before the stock was in.
func TestOpen_TakesADatabaseWithNothingInItForANewOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	writeBolt(t, path, func(*bolt.Tx) error { return nil })
	assert.Equal(t, 5, left(t, openFile(t, path, map[string]int{"item1": 5}), "item1"))
}

func TestOpen_MakesNothingWithoutStock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	_, err := Open(path, nil)
	assert.EqualError(t, err, "open "+path+": no such database")
	assert.NoFileExists(t, path)
}

// writeBolt makes a database file, or changes one, behind the inventory's back.
func writeBolt(t *testing.T, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(fn))
	require.NoError(t, db.Close())
}

func TestOpen_LeavesABadFileAlone(t *testing.T) {
	change := func(t *testing.T, path string, fn func(*books) error) {
		writeBolt(t, path, func(tx *bolt.Tx) error { return fn(newBooks(tx)) })
	}
	for _, test := range []struct {
		name string
		harm func(t *testing.T, path string)
		text string
	}{
		{"text", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("my diary\n"), 0o600))
		}, "this is not a database"},
		{"much text", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("my diary\n"), 10_000), 0o600))
		}, "this is not a database"},
		{"a database of something else", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			writeBolt(t, path, func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket([]byte("diary"))
				return err
			})
		}, "this is a database of something else"},
		{"cut off", func(t *testing.T, path string) {
			require.NoError(t, os.Truncate(path, int64(2*os.Getpagesize()+1)))
		}, "the database is cut off"},
		{"overwritten in the middle", func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			info, err := f.Stat()
			require.NoError(t, err)
			junk := bytes.Repeat([]byte{0xff}, int(info.Size())-2*os.Getpagesize())
			_, err = f.WriteAt(junk, int64(2*os.Getpagesize()))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, "the database is damaged"},
		{"no elements, as in a new one", func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			for number := range len(data) / os.Getpagesize() {
				if page := data[number*os.Getpagesize():]; page[8] == leafPage {
					page[10], page[11] = 0, 0
				}
			}
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}, "the database is damaged"},
		{"a record that is no JSON", func(t *testing.T, path string) {
			change(t, path, func(b *books) error { return b.reservations.Put([]byte("a"), []byte("{")) })
		}, `record "a" is damaged`},
		{"units that nobody holds", func(t *testing.T, path string) {
			change(t, path, func(b *books) error { return b.setLevel("item1", level{Left: 2, Reserved: 3}) })
		}, "the database is damaged: of item1, 2 are left, 3 reserved, and orders hold 2"},
		{"an item that is gone", func(t *testing.T, path string) {
			change(t, path, func(b *books) error { return b.stock.Delete([]byte("item1")) })
		}, `the database is damaged: orders hold 2 of "item1", which is not in the stock`},
		{"a record without a state", func(t *testing.T, path string) {
			change(t, path, func(b *books) error { return b.reservations.Put([]byte("b"), []byte("{}")) })
		}, `the database is damaged: order "b" is "", without what belongs to that`},
		{"a refusal without a reason", func(t *testing.T, path string) {
			change(t, path, func(b *books) error { return b.setReservation(&Reservation{Order: "b", State: Refused}) })
		}, `the database is damaged: order "b" is "refused", without what belongs to that`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shop.db")
			inv, err := Open(path, map[string]int{"item1": 5})
			require.NoError(t, err)
			mustReserve(t, inv, "a", Line{"item1", 2})
			require.NoError(t, inv.Close())
			test.harm(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)

			_, err = Open(path, map[string]int{"item1": 5})
			assert.ErrorContains(t, err, "open "+path+": ")
			assert.ErrorContains(t, err, test.text)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(before, after), "the file must be left as it is")
		})
	}
}

func TestOpen_RefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir, map[string]int{"item1": 5})
	assert.EqualError(t, err, "open "+dir+": this is not a file")
	path := filepath.Join(dir, "nowhere", "shop.db")
	_, err = Open(path, map[string]int{"item1": 5})
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, 1, strings.Count(err.Error(), path), err)
}

func TestReservations_StopsAtAnError(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	mustReserve(t, inv, "a", Line{"item1", 2})
	mustReserve(t, inv, "b", Line{"item1", 1})
	var seen []string
	err := inv.Reservations(func(r Reservation) error {
		seen = append(seen, r.Order)
		return rpc.OutOfRange
	})
	assert.ErrorIs(t, err, rpc.OutOfRange)
	assert.Equal(t, []string{"a"}, seen)
}

// A new file is gone after a power loss if its folder was not written to the disk.
func TestOpen_WritesTheFoldersEntryToTheDisk(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	path := filepath.Join(dir, "shop.db")
	var synced []string
	for range 2 { // the first start may have ended between the file and its folder
		inv, err := open(path, map[string]int{"item1": 5}, lockWait, func(dir string) error {
			synced = append(synced, dir)
			assert.FileExists(t, path)
			return durable.SyncDir(dir)
		})
		require.NoError(t, err)
		require.NoError(t, inv.Close())
	}
	assert.Equal(t, []string{dir, dir}, synced)

	// A link may lead to another folder: its entry is the one that names the file.
	linked := filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(filepath.Join(dir, "behind.db"), linked))
	synced = nil
	inv, err := open(linked, map[string]int{"item1": 5}, lockWait, func(dir string) error {
		synced = append(synced, dir)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, inv.Close())
	assert.Equal(t, []string{dir}, synced)

	broken := errors.New("input/output error")
	_, err = open(path, nil, lockWait, func(string) error { return broken })
	assert.ErrorIs(t, err, broken)
	openFile(t, path, nil) // it was closed
}
