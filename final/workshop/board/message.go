package board

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// version is that of the messages.
const version = 1

const (
	maxBytes = 64 << 10 // of a message
	maxTests = 1000     // that a message names
	maxRed   = 30 * 24 * time.Hour
)

// A message is all that a participant's tool sends to a board: no code, no path, no
// output of a test, and no name of a test that the participant has written.
type message struct {
	Version  int      `json:"version"`
	ID       string   `json:"id"`             // of the participant's folder, made at random
	Name     string   `json:"name,omitempty"` // of the participant's choice
	Station  string   `json:"station"`
	Passing  []string `json:"passing"` // tests of the course
	ToDo     []string `json:"todo"`    // those that do not pass; a test in neither list is not for this system
	Compiles bool     `json:"compiles"`
	Red      *red     `json:"red,omitempty"`
}

// red is the test with which the participant has to begin.
type red struct {
	Test    string `json:"test"`
	Seconds int    `json:"seconds"` // for which it has been red, without any progress
}

var idShape = regexp.MustCompile(`^[0-9a-f]{32}$`)

// readMessage reads a message of a peer, and refuses what no tool of ours sends.
func readMessage(r io.Reader) (*message, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	var m message
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("not a report: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a report: something follows it")
	}
	switch {
	case m.Version != version:
		return nil, fmt.Errorf("a report of version %d, and this board reads version %d", m.Version, version)
	case !idShape.MatchString(m.ID):
		return nil, errors.New("not a report: the id is not 32 hexadecimal digits")
	case len(m.Passing)+len(m.ToDo) > maxTests:
		return nil, fmt.Errorf("not a report: it names %d tests, at most %d", len(m.Passing)+len(m.ToDo), maxTests)
	}
	return &m, nil
}

// redFor returns how long the test has been red, as far as that can be believed.
func (r *red) redFor() time.Duration {
	seconds := min(max(r.Seconds, 0), int(maxRed/time.Second))
	return time.Duration(seconds) * time.Second
}
