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
		if quantity < 0 {
			return nil, fmt.Errorf("stock: %s: quantity is %d", item, quantity)
		}
	}
	if err := checkItems(stock); err != nil {
		return nil, err
	}
	return stock, nil
}

// checkItems says which item of a stock no request could name.
func checkItems(stock map[string]int) error {
	for item := range stock {
		switch {
		case item == "" || len(item) > MaxID:
			return fmt.Errorf("stock: %q: want an id of 1 to %d bytes", item, MaxID)
		case !isSteady(item):
			return fmt.Errorf("stock: %q: want an id in UTF-8", item)
		}
	}
	return nil
}
