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
)

// The flags of version 1.
const (
	FlagPairs         uint8 = 1 << iota // metadata or details follow
	FlagRestart                         // gob: a new stream begins with this body
	FlagSelfContained                   // gob: this body is a stream of its own
	FlagNeverRan                        // the handler was not started
	FlagCompressed                      // the body is gzip: only if the hellos have agreed upon it
)

// allowedFlags has the flags of each kind.
var allowedFlags = [...]uint8{
	KindRequest:  FlagPairs | FlagRestart | FlagSelfContained | FlagCompressed,
	KindResponse: FlagRestart | FlagSelfContained | FlagCompressed,
	KindError:    FlagPairs | FlagNeverRan,
	KindCancel:   0,
	KindPing:     0,
	KindPong:     0,
	KindGoAway:   0,
}

var kindNames = [...]string{
	KindRequest:  "request",
	KindResponse: "response",
	KindError:    "error",
	KindCancel:   "cancel",
	KindPing:     "ping",
	KindPong:     "pong",
	KindGoAway:   "go-away",
}

// Known reports whether version 1 has the kind.
func (k Kind) Known() bool { return k != 0 && int(k) < len(kindNames) }

// String returns the kind's name, "kind 9" for one that version 1 does not have.
func (k Kind) String() string {
	if k.Known() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// bare reports whether the kind has no fields.
func (k Kind) bare() bool { return k == KindCancel || k == KindPing || k == KindPong }
