package wire

import "fmt"

// Kind is what a frame is.
type Kind uint8

// The kinds of version 1.
const (
	KindRequest Kind = 1 + iota
	KindResponse
	KindError
	KindCancel
	KindPing
	KindPong
	KindGoAway

	// Of streams, if the hellos have agreed upon those.
	KindOpen
	KindData
	KindEnd
	KindCredit
	KindWant
	KindHeader
)

// The flags of version 1.
const (
	FlagPairs         uint8 = 1 << iota // metadata or details follow
	FlagRestart                         // gob: a new stream begins with this body
	FlagSelfContained                   // gob: this body is a stream of its own
	FlagNeverRan                        // the handler was not started
	FlagCompressed                      // the body is gzip: only if the hellos have agreed upon it
	FlagReplyMetadata                   // metadata of a reply follow: only if the hellos have agreed upon it
	FlagMore                            // the item goes on in the stream's next data frame: only if the hellos have agreed upon streams
)

// Extensions are the flags to which both hellos have to agree. Agreeing upon FlagMore
// is agreeing upon streams, with all their kinds.
const Extensions = FlagCompressed | FlagReplyMetadata | FlagMore

// allowedFlags has the flags of each kind.
var allowedFlags = [...]uint8{
	KindRequest:  FlagPairs | FlagRestart | FlagSelfContained | FlagCompressed,
	KindResponse: FlagRestart | FlagSelfContained | FlagCompressed | FlagReplyMetadata,
	KindError:    FlagPairs | FlagNeverRan | FlagReplyMetadata,
	KindCancel:   0,
	KindPing:     0,
	KindPong:     0,
	KindGoAway:   0,

	KindOpen:   FlagPairs | FlagCompressed,
	KindData:   FlagCompressed | FlagMore,
	KindEnd:    FlagPairs | FlagNeverRan | FlagReplyMetadata,
	KindCredit: 0,
	KindWant:   0,
	KindHeader: 0,
}

var kindNames = [...]string{
	KindRequest:  "request",
	KindResponse: "response",
	KindError:    "error",
	KindCancel:   "cancel",
	KindPing:     "ping",
	KindPong:     "pong",
	KindGoAway:   "go-away",
	KindOpen:     "open",
	KindData:     "data",
	KindEnd:      "end",
	KindCredit:   "credit",
	KindWant:     "want",
	KindHeader:   "header",
}

// Known reports whether the kind is one of those that every connection of version 1 has. The
// kinds of streams are not: the hellos may agree upon them.
func (k Kind) Known() bool { return k != 0 && k <= KindGoAway }

// OfStreams reports whether the kind is for streams alone.
func (k Kind) OfStreams() bool { return k >= KindOpen && k <= KindHeader }

// String returns the kind's name, "kind 14" for one that version 1 does not have.
func (k Kind) String() string {
	if k.Known() || k.OfStreams() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// bare reports whether the kind has no fields.
func (k Kind) bare() bool { return k == KindCancel || k == KindPing || k == KindPong }
