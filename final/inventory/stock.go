package inventory

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
)

// DefaultStock is the stock that the programs begin with, as ParseStock wants it.
//
//go:embed stock.json
var DefaultStock []byte

// ParseStock reads a JSON object of item ids and quantities, with or without a
// byte-order mark before it. An empty object, an empty id, an id that is there twice
// and a quantity below 0 are errors.
func ParseStock(data []byte) (map[string]int, error) {
	var stock map[string]int
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // some editors begin files so
	if err := json.Unmarshal(data, &stock); err != nil {
		return nil, fmt.Errorf("stock: %w", err)
	}
	if len(stock) == 0 {
		return nil, fmt.Errorf("stock: there are no items")
	}
	if err := checkStock(stock); err != nil {
		return nil, err
	}
	if item, found := twice(data); found {
		return nil, fmt.Errorf("stock: %q: it is there more than once", item)
	}
	return stock, nil
}

// twice returns a key that is more than once in a JSON object of numbers: of those,
// package json takes the last.
func twice(object []byte) (key string, found bool) {
	seen := map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(object))
	for {
		token, err := dec.Token()
		if err != nil {
			return "", false
		}
		if key, isKey := token.(string); isKey {
			if seen[key] {
				return key, true
			}
			seen[key] = true
		}
	}
}

// checkStock says which item of a stock no request could name, or of which there
// are fewer than none: that is how the audit knows a damaged database.
func checkStock(stock map[string]int) error {
	for item, quantity := range stock {
		switch {
		case quantity < 0:
			return fmt.Errorf("stock: %q: quantity is %d", item, quantity)
		case item == "" || len(item) > MaxID:
			return fmt.Errorf("stock: %q: want an id of 1 to %d bytes", item, MaxID)
		case !isSteady(item):
			return fmt.Errorf("stock: %q: want an id in UTF-8", item)
		}
	}
	return nil
}
