package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		`go test  ./...`:          {"go", "test", "./..."},
		`client M '"item1"'`:      {"client", "M", `"item1"`},
		`client "a b"c ''`:        {"client", "a bc", ""},
		`go test -run '^$|x' a\b`: {"go", "test", "-run", "^$|x", `a\b`},
	} {
		got, err := Split(line)
		require.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
	for line, want := range map[string]string{
		`echo 'a`: "a quote is not closed", `a | b`: "there is no shell: | needs quotes", `echo $HOME`: "there is no shell: $ needs quotes",
	} {
		_, err := Split(line)
		assert.EqualError(t, err, want, line)
	}
}

func parse(t *testing.T, body string) *Block {
	t.Helper()
	b, err := Parse(body)
	require.NoError(t, err)
	return b
}

func TestParse(t *testing.T) {
	b := parse(t, "\n$ raw -x\n\n$ raw\nwelcome\none   ← you type\n1\n\n← you type\n")
	require.Len(t, b.Commands, 2)
	assert.Equal(t, []Turn{{"", []string{"welcome"}}, {"one   ← you type", []string{"1", ""}}, {"← you type", nil}}, b.Commands[1].Turns)
	assert.Equal(t, "one", b.Commands[1].Turns[1].Input())
	assert.Empty(t, b.Commands[1].Turns[2].Input())
	assert.Equal(t, "$ raw -x\n$ raw\nwelcome\none   ← you type\n1\n\n← you type\n", b.String())
	for body, want := range map[string]string{
		"go test\n": `"go test" stands before any command`, "": "no command", "$ \n": "a $ without a command", "$ a 'b\n": "$ a 'b: a quote is not closed",
	} {
		_, err := Parse(body)
		assert.ErrorContains(t, err, want)
	}
}

func TestCompare_MasksWhatDiffersFromRunToRun(t *testing.T) {
	said := parse(t, "$ go test\nok  \tpkg\t0.099s\n--- FAIL: T (0.00s)\ntook 1.5ms at 0xc000\ngoroutine 7 [running]:\n"+
		"read 127.0.0.1:8080->127.0.0.1:54321\n2026/01/02 03:04:05 log\n")
	printed := parse(t, "$ go test\nok  \tpkg\t(cached)\n--- FAIL: T (1.23s)\ntook 12µs at 0xc0ffee\ngoroutine 19 [running]:\n"+
		"read 127.0.0.1:8080->127.0.0.1:61000\n2027/11/12 13:14:15.123 log\n")
	assert.Empty(t, Compare(said, printed))
	assert.Equal(t, said.String(), Merge(said, printed).String(), "nothing to rewrite")
	for _, line := range []string{"5s", "127.0.0.1:8081", "12 orders", "-timeout 30s"} {
		assert.Equal(t, line, masked(line))
	}
}

func TestCompare_SaysTheFirstDifference(t *testing.T) {
	for _, test := range []struct{ said, printed, want string }{
		{"a\nb\n", "a\nc\n", `$ x: prints "c", not "b"`},
		{"a\nb\n", "a\n", `$ x: "b" is not printed`},
		{"a\n", "a\nb\n", `$ x: prints "b", too`},
		{"a\n…\nc\n", "a\nb\nd\n", `$ x: what stands around the line "…" is not printed like that`},
		{"a\n…\nc\n", "a\nb\nb\nc\n", ""},
		{"…\n", "", ""},
		{"a\n…\n", "a\nb\n", ""},
		{"", "a\n", `$ x: prints "a", too`},
		{"\na \n", "a\n\n", ""},
	} {
		assert.Equal(t, test.want, Compare(parse(t, "$ x\n"+test.said), parse(t, "$ x\n"+test.printed)), "%q %q", test.said, test.printed)
	}
}

func TestMerge(t *testing.T) {
	for _, test := range []struct{ name, said, printed, want string }{
		{"empty", "", "a\nb\n", "a\nb\n"},
		{"times stay", "a\n0.1s b\n", "c\n0.2s b\n", "c\n0.1s b\n"},
		{"figures change", "x.go:12: a\n", "x.go:13: a\n", "x.go:13: a\n"},
		{"what is left out stays out", "a\n…\nx:1\n", "a\nb\nc\nx:2\n", "a\n…\nx:2\n"},
		{"left out at the end", "a 1\n…\n", "a 2\nb\n", "a 2\n…\n"},
		{"left out at the beginning", "…\nz 1\n", "a\nz 2\n", "…\nz 2\n"},
		{"a line more", "a\nc\n", "a\nb\nc\n", "a\nb\nc\n"},
		{"a line less", "a\nb\nc\n", "a\nc\n", "a\nc\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Merge(parse(t, "$ x\n"+test.said), parse(t, "$ x\n"+test.printed))
			assert.Equal(t, "$ x\n"+test.want, got.String())
		})
	}
}

func TestCompareOrder(t *testing.T) {
	const said = "$ go test -bench .\ncpu: some\nBenchmarkA/x-2   1000   100.0 ns/op   3 allocs/op\nBenchmarkA/y-2   10   250 ns/op\nBenchmarkA/z-2   10   240 ns/op\n"
	for printed, want := range map[string]string{
		"cpu: other\nBenchmarkA/x-8 1 10 ns/op\nBenchmarkA/y-8 1 19 ns/op\nBenchmarkA/z-8 1 20 ns/op\n": "",
		"BenchmarkA/x-8 1 10 ns/op\nBenchmarkA/y-8 1 9 ns/op\nBenchmarkA/z-8 1 20 ns/op\n":              "$ go test -bench .: BenchmarkA/y was 250 to BenchmarkA/x's 100 and is now 9 to 10",
		"BenchmarkA/x 1 10 ns/op\nBenchmarkA/y 1 20 ns/op\n":                                            "$ go test -bench .: BenchmarkA/z is not measured",
	} {
		assert.Equal(t, want, CompareOrder(parse(t, said), parse(t, "$ go test -bench .\n"+printed)))
	}
	assert.Equal(t, "$ x: no figures", CompareOrder(parse(t, "$ x\n"), parse(t, "$ x\n")))
	const table = "$ sizes\njson  1,000 B\ngob   500 B\n"
	assert.Empty(t, CompareOrder(parse(t, table), parse(t, "$ sizes\njson 20 B\ngob 10 B\n")))
	assert.NotEmpty(t, CompareOrder(parse(t, table), parse(t, "$ sizes\njson 10 B\ngob 20 B\n")))
}

func TestPortMap(t *testing.T) {
	var m portMap
	real, err := m.toReal("-addr=127.0.0.1:8080")
	require.NoError(t, err)
	assert.NotEqual(t, "-addr=127.0.0.1:8080", real)
	again, err := m.toReal("127.0.0.1:8080 localhost:8081 127.0.0.1:0 example.com:8080")
	require.NoError(t, err)
	port := strings.TrimPrefix(real, "-addr=127.0.0.1:")
	assert.True(t, strings.HasPrefix(again, "127.0.0.1:"+port+" localhost:"), again)
	assert.True(t, strings.HasSuffix(again, " 127.0.0.1:0 example.com:8080"), again)
	assert.Equal(t, "dial 127.0.0.1:8080", m.toShown("dial 127.0.0.1:"+port))
}

// module makes a module with a program for each file given.
func module(t *testing.T, programs map[string]string) *Session {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n\ngo 1.26.0\n"), 0o666))
	for name, body := range programs {
		folder := filepath.Join(dir, "cmd", name)
		require.NoError(t, os.MkdirAll(folder, 0o777))
		text := "package main\n\nimport (\n\"bufio\"\n\"flag\"\n\"fmt\"\n\"io\"\n\"os\"\n)\n\nvar _, _, _, _ = bufio.NewReader, flag.Parse, io.Copy, os.Exit\n\nfunc main() {\n" + body + "\nfmt.Print()\n}\n"
		require.NoError(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(text), 0o666))
	}
	s := &Session{Dir: dir, Cache: t.TempDir(), Show: map[string]string{dir: "/home/you/m"}}
	t.Cleanup(s.End)
	return s
}

func TestSession_ProgramsAndPorts(t *testing.T) {
	t.Parallel()
	s := module(t, map[string]string{"prog": `
		to := flag.String("to", "127.0.0.1:7001", "call this ` + "`address`" + `")
		flag.Parse()
		dir, _ := os.Getwd()
		fmt.Println(*to, flag.Args(), dir)
		os.Exit(3)`})
	b := parse(t, "$ go run ./cmd/prog a 'b c' localhost:7002\n$ go run ./cmd/prog -to 127.0.0.1:7002\n$ go version\n")
	printed, err := s.Run(t.Context(), b, false)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:7001 [a b c localhost:7002] /home/you/m\nexit status 3", strings.Join(printed.Commands[0].lines(), "\n"))
	assert.Equal(t, "127.0.0.1:7002 [] /home/you/m\nexit status 3", strings.Join(printed.Commands[1].lines(), "\n"))
	assert.Contains(t, printed.Commands[2].lines()[0], "go version go")
}

func TestSession_TypesAndReads(t *testing.T) {
	t.Parallel()
	s := module(t, map[string]string{"echo": `
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			if in.Text() != "silent" {
				fmt.Println("got", in.Text())
			}
		}
		fmt.Println("end")`})
	for _, said := range []string{ // known, or to be filled in
		"$ go run ./cmd/echo\none ← you type\ngot one\nsilent ← you type\ntwo ← you type\ngot two\nend\n",
		"$ go run ./cmd/echo\none ← you type\nsilent ← you type\ntwo ← you type\n",
	} {
		printed, err := s.Run(t.Context(), parse(t, said), false)
		require.NoError(t, err)
		assert.Equal(t, "$ go run ./cmd/echo\none ← you type\ngot one\nsilent ← you type\ntwo ← you type\ngot two\nend\n", printed.String())
	}
}

func TestSession_ServersStayUntilTheEnd(t *testing.T) {
	t.Parallel()
	s := module(t, map[string]string{"server": `
		eof := flag.Bool("until-eof", false, "end with the input")
		flag.Parse()
		fmt.Println("listening", *eof)
		if *eof {
			io.Copy(io.Discard, os.Stdin)
			os.WriteFile("ended", nil, 0o666)
		}`})
	printed, err := s.Run(t.Context(), parse(t, "$ go run ./cmd/server\n"), true)
	require.NoError(t, err)
	assert.Equal(t, "$ go run ./cmd/server\nlistening true\n", printed.String())
	assert.NoFileExists(t, filepath.Join(s.Dir, "ended"))
	s.End()
	assert.FileExists(t, filepath.Join(s.Dir, "ended"))
}

func TestSession_SaysWhatCannotRun(t *testing.T) {
	t.Parallel()
	s := module(t, map[string]string{"broken": "x := 1"})
	_, err := s.Run(t.Context(), parse(t, "$ go run ./cmd/broken\n"), false)
	assert.ErrorContains(t, err, "$ go run ./cmd/broken: ./cmd/broken does not build:\n")
	_, err = s.Run(t.Context(), parse(t, "$ no-such-program\n"), false)
	assert.ErrorContains(t, err, "executable file not found")
}

func TestGoRun(t *testing.T) {
	for line, want := range map[string]*runCommand{
		"go run ./cmd/server -x":      {"", []string{}, "./cmd/server", []string{"-x"}},
		"go run -race . a":            {"", []string{"-race"}, ".", []string{"a"}},
		"go -C ../b run ./cmd/server": {"../b", []string{}, "./cmd/server", []string{}},
		"go test ./...":               nil, "go -C ../b test": nil, "go run": nil, "run x": nil,
	} {
		assert.Equal(t, want, goRun(strings.Fields(line)), line)
	}
}

func TestSession_RunsElsewhere(t *testing.T) {
	t.Parallel()
	s := module(t, map[string]string{"where": "dir, _ := os.Getwd()\nfmt.Println(dir)"})
	s.Dir = filepath.Join(s.Dir, "cmd", "where")
	printed, err := s.Run(t.Context(), parse(t, "$ go -C ../.. run ./cmd/where\n$ go run .\n"), false)
	require.NoError(t, err)
	assert.Equal(t, "$ go -C ../.. run ./cmd/where\n/home/you/m\n$ go run .\n/home/you/m/cmd/where\n", strings.ReplaceAll(printed.String(), `\`, "/"))
}

func TestProgram_ReadsFlagsOfTheTool(t *testing.T) {
	const help = "Flags:\n      --addr address     the server's address (default \"127.0.0.1:8080\")\n" +
		"      --until-eof        end when standard input does\n"
	assert.Equal(t, "addr", addrFlag.FindStringSubmatch(help)[1])
	assert.True(t, eofFlag.MatchString(help))
}

func TestEnv(t *testing.T) {
	t.Setenv("GOFLAGS", "-v")
	t.Setenv("GOWORK", "off")
	env := Env()
	assert.NotContains(t, env, "GOFLAGS=-v")
	assert.NotContains(t, env, "GOWORK=off")
	assert.Contains(t, env, "GOTOOLCHAIN=local")
}
