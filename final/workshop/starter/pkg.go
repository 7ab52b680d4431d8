package starter

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"path"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// A pkg is what must be known of a package to write stubs for it.
type pkg struct {
	name    string
	types   map[string]ast.Expr // what each of its types is defined as
	methods map[string]bool     // Type.Method
	here    []string            // the types of the file to write a stub for
}

// readPkg reads the package that the file called name belongs to.
func readPkg(files course.Files, name string) pkg {
	p := pkg{types: map[string]ast.Expr{}, methods: map[string]bool{}}
	for other, src := range files {
		if path.Dir(other) != path.Dir(name) || !course.IsCode(other) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), other, src, parser.SkipObjectResolution)
		if err != nil {
			continue // the compiler says so better
		}
		p.name = file.Name.Name
		for _, decl := range file.Decls {
			p.add(decl, other == name)
		}
	}
	return p
}

// add notes what a declaration says about types.
func (p *pkg) add(decl ast.Decl, here bool) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		p.methods[source.FuncName(decl)] = true
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				p.types[t.Name.Name] = t.Type
				if here {
					p.here = append(p.here, t.Name.Name)
				}
			}
		}
	}
}

// declared returns the names of all that the other files beside name declare.
func declared(files course.Files, name string) map[string]bool {
	all := map[string]bool{}
	for other, src := range files {
		if other != name && path.Dir(other) == path.Dir(name) && course.IsCode(other) {
			maps.Copy(all, names(src))
		}
	}
	return all
}

// names returns what a file declares. A file that does not parse has what stands
// before its mistake.
func names(src []byte) map[string]bool {
	found := map[string]bool{}
	file, _ := parser.ParseFile(token.NewFileSet(), "", src, parser.SkipObjectResolution)
	if file == nil {
		return found
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.Name != "init" && decl.Name.Name != "main" {
				found[source.FuncName(decl)] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				for _, n := range source.SpecNames(spec) {
					found[n] = true
				}
			}
		}
	}
	delete(found, "_")
	return found
}

// value returns an expression for the zero value of a type. If made, a pointer
// to a struct of the package points to a new one, and so does an interface that
// the file has a struct for: a test that uses it sees what it does not do, in
// place of a panic that ends all tests.
func (p pkg) value(t ast.Expr, made bool) string {
	switch t := t.(type) {
	case *ast.Ident:
		if made {
			if name, ok := p.implementation(t.Name); ok {
				return "&" + name + "{}"
			}
		}
		return p.named(t.Name)
	case *ast.StarExpr:
		if ident, ok := t.X.(*ast.Ident); ok && made {
			if _, ok := p.types[ident.Name].(*ast.StructType); ok {
				return "&" + ident.Name + "{}"
			}
		}
		return "nil"
	case *ast.ArrayType:
		if t.Len != nil {
			return written(t) + "{}"
		}
		return "nil"
	case *ast.MapType, *ast.ChanType, *ast.FuncType, *ast.InterfaceType:
		return "nil"
	case *ast.StructType:
		return written(t) + "{}"
	}
	// A type of another package, or a generic one.
	text := written(t)
	switch text {
	case "context.Context":
		return "context.Background()"
	case "net.Conn", "net.Listener", "io.Reader", "io.Writer", "reflect.Type":
		return "nil"
	case "time.Duration":
		return "0"
	}
	return "*new(" + text + ")"
}

// implementation returns the struct of the file that has the methods of an
// interface of the package.
func (p pkg) implementation(name string) (string, bool) {
	t, ok := p.types[name].(*ast.InterfaceType)
	if !ok || t.Methods.NumFields() == 0 {
		return "", false
	}
	for _, candidate := range p.here {
		if _, ok := p.types[candidate].(*ast.StructType); ok && p.has(candidate, t) {
			return candidate, true
		}
	}
	return "", false
}

// has reports whether a type has the methods that an interface names.
func (p pkg) has(name string, t *ast.InterfaceType) bool {
	for _, method := range t.Methods.List {
		if len(method.Names) == 0 || !p.methods[name+"."+method.Names[0].Name] {
			return false
		}
	}
	return true
}

// named returns the zero value of a type by its name.
func (p pkg) named(name string) string {
	switch t := p.types[name].(type) {
	case nil:
	case *ast.StructType:
		return name + "{}"
	case *ast.ArrayType:
		if t.Len != nil {
			return name + "{}"
		}
		return "nil"
	case *ast.Ident:
		if t.Name != name {
			if v := p.named(t.Name); !strings.HasSuffix(v, "{}") {
				return v
			}
			return name + "{}"
		}
	case *ast.SelectorExpr, *ast.IndexExpr, *ast.IndexListExpr:
		return "*new(" + name + ")"
	default:
		return "nil"
	}
	switch name {
	case "string":
		return `""`
	case "bool":
		return "false"
	case "error", "any":
		return "nil"
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr",
		"byte", "rune", "float32", "float64", "complex64", "complex128":
		return "0"
	}
	return "*new(" + name + ")" // a type parameter
}

// written returns a type as it is written.
func written(t ast.Expr) string {
	var b strings.Builder
	if err := printer.Fprint(&b, token.NewFileSet(), t); err != nil {
		panic(err) // a Builder takes all, and t was parsed
	}
	return b.String()
}
