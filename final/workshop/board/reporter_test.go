package board

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// A board that answers as the test says.
type fake func(*http.Request) (*http.Response, error)

func (f fake) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, text string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text))}
}

// silent answers nothing until the request is given up.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

const roomURL = "http://192.168.1.7:7070/roomsecret"

// reporting runs f in a bubble, with a reporter to the board.
func reporting(t *testing.T, board fake, f func(t *testing.T, r *Reporter)) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newReporter(roomURL, "Ada", board)
		require.NoError(t, err)
		f(t, r)
		r.stop()
	})
}

func notices(r *Reporter) (all []string) {
	synctest.Wait()
	for {
		select {
		case line := <-r.Notices():
			all = append(all, line)
		default:
			return all
		}
	}
}

func TestReporter_SendsTheNewestReport(t *testing.T) {
	b := testBoard(10)
	var asked []string
	reporting(t, func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		wait(time.Second)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Result(), nil
	}, func(t *testing.T, r *Reporter) {
		wait(2 * time.Second)
		r.send(report(1, "Ada", "01", "TestA"))
		synctest.Wait() // it is on its way
		r.send(report(1, "Ada", "01", "TestA", "TestB"))
		r.send(report(1, "Ada", "01", "TestB", "TestC"))
		wait(4 * time.Second)
		assert.Equal(t, []string{`board: reported as "Ada": 01, 4 of 5 tests pass`}, notices(r), "said once")
		assert.Equal(t, []string{"GET /roomsecret/hello", "POST /roomsecret/report", "POST /roomsecret/report"}, asked, "the second one was replaced")
		assert.Equal(t, "TestB", b.room.seats()[0].Red)
		assert.Equal(t, `board: reported as "Ada": 01, 3 of 5 tests pass`, r.Finish())
	})
}

// A board that never answers costs a check nothing: it has not answered during all of the
// tests, and is not waited for.
func TestReporter_DoesNotWaitForASilentBoard(t *testing.T) {
	reporting(t, silent, func(t *testing.T, r *Reporter) {
		wait(2 * time.Second)
		begin := time.Now()
		r.send(report(1, "Ada", "01"))
		assert.Equal(t, "board: not reported: no answer from 192.168.1.7:7070", r.Finish())
		assert.Zero(t, time.Since(begin))
	})
}

// One that answered before is waited for, but a second at most.
func TestReporter_WaitsASecondForASlowBoard(t *testing.T) {
	slow := func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			return silent(r)
		}
		return answer(http.StatusNoContent, ""), nil
	}
	reporting(t, slow, func(t *testing.T, r *Reporter) {
		synctest.Wait()
		begin := time.Now()
		for range 100 {
			r.send(report(1, "Ada", "01"))
		}
		assert.Zero(t, time.Since(begin), "a report does not wait")
		assert.Equal(t, "board: not reported: no answer from 192.168.1.7:7070", r.Finish())
		assert.Equal(t, time.Second, time.Since(begin))
	})
}

func TestReporter_SaysInALineWhyItFails(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		name  string
		board fake
		says  string
	}{
		{"nothing listens", func(*http.Request) (*http.Response, error) { return nil, refused }, "cannot reach 192.168.1.7:7070: connect: connection refused"},
		{"a wrong secret", func(*http.Request) (*http.Response, error) { return answer(404, "404 page not found"), nil },
			"192.168.1.7:7070 has no such board: compare the URL with the one that it prints for participants"},
		{"full", func(*http.Request) (*http.Response, error) {
			return answer(503, "the board is full, with 3 of 3 participants\n"), nil
		}, "192.168.1.7:7070 answers: the board is full, with 3 of 3 participants"},
		{"hostile", func(*http.Request) (*http.Response, error) {
			return answer(500, "\x1b[2J\nall\u202e is well"+strings.Repeat("!", 1<<20)), nil
		}, "192.168.1.7:7070 answers: [2J all is well" + strings.Repeat("!", maxAnswer-len("[2J all is well"))},
		{"elsewhere", func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "192.168.1.7:7070" {
				panic("a report went to " + r.URL.Host)
			}
			return answer(307, "", "Location", "http://example.com/"), nil
		}, "192.168.1.7:7070 answers: 307"},
		{"garbage", func(*http.Request) (*http.Response, error) { return nil, errors.New("malformed\x1b[2J\nHTTP response") },
			"cannot reach 192.168.1.7:7070: malformed[2J HTTP response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reporting(t, c.board, func(t *testing.T, r *Reporter) {
				line := "board: not reported: " + c.says
				assert.Equal(t, []string{line}, notices(r))
				r.send(report(1, "Ada", "01"))
				assert.Empty(t, notices(r), "said once")
				assert.Equal(t, line, r.Finish())
				assert.NotContains(t, line, "roomsecret")
			})
		})
	}
}

func TestReporter_TriesAgain(t *testing.T) {
	b := testBoard(10)
	var begin time.Time
	var times []time.Duration
	reporting(t, func(r *http.Request) (*http.Response, error) {
		if begin.IsZero() {
			begin = time.Now()
		}
		times = append(times, time.Since(begin))
		if time.Since(begin) < 25*time.Second {
			return answer(429, "too many reports: wait a moment", "Retry-After", "10"), nil
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Result(), nil
	}, func(t *testing.T, r *Reporter) {
		r.send(report(1, "Ada", "01"))
		assert.Len(t, notices(r), 1)
		wait(25 * time.Second)
		assert.Empty(t, notices(r), "said once")
		wait(6 * time.Second)
		assert.Equal(t, []string{`board: reported as "Ada": 01, 5 of 5 tests pass`}, notices(r), "and what becomes of it")
		assert.Equal(t, []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second}, times[len(times)-5:])
		assert.Equal(t, 1, b.room.size())
	})
}

func TestNewReporter_RefusesWhatIsNoBoard(t *testing.T) {
	for _, address := range []string{"", "x", "192.168.1.7:7070/x", "ftp://a/x", "http://192.168.1.7:7070", "http://192.168.1.7:7070/", "http:///x", "http://a b/x", "\x1b[2J"} {
		_, err := NewReporter(address, "Ada")
		require.Error(t, err, address)
		assert.Contains(t, err.Error(), "want the URL that the board prints", address)
		assert.NotContains(t, err.Error(), "\x1b")
	}
	_, err := NewReporter(roomURL, strings.Repeat("é", maxName+1))
	assert.EqualError(t, err, "-name has 41 letters: at most 40")
}

// A folder that cannot be written is no reason not to report.
func TestReporter_ReportsFromAFolderThatCannotBeWritten(t *testing.T) {
	b := testBoard(10)
	nowhere := filepath.Join(t.TempDir(), "gone")
	reporting(t, func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Result(), nil
	}, func(t *testing.T, r *Reporter) {
		synctest.Wait()
		r.Report(&check.Report{Target: check.Target{Dir: nowhere, Station: course.Stations[0], Progress: &progress.Progress{}}})
		said := notices(r)
		require.Len(t, said, 2)
		assert.Contains(t, said[0], "the board will count you as new")
		assert.Equal(t, `board: reported as "Ada": 01, 0 of 0 tests pass`, said[1])
		assert.Equal(t, said[1], r.Finish())
	})
}

func TestReporter_OfNoBoardReportsNothing(t *testing.T) {
	var r *Reporter
	r.Report(&check.Report{})
	assert.Nil(t, r.Notices())
	assert.Empty(t, r.Finish())
}

// The fields of a message are all that a board learns: one more has to be added here, too.
func TestMessage_HasTheseFieldsAlone(t *testing.T) {
	body, err := json.Marshal(report(1, "Ada", "01", "TestA"))
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(body, &fields))
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	assert.ElementsMatch(t, []string{"version", "id", "name", "station", "passing", "todo", "compiles", "red"}, names)
	assert.Len(t, fields["red"], 2)
}
