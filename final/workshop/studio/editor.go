package studio

import (
	"fmt"
	"html/template"
	"net/url"
	"path/filepath"
	"strings"
)

// defaultEditor opens VS Code.
const defaultEditor = "vscode://file/{path}:{line}:{column}"

// An editor is a link that opens a file, with {path}, {line} and {column} in it.
type editor string

// newEditor refuses what is no link to a program.
func newEditor(text string) (editor, error) {
	if text == "" {
		text = defaultEditor
	}
	scheme, _, ok := strings.Cut(text, ":")
	if !ok || !strings.Contains(text, "{path}") {
		return "", fmt.Errorf(`-editor %s: want a link with {path} in it, such as "idea://open?file={path}&line={line}"`, text)
	}
	if _, err := url.Parse(scheme + "://x"); err != nil {
		return "", fmt.Errorf("-editor %s: %w", text, err)
	}
	switch strings.ToLower(scheme) {
	case "javascript", "data", "vbscript", "blob":
		return "", fmt.Errorf("-editor %s: a link that runs a script is refused", text)
	}
	return editor(text), nil
}

// link returns the link to a place such as "rpc/server.go:43:1" below dir; "" if it is none.
func (e editor) link(dir, place string) template.URL {
	file, rest, ok := strings.Cut(place, ":")
	if !ok || file == "" {
		return ""
	}
	line, column, _ := strings.Cut(rest, ":")
	column, _, _ = strings.Cut(column, ":")
	if !isNumber(line) {
		return ""
	}
	if !isNumber(column) {
		column = "1"
	}
	path := filepath.ToSlash(filepath.Join(dir, filepath.FromSlash(file)))
	path = strings.TrimPrefix((&url.URL{Path: path}).EscapedPath(), "./")
	if strings.Contains(string(e), "/{path}") {
		path = strings.TrimPrefix(path, "/")
	}
	return template.URL(strings.NewReplacer("{path}", path, "{line}", line, "{column}", column).Replace(string(e)))
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
