package inventory

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"example.com/rpc-from-scratch/final/rpc"
)

// damaged are texts that one encoding keeps and another one changes, so that two
// of them may become one key.
var damaged = []string{"order-\xff", "\xfe", "a\xc3", "order-\ufffd", string([]byte{0xed, 0xa0, 0x80})}

// odd are texts that all encodings keep.
var odd = []string{"a\x00b", "\x00", "é", "e\u0301", "a\nb", "\u202e", `"`, "<&>", "\u2028", "\U0001f680", strings.Repeat("x", MaxID)}

func TestReserve_RefusesTextThatIsNotTheSameInEveryCodec(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 10})
	addr := serve(t, inv)
	for _, codec := range codecs {
		client := dial(t, addr, codec)
		for _, text := range damaged {
			lines := []Line{{"item1", 1}}
			for field, req := range map[string]*ReserveRequest{
				"order":    {Order: text, Lines: lines},
				"customer": {Order: "a", Customer: text, Lines: lines},
				"attempt":  {Order: "a", Attempt: text, Lines: lines},
				"item":     {Order: "a", Lines: []Line{{text, 1}}},
			} {
				_, err := Reserve.Call(t.Context(), client, req)
				assert.ErrorIs(t, err, rpc.InvalidArgument, "%s: %s %q", codec.Name(), field, text)
			}
			_, err := Release.Call(t.Context(), client, &ReleaseRequest{Order: text})
			assert.ErrorIs(t, err, rpc.InvalidArgument)
			_, err = Release.Call(t.Context(), client, &ReleaseRequest{Order: "a", Attempt: text})
			assert.ErrorIs(t, err, rpc.InvalidArgument)
			_, err = CheckStock.Call(t.Context(), client, &CheckStockRequest{Item: text})
			assert.ErrorIs(t, err, rpc.InvalidArgument)
		}
	}
	assert.Equal(t, []Item{{"item1", 10, 0}}, list(t, inv))
}

func TestOpen_RefusesStockWhoseItemsAreNotTheSameInEveryCodec(t *testing.T) {
	for _, text := range damaged {
		_, err := Open(filepath.Join(t.TempDir(), "shop.db"), map[string]int{text: 1})
		assert.ErrorContains(t, err, "UTF-8")
		_, err = ParseStock([]byte(`{"` + text + `":1}`))
		assert.ErrorContains(t, err, "UTF-8")
	}
}

// A file of an older version may hold a record whose key JSON has changed in it.
func TestRelease_FindsARecordByItsKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	writeBolt(t, path, func(tx *bolt.Tx) error {
		require.NoError(t, create(tx, map[string]int{"item1": 10}))
		b := newBooks(tx)
		require.NoError(t, b.move([]Line{{"item1", 3}}, +1))
		return put(b.reservations, "order-\xff", &Reservation{Order: "order-\xff", State: Held, Lines: []Line{{"item1", 3}}})
	})
	inv := openFile(t, path, nil)
	require.NoError(t, inv.change(t.Context(), func(b *books) (answer, err error) {
		r, ok, err := b.reservation("order-\xff")
		require.True(t, ok)
		require.NoError(t, err)
		return nil, b.release(r)
	}))
	require.NoError(t, inv.change(t.Context(), func(b *books) (answer, err error) {
		r, _, err := b.reservation("order-\xff")
		require.NoError(t, err)
		assert.Equal(t, Released, r.State)
		return nil, b.release(r)
	}))
	assert.Equal(t, []Item{{"item1", 10, 0}}, list(t, inv))
}

// Whatever is sent in whatever codec, and however often the file is opened anew,
// the books balance.
func TestBooks_BalanceAfterRandomPrograms(t *testing.T) {
	stock := map[string]int{"item1": 20, "é": 20, "e\u0301": 20}
	items := []string{"item1", "é", "e\u0301", "no", "item1\x00", damaged[0]}
	keys := append(append([]string{"a", ""}, odd...), damaged...)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			path := filepath.Join(t.TempDir(), "shop.db")
			pick := func(of []string) string { return of[random.IntN(len(of))] }
			for range 3 {
				inv, err := Open(path, stock)
				require.NoError(t, err)
				addr := serve(t, inv)
				for range 60 {
					client := dial(t, addr, codecs[random.IntN(len(codecs))])
					if random.IntN(2) == 0 {
						Release.Call(t.Context(), client, &ReleaseRequest{Order: pick(keys), Attempt: pick(keys)})
						continue
					}
					req := &ReserveRequest{Order: pick(keys), Customer: pick(keys), Attempt: pick(keys)}
					for range random.IntN(3) {
						req.Lines = append(req.Lines, Line{pick(items), random.IntN(5)})
					}
					Reserve.Call(t.Context(), client, req)
				}
				for _, item := range list(t, inv) {
					assert.Equal(t, 20, item.Left+item.Reserved)
					assert.GreaterOrEqual(t, item.Left, 0)
					assert.GreaterOrEqual(t, item.Reserved, 0)
				}
				require.NoError(t, inv.Close())
			}
		})
	}
}
