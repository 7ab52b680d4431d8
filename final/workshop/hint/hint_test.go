package hint

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

const page = `# Hints for 03

Question: why does a client *read*
in a goroutine of its own?

Answer: nobody else
would read.

Words for those who keep the page.

## TestClient_GetsTheResult

1. Look at ` + "`Client.Call`" + `.
2. Two paragraphs.

   And code:

   ` + "```go" + `
   func f() {
   	return
   }
   ` + "```" + `
3. - one
   - two

## ` + "`TestScripts/call`" + `

1. Only one.
`

func TestParse(t *testing.T) {
	for name, text := range map[string]string{"newlines": page, "CRLF": crlf(page)} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(text))
			require.NoError(t, err)
			assert.Equal(t, "why does a client *read*\nin a goroutine of its own?", p.Question)
			assert.Equal(t, "nobody else\nwould read.", p.Answer)
			assert.Equal(t, []string{"TestClient_GetsTheResult", "TestScripts/call"}, p.Tests)
			assert.Equal(t, []string{
				"Look at `Client.Call`.",
				"Two paragraphs.\n\nAnd code:\n\n    func f() {\n    \treturn\n    }",
				"- one\n- two",
			}, p.Of("TestClient_GetsTheResult"))
			assert.Equal(t, []string{"Only one."}, p.Of("TestScripts/call"))
			assert.Empty(t, p.Of("TestOther"))
		})
	}
}

func crlf(s string) string {
	var b []byte
	for i := range len(s) {
		if s[i] == '\n' {
			b = append(b, '\r')
		}
		b = append(b, s[i])
	}
	return string(b)
}

func TestParse_AnAnswerMayFollowInTheSameParagraph(t *testing.T) {
	p, err := Parse([]byte("Question: who\nreads?\nAnswer: nobody.\n"))
	require.NoError(t, err)
	assert.Equal(t, "who\nreads?", p.Question)
	assert.Equal(t, "nobody.", p.Answer)
}

func TestParse_SaysWhatIsNotAsItShouldBe(t *testing.T) {
	for text, want := range map[string]string{
		"1. lost\n":                                   "before the first ## heading",
		"## TestA\n\nwords\n":                         "TestA has no numbered list",
		"## TestA\n\n## TestB\n\n1. b\n":              "TestA has no numbered list",
		"## TestA\n\n- a\n":                           "TestA: the hints have to be numbered",
		"## TestA\n\n1. a\n\nwords\n\n1. b\n":         "TestA has two lists",
		"## TestA\n\n1. a\n\n## TestA\n\n1. b\n":      "TestA has two headings",
		"## TestA and more\n\n1. a\n":                 `heading "TestA and more"`,
		"## Server\n\n1. a\n":                         `heading "Server"`,
		"## TestA\n\n1. a\n\n### TestA/sub\n\n1. b\n": `heading "TestA/sub"`,
	} {
		_, err := Parse([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}

func TestLoad(t *testing.T) {
	station, err := course.Find("03")
	require.NoError(t, err)

	p, err := load(fstest.MapFS{}, station)
	require.NoError(t, err)
	assert.Empty(t, p.Question)
	assert.Empty(t, p.Of("TestA"))

	_, err = load(fstest.MapFS{"03.md": {Data: []byte("## TestA\n")}}, station)
	assert.ErrorContains(t, err, "hints/03.md: TestA has no numbered list")
}

func TestFor_LooksAtTheStationsBefore(t *testing.T) {
	station, err := course.Find("4b")
	require.NoError(t, err)
	own, from, err := For(station, "TestServer_RegistersWhileItServes")
	require.NoError(t, err)
	assert.Equal(t, "4b", from.Name)
	assert.GreaterOrEqual(t, len(own), 2)
	earlier, from, err := For(station, "TestServer_CallsARegisteredMethod")
	require.NoError(t, err)
	assert.Equal(t, "4a", from.Name)
	assert.GreaterOrEqual(t, len(earlier), 2)
	none, _, err := For(station, "TestServer_AnswersWhenItsOwnLimitIsOver") // of 5f
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestLoad_EveryPageOfTheCourseCanBeRead(t *testing.T) {
	for _, station := range course.Stations {
		_, err := Load(station)
		assert.NoError(t, err)
	}
}
