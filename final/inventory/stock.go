package inventory

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// DefaultStock is the stock that the programs begin with, as ParseStock wants it.
//
//go:embed stock.json
var DefaultStock []byte

// ParseStock reads a JSON object of item ids and quantities. An empty object, an
// empty id and a quantity below 0 are errors.
func ParseStock(data []byte) (map[string]int, error) {
	var stock map[string]int
	if err := json.Unmarshal(data, &stock); err != nil {
		return nil, fmt.Errorf("stock: %w", err)
	}
	if len(stock) == 0 {
		return nil, fmt.Errorf("stock: there are no items")
	}
	for item, quantity := range stock {
		if item == "" || len(item) > MaxID {
			return nil, fmt.Errorf("stock: %q: want an id of 1 to %d bytes", item, MaxID)
		}
		if quantity < 0 {
			return nil, fmt.Errorf("stock: %s: quantity is %d", item, quantity)
		}
	}
	return stock, nil
}
