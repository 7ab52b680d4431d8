package rpccmd

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearest_FindsWhatWasMeant(t *testing.T) {
	names := []string{"Inventory.CheckStock", "Inventory.Reserve", "Orders.Place", "Orders.Status"}
	for word, want := range map[string]string{
		"Inventory.CheckStok":  "Inventory.CheckStock",
		"inventory.reserve":    "Inventory.Reserve",
		"Place":                "Orders.Place",
		"Order.Place":          "Orders.Place",
		"Orders.Statsu":        "Orders.Status",
		"Weather.Tomorrow":     "",
		"":                     "",
		"x":                    "",
		"Inventory.CheckStock": "Inventory.CheckStock",
	} {
		assert.Equal(t, want, nearest(word, names), word)
	}
	assert.Empty(t, nearest("Orders.Place", nil))
}
