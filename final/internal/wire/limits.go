package wire

// Sizes of what every message begins with, in bytes.
const (
	LengthSize = 4  // a frame's length
	HeaderSize = 14 // a frame's length, kind, flags and ID
	MinLength  = 10 // the least that a frame's length can be, since it counts what follows it
	HelloSize  = 7  // a hello's magic, version and length
)

// Limits of the protocol that no side announces.
const (
	MaxHello   = 16 << 10 // what a client reads of a server's hello
	MinMessage = 1 << 10  // the least that a side may announce as its largest message

	MaxPairs      = 128      // of metadata: a pair in a map costs far more than its bytes on the wire
	MaxDetails    = 16 << 10 // bytes of an error's details
	MaxErrorText  = 4 << 10  // bytes of an error's text
	MaxReasonText = 512      // bytes of the text of a go-away or of a refusing hello

	MaxReplyMetadata = 8 << 10 // bytes of the metadata of a reply, and of a stream's header and trailer

	MinWindow    = 4 << 10   // the least that a side may announce as a stream's window
	MaxCredit    = 1<<31 - 1 // bytes of credit that one half of a stream may have
	DataOverhead = 64        // what a data frame costs beside its bytes on the wire
	MinFragment  = 1 << 10   // bytes of a fragment that is not an item's last
)
