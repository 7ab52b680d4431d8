package course

import (
	"slices"
	"strings"
)

// shipped names what start and next put into a learner's folder whole, although
// its file has stubs as well: to write it would teach nothing. By station and file.
var shipped = map[string]map[string][]string{
	"03": {"rpc/client.go": {"Dial"}},
	"4a": {"rpc/method.go": {"results"}, "rpc/registry.go": {"NewService"}},
	"6a": {"rpc/codec.go": {"jsonCodec.ReadRequest", "jsonCodec.ReadResponse", "Server.newParams"}},
	"6b": {"rpc/gob.go": {"gobCodec.WriteRequest", "gobCodec.WriteResponse", "assign"}},
	"07": {
		"inventory/inventory.go": {"ParseStock", "IsText", "New", "Inventory.CheckStock", "Inventory.List"},
		"orders/orders.go":       {"ParseOrders", "New", "Orders.PlaceOrder", "Orders.check", "Orders.begin", "Orders.forget", "units"},
	},
}

// IsShipped reports whether a learner is given a file of code whole: the programs,
// whose bodies are in cmd, and one that takes reflection to write.
func IsShipped(file string) bool {
	return IsCode(file) && strings.HasPrefix(file, "cmd/") || file == "rpc/unmarshal.go"
}

// Ships reports whether start and next put a declaration of a file that the station
// adds there whole, in place of a stub.
func (s Station) Ships(file, decl string) bool {
	return IsShipped(file) || slices.Contains(shipped[s.Name][file], decl)
}

// AllShipped returns what is shipped beside stubs, by file.
func (s Station) AllShipped() map[string][]string { return shipped[s.Name] }

// Shipped returns those declarations of a file that has stubs as well.
func (s Station) Shipped(file string) []string { return shipped[s.Name][file] }
