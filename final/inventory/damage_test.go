package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// contents are what an inventory says of itself.
func contents(t *testing.T, inv *Inventory) (all []string) {
	t.Helper()
	list, err := inv.List(t.Context(), &ListRequest{})
	require.NoError(t, err)
	for _, item := range list.Items {
		all = append(all, fmt.Sprintf("%+v", item))
	}
	require.NoError(t, inv.Reservations(func(r Reservation) error {
		text, err := json.Marshal(r)
		all = append(all, r.Order+": "+string(text))
		return err
	}))
	return all
}

// makeShop makes a database with some hundreds of records, on some dozens of pages of
// all kinds, and returns its bytes.
func makeShop(t *testing.T) (file []byte, want []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.db")
	stock := map[string]int{}
	for i := range 40 {
		stock[fmt.Sprint("item", i)] = 100 + i
	}
	inv, err := Open(path, stock)
	require.NoError(t, err)
	for i := range 300 {
		order, item := fmt.Sprint("order-", i), fmt.Sprint("item", i%40)
		switch line := (Line{Item: item, Quantity: 1 + i%3}); i % 5 {
		case 3:
			_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: order, Lines: []Line{{item, 1000}}})
			require.Error(t, err)
		case 4:
			mustReserve(t, inv, order, line)
			_, err := inv.Release(t.Context(), &ReleaseRequest{Order: order})
			require.NoError(t, err)
		default:
			mustReserve(t, inv, order, line)
		}
	}
	want = contents(t, inv)
	require.NoError(t, inv.Close())
	file, err = os.ReadFile(path)
	require.NoError(t, err)
	return file, want
}

// A damaged file is refused and left alone, or the damage is where nothing is.
func TestOpen_RandomDamage(t *testing.T) {
	file, want := makeShop(t)
	page := os.Getpagesize()
	kinds := []func(r *rand.Rand, b []byte){
		func(r *rand.Rand, b []byte) { b[r.IntN(len(b))] ^= 1 << r.IntN(8) },                      // a bit
		func(r *rand.Rand, b []byte) { b[r.IntN(len(b))] = byte(r.Uint32()) },                     // a byte
		func(r *rand.Rand, b []byte) { clear(b[r.IntN(len(b)/page)*page:][:page]) },               // a page of zeros
		func(r *rand.Rand, b []byte) { i := r.IntN(len(b) - 512); clear(b[i : i+512]) },           // a sector's length
		func(r *rand.Rand, b []byte) { b[r.IntN(len(b)/page)*page+r.IntN(16)] ^= 1 << r.IntN(8) }, // a head of a page
		func(r *rand.Rand, b []byte) { b[r.IntN(len(b)/page)*page+16+r.IntN(256)] ^= 1 << r.IntN(8) },
		func(r *rand.Rand, b []byte) { // a digit
			for i := r.IntN(len(b)); ; i = r.IntN(len(b)) {
				if '0' <= b[i] && b[i] <= '9' {
					b[i] = '0' + (b[i]-'0'+1)%10
					return
				}
			}
		},
		func(r *rand.Rand, b []byte) { // one page in another's place
			to, from := r.IntN(len(b)/page)*page, r.IntN(len(b)/page)*page
			copy(b[to:to+page], bytes.Clone(b[from:from+page]))
		},
	}
	path := filepath.Join(t.TempDir(), "shop.db")
	refused := 0
	const seeds = 160
	for seed := range seeds {
		damaged := bytes.Clone(file)
		kinds[seed%len(kinds)](rand.New(rand.NewPCG(1, uint64(seed))), damaged)
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		inv, err := Open(path, map[string]int{"item1": 5})
		if err == nil {
			assert.Equal(t, want, contents(t, inv), "seed %d", seed)
			mustReserve(t, inv, "one more", Line{"item1", 1})
			require.NoError(t, inv.Close(), "seed %d", seed)
			continue
		}
		refused++
		assert.Regexp(t, "^open .*: ", err.Error())
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(damaged, after), "seed %d: the file must be left as it is", seed)
	}
	t.Logf("%d of %d refused; in the others nothing had changed that counts", refused, seeds)
	assert.Greater(t, refused, seeds/4)
}

// Records of the version before have no checksum.
func TestOpen_ReadsRecordsWithoutAChecksum(t *testing.T) {
	var r Reservation
	require.NoError(t, decode("a", []byte(`{"state":"held","lines":[{"item":"pen","quantity":2}]}`), &r))
	assert.Equal(t, Held, r.State)
	assert.ErrorContains(t, decode("a", []byte(`{"state":"held","crc32c":1}`), &r), `record "a" is damaged: it is not what was written`)
}
