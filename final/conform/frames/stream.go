package frames

import (
	"fmt"
	"strconv"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// DataCost returns what a data frame with so many bytes of an item costs of credit.
func DataCost(n int) int64 { return int64(n) + 78 }

// StreamsOffer returns the value of an offer.
func StreamsOffer(window int) string { return strconv.Itoa(window) }

// StreamsGrant returns the word of a grant.
func StreamsGrant(streams, window int) string {
	return fmt.Sprintf("%s=%d,%d", Streams, streams, window)
}

// Data returns a data frame.
func Data(id uint64, flags uint8, item []byte) Frame {
	return Frame{Kind: wire.KindData, Flags: flags, ID: id, Fields: item}
}
