package verify

import (
	"os"
	"path/filepath"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// inStarted returns the session in a folder that start makes for a station, and
// into which the station's code is put if solved.
func (s *sessions) inStarted(station course.Station, solved bool) (*console.Session, error) {
	name := station.Name
	if solved {
		name += " solved"
	}
	if session, ok := s.red[name]; ok {
		return session, nil
	}
	parent, err := os.MkdirTemp(s.cache, "start")
	if err != nil {
		return nil, err
	}
	if parent, err = filepath.EvalSymlinks(parent); err != nil { // as programs print it
		return nil, err
	}
	dir := filepath.Join(parent, "mine")
	if err := starter.Write(s.c.Root, station, dir); err != nil {
		return nil, err
	}
	if solved {
		if err := starter.Solve(s.c.Root, station, dir); err != nil {
			return nil, err
		}
	}
	session := &console.Session{Dir: dir, Cache: s.cache, Show: map[string]string{dir: mine, s.c.Root: clone}}
	s.red[name] = session
	return session, nil
}
