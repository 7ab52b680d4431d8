package rpc_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// What PROTOCOL.md and README.md say is held against the captures, the tests
// and the code.

// tableRows returns the cells of the tables' rows in a text.
func tableRows(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// columns returns where in a line one of the signs is, in characters.
func columns(line, signs string) (at []int) {
	for i, c := range []rune(line) {
		if strings.ContainsRune(signs, c) {
			at = append(at, i)
		}
	}
	return at
}

// Each box of PROTOCOL.md is straight: its upright lines, its corners and the offsets
// above it are in the same columns.
func TestProtocol_BoxesAreStraight(t *testing.T) {
	lines := strings.Split(readText(t, "..", "PROTOCOL.md"), "\n")
	offset := regexp.MustCompile(`(^| )[0-9][0-9+a-z]*`)
	boxes := 0
	for i := 0; i+2 < len(lines); i++ {
		corners := columns(lines[i], "+")
		if !strings.HasPrefix(strings.TrimSpace(lines[i]), "+-") {
			continue
		}
		boxes++
		assert.Equal(t, corners, columns(lines[i+1], "|"), "line %d: %s", i+2, lines[i+1])
		assert.Equal(t, lines[i], lines[i+2], "line %d", i+3)
		for _, at := range columns(lines[i+3], "|") {
			assert.Contains(t, corners, at, "line %d: %s", i+4, lines[i+3])
		}
		for _, at := range offset.FindAllStringIndex(lines[i-1], -1) {
			number := strings.TrimSpace(lines[i-1][at[0]:at[1]])
			assert.Contains(t, corners, at[1]-len(number), "line %d: %s", i, lines[i-1])
		}
		i += 2
	}
	assert.Equal(t, 14, boxes)
}

func readText(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

// lastWord is what the server of a section said about the bad input.
func lastWord(t *testing.T, s *section) string {
	t.Helper()
	for _, p := range s.packets {
		switch {
		case p.fromClient || p.data == "":
		case strings.HasPrefix(p.data, "\x93"):
			if code := rpc.Code(p.data[7]); code != rpc.OK {
				return fmt.Sprintf("refusal `%s`: %s", code, p.data[16:])
			}
		case p.data[4] == 3:
			m := dissect(t, p.data)
			assert.Equal(t, byte(8), m.flags&8, "%s: the handler was never started", s.name)
			return fmt.Sprintf("error `%s`: %s", m.code, strings.TrimSpace(withoutDecoder(m.text)))
		case p.data[4] == 10 && p.data[14] != 0:
			m := dissect(t, p.data)
			return fmt.Sprintf("end `%s`: %s", m.code, strings.TrimSpace(withoutDecoder(m.text)))
		case p.data[4] == 7:
			m := dissect(t, p.data)
			return fmt.Sprintf("go-away `%s`: %s", m.code, m.text)
		}
	}
	return ""
}

func TestProtocolMD_BadInputIsAnsweredAsTheCapturesShow(t *testing.T) {
	answers := map[string]string{}
	for _, name := range []string{"final-hello-bad.txt", "final-server-bad.txt", "final-client-bad.txt", "final-compress.txt", "final-reply-metadata.txt", "final-stream-bad.txt"} {
		_, sections := readCapture(t, name)
		for _, s := range sections {
			if name == "final-compress.txt" && !strings.HasPrefix(s.name, "compressed: ") || name == "final-reply-metadata.txt" && !strings.HasPrefix(s.name, "reply metadata: ") {
				continue
			}
			answers[s.name] = ""
			if name != "final-client-bad.txt" {
				answers[s.name] = lastWord(t, s)
			}
		}
	}
	text := readText(t, "..", "PROTOCOL.md")
	_, text, _ = strings.Cut(text, "\n## Bad input")
	text, _, _ = strings.Cut(text, "\n## Security")
	tests := ""
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	for _, file := range files {
		tests += readText(t, file)
	}
	for _, row := range tableRows(text) {
		name, quoted := strings.CutPrefix(row[0], "`")
		name = strings.TrimSuffix(name, "`")
		switch {
		case !quoted:
		case strings.HasPrefix(name, "Test"):
			assert.Contains(t, tests, "func "+name+"(", "the table names a test")
		default:
			want, ok := answers[name]
			assert.True(t, ok, "the table names a section %q", name)
			if len(row) > 2 && want != "" {
				assert.Equal(t, want, row[2], name)
			}
			delete(answers, name)
		}
	}
	delete(answers, "client: a result that is not JSON") // below the table
	delete(answers, "client: reply metadata without sense")
	delete(answers, "client: an item that is not JSON")
	delete(answers, "client: a short fragment")
	delete(answers, "client: a header without sense")
	assert.Empty(t, answers, "sections that are not in the table")
}

func TestProtocolMD_CodesAreThePackages(t *testing.T) {
	text := readText(t, "..", "PROTOCOL.md")
	_, text, _ = strings.Cut(text, "\n## Codes")
	text, _, _ = strings.Cut(text, "\n## Limits")
	found := 0
	for _, row := range tableRows(text) {
		for i := 0; i+1 < len(row); i += 3 {
			var code rpc.Code
			if n, _ := fmt.Sscan(row[i], &code); n == 1 {
				assert.Equal(t, code.String(), row[i+1])
				found++
			}
		}
	}
	assert.Equal(t, 17, found)
}

// README.md's first program is Example, word for word.
func TestREADME_QuickStartIsTheExample(t *testing.T) {
	readme := readText(t, "..", "README.md")
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindStringSubmatch(readme)
	require.NotNil(t, block)
	assert.Contains(t, readText(t, "example_test.go"), block[1])
}

// The options in README.md are those that there are, and the other way round.
func TestREADME_NamesEveryOption(t *testing.T) {
	readme := readText(t, "..", "README.md")
	code := readText(t, "options.go") + readText(t, "server_options.go") + readText(t, "client_options.go") + readText(t, "pool_options.go")
	option := regexp.MustCompile(`func (With\w+)\(`)
	for _, m := range option.FindAllStringSubmatch(code, -1) {
		assert.Contains(t, readme, "`"+m[1]+"`")
	}
	for _, m := range regexp.MustCompile("`(With\\w+)`").FindAllStringSubmatch(readme, -1) {
		assert.Contains(t, code, "func "+m[1]+"(")
	}
}

// What README.md shows of streams is in their Examples, word for word.
func TestREADME_StreamsAreTheExamples(t *testing.T) {
	_, text, found := strings.Cut(readText(t, "..", "README.md"), "\n## Streams\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n## ")
	examples := readText(t, "example_stream_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(text, -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		assert.Contains(t, examples, block[1])
	}
	declarations := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    var ") {
			declaration, _, _ := strings.Cut(strings.TrimPrefix(line, "    var "), "//")
			assert.Contains(t, examples, strings.TrimSpace(declaration))
			declarations++
		}
	}
	assert.Equal(t, 3, declarations)
}

// The map in README.md has every file, and no other.
func TestREADME_MapNamesEveryFile(t *testing.T) {
	_, text, _ := strings.Cut(readText(t, "..", "README.md"), "\n## Which file holds what")
	var mapped, there []string
	for _, row := range tableRows(text) {
		if name := strings.Trim(row[0], "`"); strings.HasSuffix(name, ".go") {
			mapped = append(mapped, name)
		}
	}
	for _, folder := range []string{"", "internal/bytepool/", "internal/wire/"} {
		files, err := filepath.Glob(filepath.Join("..", cmp.Or(folder, "rpc"), "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				there = append(there, folder+filepath.Base(file))
			}
		}
	}
	assert.ElementsMatch(t, there, mapped)
}

// rawHello connects to srv by hand and says hello with JSON.
func rawHello(t *testing.T, srv *rpc.Server) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	t.Cleanup(func() { near.Close() })
	go near.Write([]byte("\x93RPC\x01\x00\t\x04json\x00@\x00\x00"))
	_, err := readMessage(near, true)
	require.NoError(t, err)
	return near
}

// jsonRules has what JSON does not have by itself.
type jsonRules struct {
	Name  string
	Bytes []byte
	Wait  time.Duration
	List  []int
	Any   any
}

func TestWire_JSONFollowsTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		require.NoError(t, srv.RegisterFunc("Test.Echo", func(r jsonRules) jsonRules { return r }))
		conn := rawHello(t, srv)
		for i, c := range []struct{ params, result string }{
			{`{"Name":"a"}`, `{"Name":"a","Bytes":null,"Wait":0,"List":null,"Any":null}`},
			{`{"NAME":"a","name":"b","Other":1}`, `{"Name":"b","Bytes":null,"Wait":0,"List":null,"Any":null}`},
			{" {\"Bytes\":\"AP8=\",\n\"Wait\":1500000000,\"List\":[]}\r\n", `{"Name":"","Bytes":"AP8=","Wait":1500000000,"List":[],"Any":null}`},
			{`{"Name":"<&>` + "\xff" + `"}`, `{"Name":"<&>` + "\uFFFD" + `","Bytes":null,"Wait":0,"List":null,"Any":null}`},
			{`{"Any":` + strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999) + `}`, ""},
		} {
			head := fmt.Sprintf("\x01\x00\x00\x00\x00\x00\x00\x00\x00%c\x00\x00\x00\x00\x00\x09Test.Echo", i+1)
			n := len(head) + len(c.params)
			_, err := fmt.Fprintf(conn, "%s%s%s", []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, head, c.params)
			require.NoError(t, err)
			frame, err := readMessage(conn, false)
			require.NoError(t, err)
			m := dissect(t, frame)
			require.Equal(t, byte(2), m.kind, "%s: %s", c.params, m.text)
			if c.result != "" {
				assert.Equal(t, c.result, m.body)
			}
		}
		conn.Close()
		srv.Close()
	})
}

func TestWire_OneConnectionTooManyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(rpc.WithMaxConns(1))
		defer srv.Close()
		defer rawHello(t, srv).Close()
		near, far := net.Pipe()
		go srv.ServeConn(far)
		refusal, err := readMessage(near, true) // though it has not said a word
		require.NoError(t, err)
		assert.Equal(t, "\x93RPC\x01\x00\x20\x08\x00\x00\x00\x00\x00\x00\x00\x00more than 1 connections", refusal)
		end, err := readMessage(near, false)
		require.NoError(t, err)
		assert.Empty(t, end)
	})
}

func TestWire_ClientThatAsksAndDoesNotReadIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		conn := rawHello(t, srv)
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		answers := 0
		for id := uint64(1); ; id++ {
			head := wire.RequestHead{Method: "Test.Nope"}
			if _, err := conn.Write(head.Append(nil, 0, id, 0)); err != nil { // and reads no answer
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				break
			}
			answers += len("\x00\x00\x00\x2b\x03\x08\x00\x00\x00\x00\x00\x00\x00\x01\x0c\x00\x1bmethod not found: Test.Nope")
		}
		assert.InDelta(t, 2<<20, answers, 1<<18, "the server does not read on")
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		all, err := io.ReadAll(conn) // now the client reads
		require.NoError(t, err)
		last := ""
		for in := bytes.NewReader(all); in.Len() > 0; {
			last, err = readMessage(in, false)
			require.NoError(t, err)
		}
		m := dissect(t, last)
		assert.Equal(t, byte(7), m.kind)
		assert.Equal(t, rpc.ResourceExhausted, m.code)
		conn.Close()
		srv.Close()
	})
}

// rawServerFor is a server by hand behind a real client.
func rawServerFor(t *testing.T, opts ...rpc.ClientOption) (*rpc.Client, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	client := rpc.NewClient(near, opts...)
	_, err := readMessage(far, true)
	require.NoError(t, err)
	_, err = io.WriteString(far, "\x93RPC\x01\x00\t\x00\x00\x00\x04\x00\x00@\x00\x00")
	require.NoError(t, err)
	t.Cleanup(func() { far.Close() })
	return client, far
}

func TestWire_TimeoutIsFlooredToMilliseconds(t *testing.T) {
	for _, c := range []struct {
		left, sent time.Duration
	}{
		{1500*time.Millisecond + 999*time.Microsecond, 1500 * time.Millisecond},
		{time.Millisecond, time.Millisecond},
		{100 * 24 * time.Hour, math.MaxUint32 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, raw := rawServerFor(t)
			ctx, cancel := context.WithTimeout(t.Context(), c.left)
			defer cancel()
			done := make(chan error)
			go func() { done <- client.Call(ctx, "Test.Wait", nil, nil) }()
			frame, err := readMessage(raw, false)
			require.NoError(t, err)
			assert.Equal(t, c.sent, dissect(t, frame).timeout)
			client.Close()
			<-done
		})
	}
}

func TestWire_ClientPingsWithID0AfterThirtySecondsOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, raw := rawServerFor(t)
		defer client.Close()
		began := time.Now()
		ping, err := readMessage(raw, false)
		require.NoError(t, err)
		assert.Equal(t, "\x00\x00\x00\n\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00", ping)
		assert.Equal(t, 30*time.Second, time.Since(began))
		end, err := readMessage(raw, false)
		require.NoError(t, err)
		assert.Empty(t, end)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

// After a go-away, a reply to a call above its ID is dropped: it crossed.
func TestWire_ReplyAfterAGoAwayIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, raw := rawServerFor(t)
		defer client.Close()
		first, second := make(chan error), make(chan error)
		go func() { first <- client.Call(t.Context(), "Test.Wait", nil, nil) }()
		_, err := readMessage(raw, false)
		require.NoError(t, err)
		go func() { second <- client.Call(t.Context(), "Test.Wait", nil, nil) }()
		_, err = readMessage(raw, false)
		require.NoError(t, err)
		io.WriteString(raw, "\x00\x00\x00\r\a\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0e\x00\x00")
		assert.True(t, rpc.NeverRan(<-second))
		io.WriteString(raw, "\x00\x00\x00\n\x02\x00\x00\x00\x00\x00\x00\x00\x00\x02")
		io.WriteString(raw, "\x00\x00\x00\n\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01")
		assert.NoError(t, <-first)
	})
}
