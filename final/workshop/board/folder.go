package board

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/internal/durable"
)

// File is the name of the file in a participant's folder that has what was seen there
// at earlier checks. Only reports to a board write it.
const File = ".workshop-board.json"

// A folder is what is known of a participant's folder.
type folder struct {
	ID      string               `json:"id"`
	Name    string               `json:"name,omitempty"` // the last one that was chosen
	Station string               `json:"station,omitempty"`
	Passing []string             `json:"passing,omitempty"` // at the last check at which they could run
	Red     map[string]time.Time `json:"red,omitempty"`     // since when, by test
	Most    int                  `json:"most,omitempty"`    // tests that ever passed at once at this station
	Since   time.Time            `json:"since,omitzero"`    // when that was reached
}

// openFolder reads what is known of dir. A file that is missing or damaged is begun anew.
func openFolder(dir string) *folder {
	var f folder
	data, err := os.ReadFile(filepath.Join(dir, File))
	if err == nil && json.Unmarshal(data, &f) == nil && idShape.MatchString(f.ID) {
		return &f
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return &folder{ID: hex.EncodeToString(id)}
}

func (f *folder) save(dir string) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, File), append(data, '\n'))
}

// seen is what a check saw of the course's tests.
type seen struct {
	station string
	tests   []string // in the lesson's order
	passed  []string
	todo    []string // that failed or did not run
	notRun  []string // of todo, since their package does not compile
}

// see enters what a check saw, and returns the message about it. A test that could not
// run is as it was before: code does not compile while it is being written.
func (f *folder) see(s seen, now time.Time) *message {
	if f.Station != s.station {
		*f = folder{ID: f.ID, Name: f.Name, Station: s.station, Since: now}
	}
	if f.Red == nil {
		f.Red = map[string]time.Time{}
	}
	m := &message{Version: version, ID: f.ID, Name: f.Name, Station: s.station, Passing: []string{}, ToDo: []string{}, Compiles: len(s.notRun) == 0}
	for _, test := range s.tests {
		passes := slices.Contains(s.passed, test)
		if slices.Contains(s.notRun, test) {
			passes = slices.Contains(f.Passing, test)
		}
		switch {
		case passes:
			m.Passing = append(m.Passing, test)
		case slices.Contains(s.todo, test):
			m.ToDo = append(m.ToDo, test)
		}
	}
	f.progress(m, now)
	if len(m.ToDo) > 0 {
		test := m.ToDo[0]
		m.Red = &red{test, int(now.Sub(later(f.Red[test], f.Since)) / time.Second)}
	}
	return m
}

// progress notes since when tests are red, and when the participant last had more green
// ones than ever before.
func (f *folder) progress(m *message, now time.Time) {
	before := f.Red
	f.Passing, f.Red = m.Passing, map[string]time.Time{}
	for _, test := range m.ToDo {
		f.Red[test] = now
		if since, ok := before[test]; ok {
			f.Red[test] = since
		}
	}
	if len(m.Passing) > f.Most {
		f.Most, f.Since = len(m.Passing), now
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
