package inventory

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openTest opens a new database with that stock. It is closed after the test,
// and its books must add up then.
func openTest(t testing.TB, stock map[string]int) *Inventory {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "shop.db"), stock)
}

func openFile(t testing.TB, path string, stock map[string]int) *Inventory {
	t.Helper()
	inv, err := Open(path, stock)
	require.NoError(t, err)
	t.Cleanup(func() {
		inv.Close()
		_, err := inspect(path, lockWait)
		assert.NoError(t, err, "the books must add up")
	})
	return inv
}

func left(t *testing.T, inv *Inventory, item string) int {
	t.Helper()
	reply, err := inv.CheckStock(t.Context(), &CheckStockRequest{Item: item})
	require.NoError(t, err)
	return reply.Left
}

func list(t *testing.T, inv *Inventory) []Item {
	t.Helper()
	reply, err := inv.List(t.Context(), &ListRequest{})
	require.NoError(t, err)
	return reply.Items
}

// mustReserve reserves for an order, as attempt "".
func mustReserve(t *testing.T, inv *Inventory, order string, lines ...Line) {
	t.Helper()
	_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: order, Lines: lines})
	require.NoError(t, err)
}
