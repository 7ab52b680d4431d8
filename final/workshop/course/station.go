// Package course knows the path of the course: which stations there are, what
// each adds, where it stands in the workspace, and what comes before it.
package course

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Station is a place where a learner can stand: a step, or one of the lettered
// checkpoints that a larger step is told by.
type Station struct {
	Name    string // "03", "5a"
	Step    string // the step's folder, below the workspace's root: "step05-context-timeouts"
	Folder  string // where its rpc/ stands, below the root; Step unless the code has moved on since
	Title   string // a noun or two
	Adds    string // what a learner's code can do afterwards, in a line
	Minutes int    // how long it takes to write along; the lesson says the same
	Side    bool   // a side trip: the core path goes on without it, with its code
}

// Stations are in the order in which they are written. The last checkpoint of a
// step is what the step's own folders hold.
var Stations = []Station{
	{"01", "step01-tcp-server", "step01-tcp-server", "tcp-server",
		"lines over TCP, one goroutine per connection, a Close that waits", 80, false},
	{"02", "step02-json-protocol", "step02-json-protocol", "json-protocol",
		"requests and responses in JSON, and errors that leave the connection alive", 65, false},
	{"03", "step03-client", "step03-client", "client",
		"a client that separates the server's errors from the network's", 65, false},
	{"4a", "step04-registry", "step04-registry/4a-functions", "functions",
		"Go functions by name, with typed params and results", 80, false},
	{"4b", "step04-registry", "step04-registry", "receivers",
		"all suitable methods of a value at once, checked; a method that panics is caught", 50, true},
	{"5a", "step05-context-timeouts", "step05-context-timeouts/5a-identity", "identity",
		"ids, a client that reads for all its callers, many calls at once", 90, false},
	{"5b", "step05-context-timeouts", "step05-context-timeouts/5b-timeouts", "timeouts",
		"calls that end with their context, while other calls keep using the connection", 55, false},
	{"5c", "step05-context-timeouts", "step05-context-timeouts/5c-in-flight", "in-flight",
		"a server that answers many requests of a connection at once, in any order", 45, false},
	{"5d", "step05-context-timeouts", "step05-context-timeouts/5d-contexts", "contexts",
		"methods with a context, which ends with the connection", 70, false},
	{"5e", "step05-context-timeouts", "step05-context-timeouts/5e-cancel", "cancel",
		"deadlines and cancelling that reach the method", 80, false},
	{"5f", "step05-context-timeouts", "step05-context-timeouts", "shutdown",
		"the server's own time limit, one reply per request, an orderly shutdown", 60, true},
	{"6a", "step06-gob-codec", "step06-gob-codec/6a-codec", "codec",
		"messages read and written behind an interface", 55, true},
	{"6b", "step06-gob-codec", "step06-gob-codec/6b-gob", "gob",
		"gob: one encoder and one decoder per connection", 50, true},
	{"6c", "step06-gob-codec", "step06-gob-codec", "hello",
		"a hello that chooses the codec; both measured", 45, true},
	{"07", "step07-inventory-app", "step07-inventory-app", "inventory-app",
		"the shop: error codes, inventory and orders as processes", 85, true},
}

// OfStep returns the stations of a step, by its folder.
func OfStep(step string) []Station {
	var found []Station
	for _, s := range Stations {
		if s.Step == step {
			found = append(found, s)
		}
	}
	return found
}

// Find returns the station of that name. A step's number or folder, "5", "05"
// or "step05-context-timeouts", means its last checkpoint.
func Find(name string) (Station, error) {
	found := ofStep(name)
	if len(found) == 0 {
		return Station{}, unknown(name)
	}
	return found[len(found)-1], nil
}

// FindFirst is Find, but a step's number or folder means its first checkpoint:
// where to begin, in place of where it ends.
func FindFirst(name string) (Station, error) {
	found := ofStep(name)
	if len(found) == 0 {
		return Station{}, unknown(name)
	}
	return found[0], nil
}

// ofStep returns the station of that name, or all of the step of that name.
func ofStep(name string) []Station {
	var found []Station
	for _, s := range Stations {
		if name == s.Name {
			return []Station{s}
		}
		number := strings.TrimPrefix(s.Step[:len("step00")], "step")
		if name == number || "0"+name == number || filepath.Clean(name) == s.Step || name == "step"+number {
			found = append(found, s)
		}
	}
	return found
}

func unknown(name string) error {
	var names []string
	for _, s := range Stations {
		names = append(names, s.Name)
	}
	return fmt.Errorf("no step or checkpoint %q: there are %s", name, strings.Join(names, " "))
}

// Index returns the place of s in Stations.
func Index(s Station) int {
	return slices.IndexFunc(Stations, func(o Station) bool { return o.Name == s.Name })
}

// Previous returns the station before s; false for the first.
func (s Station) Previous() (Station, bool) { return s.beside(-1) }

// Next returns the station after s; false for the last.
func (s Station) Next() (Station, bool) { return s.beside(+1) }

// beside returns the station that is so many after s; false where there is none.
func (s Station) beside(by int) (Station, bool) {
	at := Index(s)
	if at < 0 || at+by < 0 || at+by >= len(Stations) {
		return Station{}, false
	}
	return Stations[at+by], true
}

// Page returns the path of the station's lesson below the root, with slashes: in
// the step's folder, or in that of the checkpoint.
func (s Station) Page() string {
	if !s.isLettered() {
		return s.Step + "/README.md"
	}
	return s.Step + "/" + s.Name + "-" + s.Title + "/README.md"
}

// Entrance returns the path of the page on which a step with checkpoints begins;
// "" if the step is one station.
func (s Station) Entrance() string {
	if !s.isLettered() {
		return ""
	}
	return s.Step + "/README.md"
}

// isLettered reports whether s is a checkpoint, the last of its step included.
func (s Station) isLettered() bool { return s.Name[len(s.Name)-1] >= 'a' }

// IsCheckpoint reports whether s stands in a folder of its step, with nothing but
// its rpc/: the step's programs belong to its last checkpoint.
func (s Station) IsCheckpoint() bool { return s.Folder != s.Step }

// Module returns the path of the module that s belongs to.
func (s Station) Module() string { return ModulePrefix + s.Step }

// ModulePrefix is what all modules of the workspace begin with.
const ModulePrefix = "example.com/rpc-from-scratch/"
