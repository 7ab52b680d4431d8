package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// acceptLoop returns the place of a loop around Accept in which a goroutine runs
// that ought to wait: Accept fails each time, and the loop goes on. "" if there is
// none.
func acceptLoop(dir string, all []Goroutine) string {
	for _, g := range all {
		if !g.works() {
			continue
		}
		for _, frame := range g.Own {
			if place := acceptLoopAt(dir, frame); place != "" {
				return place
			}
		}
	}
	return ""
}

// acceptLoopAt looks for a loop around Accept at a frame, "rpc/server.go:43 in …".
func acceptLoopAt(dir, frame string) string {
	place, _, _ := strings.Cut(frame, " ")
	name, number, _ := strings.Cut(place, ":")
	line, err := strconv.Atoi(number)
	if err != nil || isTestFrame(frame) {
		return ""
	}
	fset := token.NewFileSet()
	file, _ := parser.ParseFile(fset, filepath.Join(dir, filepath.FromSlash(name)), nil, parser.SkipObjectResolution)
	if file == nil {
		return ""
	}
	found := ""
	ast.Inspect(file, func(n ast.Node) bool {
		loop, ok := n.(*ast.ForStmt)
		if ok && fset.Position(loop.Pos()).Line <= line && line <= fset.Position(loop.End()).Line && callsAccept(loop.Body) {
			found = fmt.Sprintf("%s:%d", name, fset.Position(loop.Pos()).Line)
		}
		return true
	})
	return found
}

// callsAccept reports whether a loop's body calls a method Accept itself.
func callsAccept(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "Accept") {
				found = true
			}
		}
		return !found
	})
	return found
}
