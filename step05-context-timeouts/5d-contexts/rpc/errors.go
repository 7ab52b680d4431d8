package rpc

// An Error is a failure that the server reported: the request arrived, and this
// is the answer. Any other error of a call means that there was no answer, or
// none that could be used.
type Error struct {
	Message string // what the server said, never empty
}

func (e *Error) Error() string { return e.Message }
