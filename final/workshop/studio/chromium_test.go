package studio

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"

	"example.com/rpc-from-scratch/final/internal/chromium"
)

// A tab is a page of a browser, driven as its developer tools are: keys and clicks are
// those of a reader.
type tab struct {
	t    *testing.T
	conn *websocket.Conn

	mu      sync.Mutex // guards what follows
	last    int
	answers map[int]chan answer
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// openTab starts a browser, which ends with the test.
func openTab(t *testing.T) *tab {
	t.Helper()
	browser := chromium.Start(t, "about:blank", "--remote-allow-origins=*", "--window-size=1440,1000")
	return attach(t, browser.DevTools(t))
}

// attach connects to the browser's first tab.
func attach(t *testing.T, browser string) *tab {
	t.Helper()
	var pages []struct{ Type, WebSocketDebuggerURL string }
	for len(pages) == 0 {
		getJSON(t, "http://"+browser+"/json/list", &pages)
	}
	conn, err := websocket.Dial(pages[0].WebSocketDebuggerURL, "", "http://127.0.0.1")
	require.NoError(t, err)
	conn.MaxPayloadBytes = 64 << 20
	b := &tab{t: t, conn: conn, answers: map[int]chan answer{}}
	t.Cleanup(func() { conn.Close() })
	go b.read()
	b.do("Page.enable", nil)
	b.do("Runtime.enable", nil)
	return b
}

func (b *tab) read() {
	for {
		var m struct {
			ID int
			answer
		}
		if websocket.JSON.Receive(b.conn, &m) != nil {
			return
		}
		b.mu.Lock()
		to := b.answers[m.ID]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		if to != nil {
			to <- m.answer
		}
	}
}

// do sends a command, and returns its result.
func (b *tab) do(method string, params any) json.RawMessage {
	b.t.Helper()
	to := make(chan answer, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.answers[id] = to
	b.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	require.NoError(b.t, websocket.JSON.Send(b.conn, map[string]any{"id": id, "method": method, "params": params}))
	select {
	case a := <-to:
		if a.Error != nil {
			require.Fail(b.t, method, a.Error.Message)
		}
		return a.Result
	case <-time.After(3 * time.Minute):
		require.Fail(b.t, "the browser does not answer", method)
		return nil
	}
}

// eval returns the value of a JavaScript expression, which may be a promise.
func (b *tab) eval(expression string) any {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	require.NoError(b.t, json.Unmarshal(b.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}), &r))
	if r.ExceptionDetails != nil {
		require.Fail(b.t, expression, r.ExceptionDetails.Exception.Description)
	}
	return r.Result.Value
}

// until waits until an expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	script := `new Promise((resolve) => { const end = Date.now() + 150000; (function look() {
		let found = false; try { found = !!(` + expression + `); } catch (e) {}
		if (found) resolve(true); else if (Date.now() > end) resolve(false); else setTimeout(look, 15); })(); })`
	if b.eval(script) != true {
		require.Fail(b.t, "waited in vain: "+what, "%v", b.eval("document.title + '\\n' + document.body.innerText.slice(0, 3000)"))
	}
}

// open goes to a page, and waits until it is loaded and has what the server sends.
func (b *tab) open(url string) {
	b.t.Helper()
	b.do("Page.navigate", map[string]any{"url": url})
	path, _, _ := strings.Cut(url, "?")
	b.until(url, fmt.Sprintf(`location.href.split(/[?#]/)[0] === %q && document.readyState === "complete" && document.documentElement.dataset.studio === "live"`, strings.Split(path, "#")[0]))
}

// key presses a key, as the reader does.
func (b *tab) key(name string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40}
	params := map[string]any{"type": "keyDown", "key": name, "windowsVirtualKeyCode": codes[name]}
	switch {
	case name == "Enter":
		params["text"] = "\r"
	case len(name) == 1:
		params["text"] = name
	}
	b.do("Input.dispatchKeyEvent", params)
	params["type"] = "keyUp"
	delete(params, "text")
	b.do("Input.dispatchKeyEvent", params)
}

// size sets the width of the window, and the theme.
func (b *tab) size(width int, theme string) {
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false})
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": theme}}})
}

// shoot writes pictures of what is around an element to the folder that STUDIO_SHOTS names, if it does.
func (b *tab) shoot(name, element string) {
	dir := os.Getenv("STUDIO_SHOTS")
	if dir == "" {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1440, 768, 390} {
			b.size(width, theme)
			b.eval(element + `.scrollIntoView({block: "center"})`)
			var shot struct{ Data []byte }
			require.NoError(b.t, json.Unmarshal(b.do("Page.captureScreenshot", nil), &shot))
			require.NoError(b.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, theme, width)), shot.Data, 0o666))
		}
	}
	b.size(1440, "light")
}
