package rpc

import "io"

// Stats implements [Stream].
func (s *stream) Stats() StreamStats {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	return StreamStats{s.out.items, s.in.items, s.out.bytes, s.in.bytes}
}

// OnEnd implements [OpenedStream].
func (s *clientStream) OnEnd(f func(err error)) {
	if f == nil {
		return
	}
	s.conn.mu.Lock()
	s.onEnd = append(s.onEnd, f)
	tell := func() {}
	if s.released {
		tell = s.takeOnEnd()
	}
	s.conn.mu.Unlock()
	tell()
}

// takeOnEnd returns what tells the functions of OnEnd how the stream has ended. The lock of
// the connection is held, but not for what it returns. The goroutine that reads the
// connection may be here, so they run in one of their own.
func (s *clientStream) takeOnEnd() (tell func()) {
	all, err := s.onEnd, s.in.err
	if len(all) == 0 || s.neverRanLocked() { // they are told of the stream that follows
		return func() {}
	}
	s.onEnd = nil
	if err == io.EOF {
		err = nil
	}
	return func() {
		go func() {
			for _, f := range all {
				guardHook("a function of OnEnd", func() { f(err) })
			}
		}()
	}
}
