package rpc

import (
	"encoding/gob"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// A client of another format, and a server that knows one format alone.
func TestNaive_AServerOfLinesCannotReadGob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newStockServer(t).connect(t)
		go gob.NewEncoder(conn).Encode(Request{ID: 1, Method: "Inventory.CheckStock"})
		answer := read(t, conn)
		t.Logf("sent a request in gob, got %s", answer)
		assert.Contains(t, answer, "invalid request")
	})
}
