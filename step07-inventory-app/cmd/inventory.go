package cmd

import (
	"os"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
)

// Inventory is the program cmd/inventory: it serves an inventory.
func Inventory() { runInventory(os.Args[1:]) }

func runInventory(args []string) {
	flags := newServerFlags("inventory")
	file := flags.String("stock", "", "begin with the stock in this JSON `file`, not with the built-in one")
	flags.parse(args)

	stock, err := readStock(*file)
	if err != nil {
		exit("inventory", err)
	}
	exit("inventory", flags.serve("Inventory", inventory.New(stock)))
}

// readStock reads the stock from a file, or the built-in one if file is empty.
func readStock(file string) (map[string]int, error) {
	data, err := inventory.DefaultStock, error(nil)
	if file != "" {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	return inventory.ParseStock(data)
}
