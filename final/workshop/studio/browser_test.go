package studio

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
)

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	require.NoError(t, json.NewDecoder(r.Body).Decode(into))
}

// readLine is the first piece of station 01: as we write it, and as readers might.
const (
	right  = "\tvar line []byte\n\tfor {\n\t\tpiece, err := r.ReadSlice('\\n')\n\t\tline = append(line, piece...)\n\t\tif err == nil {\n\t\t\tline = line[:len(line)-1]\n\t\t}\n\t\tswitch {\n\t\tcase len(line) > maxLine:\n\t\t\treturn nil, errLineTooLong\n\t\tcase err == nil:\n\t\t\treturn line, nil\n\t\tcase err != bufio.ErrBufferFull:\n\t\t\treturn nil, err\n\t\t}\n\t}\n"
	wrong  = "\treturn r.ReadBytes('\\n')\n"
	hangs  = "\tselect {}\n"
	broken = "\treturn nil, undefined(\n"
)

// write gives readLine another body, as the reader's editor does when it saves.
func (h *hosted) write(t *testing.T, body string) {
	t.Helper()
	text := "package rpc\n\nimport (\n\t\"bufio\"\n\t\"fmt\"\n)\n\nconst maxLine = 64 << 10\n\nvar errLineTooLong = fmt.Errorf(\"message is longer than %d bytes\", maxLine)\n\n" +
		"func readLine(r *bufio.Reader) ([]byte, error) {\n" + body + "}\n"
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "rpc", "line.go"), []byte(text), 0o666))
}

const lesson01 = "step01-tcp-server/index.html"

// A reader saves, sees red with a hint, fixes it, and sees green; the rest happens to
// readers, too.
func TestStudio_InChromium(t *testing.T) {
	seldom.Test(t)
	b := openTab(t) // first: it skips
	h := host(t, course.Stations[0], check.Options{Timeout: 3 * time.Second, Run: check.Only("TestReadLine_ReturnsALineWithoutItsNewline", "TestReadLine_StopsAtTheLimit")})
	b.t = t
	b.size(1440, "light")
	b.open(h.studio.URL())
	b.until("the token leaves the address", `location.search === ""`)
	b.open(h.url(lesson01))
	piece := `document.getElementById("studio-piece-a-line")`
	test := `document.getElementById("test-TestReadLine_ReturnsALineWithoutItsNewline")`
	b.until("the first check", piece+`.innerText.includes("not begun") && !document.querySelector(".busy")`)
	b.until("what to do", `document.querySelector(".studio-bar .todo").innerText.includes("Write readLine in rpc/line.go")`)

	t.Run("notes beside the text leave panels their room", func(t *testing.T) {
		b.t = t
		assert.Equal(t, float64(0), b.eval(`(() => {
			const box = (e) => e.getBoundingClientRect(), notes = Array.from(document.querySelectorAll("main > .note"));
			const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
			return Array.from(document.querySelectorAll(".studio-panel")).filter((p) => notes.some((n) => !n.contains(p) && over(box(n), box(p)))).length;
		})()`))
	})

	t.Run("save, red, hint, fix, green", func(t *testing.T) {
		b.t = t
		h.write(t, wrong)
		saved := time.Now()
		b.until("red", test+` && `+test+`.innerText.includes("fails") && !`+test+`.innerText.includes("yours to write")`)
		t.Logf("from save to the first result on the page: %v", time.Since(saved).Round(10*time.Millisecond))
		b.until("the whole check", `!document.querySelector(".busy")`)
		assert.Equal(t, true, b.eval(test+`.open`), "the test to begin with is open")
		text := b.eval(test + `.innerText`).(string)
		assert.Contains(t, text, "expected")
		assert.Contains(t, text, "got")
		assert.Contains(t, text, "Hint")
		assert.Contains(t, text, "rpc/seams_test.go:")
		link := b.eval(test + `.querySelector("a.edit").href`).(string)
		assert.True(t, strings.HasPrefix(link, "vscode://file/") && strings.Contains(link, "/rpc/seams_test.go:"), link)
		b.until("the code differs", piece+`.innerText.includes("differs from ours")`)
		b.shoot("red", test)
		b.eval(test + `.open = false, ` + piece + `.querySelector("form button").click()`)
		b.until("our code, in a panel that was sent anew", piece+`.querySelector(".compared")`)
		assert.Equal(t, false, b.eval(test+`.open`), "what the reader has closed stays closed")
		b.eval(piece + `.querySelector("form button").click()`)
		b.until("hidden", `!`+piece+`.querySelector(".compared")`)

		h.write(t, right)
		b.until("green", piece+`.querySelector(".chip").innerText === "green" || `+piece+`.innerText.includes("same as ours")`)
		b.until("the test is green", `!`+test+` || !document.querySelector("#studio-piece-a-line .chip.bad")`)
		b.until("it is said", `document.getElementById("studio-live").innerText.includes("2 of 2 tests pass")`)
	})

	t.Run("a syntax error", func(t *testing.T) {
		b.t = t
		h.write(t, broken)
		b.until("the mistake", `document.querySelector(".mistake") && document.querySelector(".mistake").innerText.includes("rpc/line.go:")`)
		b.until("the bar says so", `document.getElementById("studio-bar").innerText.includes("does not compile")`)
		assert.Contains(t, b.eval(`document.querySelector(".mistake a.edit").href`), "/rpc/line.go:")
		for _, when := range []string{"at once", "after the whole check"} {
			assert.Contains(t, b.eval(piece+`.innerText`), "before the mistake", when)
			assert.Equal(t, float64(0), b.eval(`document.querySelectorAll("[data-panel] .chip.good:not(.stale)").length`), "%s: nothing looks as if it were green now", when)
			assert.Equal(t, "dashed", b.eval(`getComputedStyle(`+piece+`.querySelector(".chip.stale")).borderTopStyle`), when)
			b.until("the whole check", `!document.querySelector(".busy")`)
		}
		b.shoot("mistake", `document.querySelector(".mistake")`)
	})

	t.Run("a hang", func(t *testing.T) {
		b.t = t
		h.write(t, hangs)
		b.until("the hang", test+` && `+test+`.innerText.includes("hangs")`)
		b.until("the goroutine", `document.querySelector(".goroutine") && document.querySelector(".goroutine").innerText.includes("rpc/line.go:")`)
		assert.Contains(t, b.eval(`Array.from(document.querySelectorAll(".goroutine a.edit")).map((a) => a.href).join(" ")`), "/rpc/line.go:")
		b.shoot("hang", `document.querySelector(".goroutine")`)
		h.write(t, right)
		b.until("green again", `document.getElementById("studio-live").innerText.includes("2 of 2 tests pass") && !document.querySelector(".busy")`)
	})

	t.Run("predict, by the keyboard alone", func(t *testing.T) {
		b.t = t
		b.eval(`document.getElementById("studio-predict").scrollIntoView(), document.body.focus()`)
		assert.NotContains(t, b.eval(`document.getElementById("studio-predict").innerText`), "Ours:", "nothing is given away")
		b.tabTo(`document.getElementById("studio-answer")`)
		b.shoot("question", `document.getElementById("studio-predict")`)
		for _, c := range "1024 <b>letters</b>" {
			b.key(string(c))
		}
		b.key("Tab")
		b.key("Enter")
		b.until("our answer", `document.getElementById("studio-predict").innerText.includes("Why the tempting answers are wrong")`)
		assert.Equal(t, "1024 <b>letters</b>", b.eval(`document.querySelector(".mine").innerText`), "an answer is text")
		text, err := os.ReadFile(filepath.Join(h.dir, ".workshop.json"))
		require.NoError(t, err)
		assert.Contains(t, string(text), "1024", "it stays in the folder")
		b.shoot("answer", `document.getElementById("studio-predict")`)
	})

	t.Run("the difference, by the keyboard alone", func(t *testing.T) {
		b.t = t
		server := `document.getElementById("studio-piece-a-connection")`
		b.eval(server + `.scrollIntoView()`)
		assert.Nil(t, b.eval(server+`.querySelector(".compared")`))
		b.tabTo(server + `.querySelector("button")`)
		assert.Equal(t, "Show our code before it is green", b.eval(`document.activeElement.innerText`))
		b.key("Enter")
		b.until("our code", server+`.querySelector(".compared") && `+server+`.querySelector(".compared .add")`)
		b.until("the focus stays", `document.activeElement.innerText === "Hide the difference"`)
		b.shoot("difference", server)
		b.key("Enter")
		b.until("hidden", `!`+server+`.querySelector(".compared")`)
		b.key("n")
		b.until("the next thing to do", `location.hash === "#studio-piece-everything-that-is-open"`)
	})

	t.Run("the wire", func(t *testing.T) {
		b.t = t
		theWire(t, b, h)
	})
	t.Run("axe", func(t *testing.T) {
		b.t = t
		accessible(t, b, h)
	})
}

// tabTo presses Tab until an element has the focus.
func (b *tab) tabTo(element string) {
	b.t.Helper()
	for range 400 {
		if b.eval(`document.activeElement === `+element) == true {
			return
		}
		b.key("Tab")
	}
	require.Fail(b.t, "Tab does not lead to "+element)
}

// theWire runs the reader's server from the page, talks to it, and looks at the messages.
func theWire(t *testing.T, b *tab, h *hosted) {
	require.NoError(t, h.solve())
	b.open(h.url(wirePage))
	b.tabTo(`document.querySelector("#studio-server button")`)
	b.key("Enter")
	b.until("the server runs", `document.getElementById("studio-server").innerText.includes("your server runs")`)
	addr := b.eval(`/-addr (\S+)/.exec(document.querySelector("#studio-server pre").innerText)[1]`).(string)
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(line string) {
		_, err := fmt.Fprintln(conn, line)
		require.NoError(t, err)
		got, err := in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, line+"\n", got)
	}
	say("hello <i>there</i>")
	row := `document.querySelectorAll("#wire-list .wirerow")`
	b.until("both messages", row+`.length === 3 && `+row+`[2].innerText.includes("line")`)
	assert.Contains(t, b.eval(row+`[1].innerText`), `line "hello <i>there</i>"`)

	b.tabTo(`document.getElementById("wire-list")`)
	b.key("ArrowDown")
	b.key("ArrowDown")
	b.until("its bytes", `document.querySelector("#wire-message .hex") && document.querySelector("#wire-message .hex").innerText.includes("68 65 6c 6c 6f")`)
	assert.Contains(t, b.eval(`document.getElementById("wire-message").innerText`), "From the client")
	b.shoot("wire", `document.getElementById("wire-tools")`)
	b.size(360, "light")
	assert.Equal(t, true, b.eval(`(() => { const head = document.querySelector(".wirehead"), ends = Array.from(head.children, (s) => Math.round(s.getBoundingClientRect().bottom));
		return ends.every((end) => end === ends[0]) && head.offsetHeight < 50; })()`), "the heads of narrow columns stand on one line")
	b.size(1440, "light")

	b.eval(`document.getElementById("wire-pause").click()`)
	for range 4999 {
		_, err := fmt.Fprintln(conn, "x")
		require.NoError(t, err)
		_, err = in.ReadString('\n')
		require.NoError(t, err)
	}
	b.until("they wait", `document.getElementById("wire-count").innerText.includes("9998 since the pause")`)
	assert.Equal(t, float64(3), b.eval(row+`.length`))
	took := b.eval(`(() => { const begin = performance.now(); document.getElementById("wire-pause").click(); document.getElementById("wire-list").scrollTop = 1e9; return performance.now() - begin; })()`)
	t.Logf("10,000 messages are added in %.0f ms", took)
	b.until("the list is bounded", `document.getElementById("wire-count").innerText.startsWith("10000 messages")`)
	b.until("few rows are in the page", row+`.length < 100 && `+row+`.length > 10`)
	frame := b.eval(`new Promise((resolve) => { const list = document.getElementById("wire-list"); let n = 0, worst = 0, before = performance.now();
		(function step(now) { worst = Math.max(worst, now - before); before = now; list.scrollTop = (n * 7919) % list.scrollHeight; if (n++ < 60) requestAnimationFrame(step); else resolve(worst); })(before); })`)
	t.Logf("scrolling through them, the longest frame takes %.0f ms", frame)
	b.until("rows where it was scrolled to", row+`.length > 10`)
	b.eval(`(() => { const c = document.getElementById("wire-call"); c.value = "7"; c.dispatchEvent(new Event("input")); })()`)
	b.until("the filter", `document.getElementById("wire-count").innerText.startsWith("0 of 10000")`)
	b.eval(`document.getElementById("wire-clear").click()`)
	b.until("it is cleared", `document.getElementById("wire-count").innerText.startsWith("0 of 0")`)
	b.open(h.url(wirePage))
	b.until("it stays so", `document.getElementById("wire-count").innerText === "0 messages"`)

	b.eval(`document.querySelector("#studio-server button").click()`)
	b.until("it has stopped", `document.getElementById("studio-server").innerText.includes("does not run")`)
	_, err = net.Dial("tcp", addr)
	assert.Error(t, err, "nothing of it is left")
}

// accessible runs axe on each kind of page, and looks whether one is too wide.
func accessible(t *testing.T, b *tab, h *hosted) {
	file := os.Getenv("AXE_CORE")
	if file == "" {
		t.Skip("AXE_CORE does not name axe.min.js (npm install axe-core)")
	}
	axe, err := os.ReadFile(file)
	require.NoError(t, err)
	h.write(t, wrong)
	for _, page := range []string{lesson01, wirePage, "index.html"} {
		b.open(h.url(page))
		if page == lesson01 {
			b.until("red", `document.querySelector(".failure") && !document.querySelector(".busy")`)
		}
		b.eval(string(axe) + "; 0")
		for width, theme := range map[int]string{1440: "dark", 390: "light"} {
			b.size(width, theme)
			at := fmt.Sprintf("%s, %s, %d", page, theme, width)
			assert.Equal(t, true, b.eval(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`), at+": it is too wide")
			b.eval(`document.querySelectorAll("main details").forEach((d) => { d.open = true; })`)
			assert.Empty(t, b.eval(`axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | ")))`), at)
		}
	}
}
