package rpc

import (
	"fmt"
	"net"
)

// warnOfFiles tells the callbacks for errors, once, if the process may not open as many
// files as there may be connections: accepting them fails first.
func (s *Server) warnOfFiles(ln net.Listener) {
	switch ln.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return // its connections may need no files
	}
	if limit, known := fileLimit(); known {
		if few := tooFewFiles(s.options.maxConns, limit); few != nil {
			s.warned.Do(func() { s.report(few) })
		}
	}
}

// spareFiles is how many files a process has open beside its connections, at least: its
// listeners, its logs.
const spareFiles = 16

// tooFewFiles returns what is to be said about so many connections; nil if there are files
// enough.
func tooFewFiles(conns int, limit uint64) error {
	if uint64(conns)+spareFiles <= limit {
		return nil
	}
	return fmt.Errorf("rpc: WithMaxConns(%d) and %d files for the rest of the process are more than the limit of open files, which is %d (ulimit -n): accepting connections will fail before that", conns, spareFiles, limit)
}
