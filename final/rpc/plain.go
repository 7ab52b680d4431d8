package rpc

// The plain ways: a goroutine writes, a goroutine reads, a goroutine runs each
// call. fastpath.go replaces them before anything else runs;
// newFast makes what it keeps for a clientConn, a serverConn and a Server.
var (
	newFast = func(owner any) any { return nil }

	// flush has the appended frames written, after startLocked returned true, and
	// does not wait for that. With yield, others are about to append, too.
	flush = func(w *writer, yield bool) { go w.flushAll() }

	// clientRead reads until the connection ends.
	clientRead = (*clientConn).read

	// clientReadSoon makes sure that a goroutine reads now, though no call is pending.
	clientReadSoon = func(c *clientConn) {}

	// clientAwait waits for the call's end. An error means that the caller's
	// context ended first and nothing of the call will be touched any more.
	clientAwait = (*clientConn).await

	// serverRead reads until the connection ends and then finishes it.
	serverRead = (*serverConn).read

	// startCall sees to it that an admitted call runs, on params in body, which
	// lies in the frame. Its error ends the reading.
	startCall = (*serverConn).start
)
