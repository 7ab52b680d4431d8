package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// A ref is a file that a block's first line names: "rpc/server.go",
// "5a:rpc/client.go", "/final/rpc/reader.go".
type ref struct {
	name    string          // as the station or the root knows it
	station *course.Station // nil: name counts from the root
}

// ref returns what word means in a block.
func (p *Page) ref(word string) (ref, error) {
	if name, ok := strings.CutPrefix(word, "/"); ok {
		return ref{name, nil}, nil
	}
	if station, name, ok := strings.Cut(word, ":"); ok {
		s, err := course.Find(station)
		return ref{name, &s}, err
	}
	if s := p.Station; s != nil && !strings.HasPrefix(word, "..") {
		return ref{word, s}, nil
	}
	return ref{path.Join(p.Base(), word), nil}, nil
}

// refTo returns what a block of the page calls a file of s.
func (p *Page) refTo(s course.Station, file string) string {
	if p.Station != nil && p.Station.Name == s.Name {
		return file
	}
	return s.Name + ":" + file
}

// read returns a ref's text.
func (c *Course) read(r ref) (string, error) {
	if r.station == nil {
		data, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(r.name)))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no %s", r.name)
		}
		return strings.ReplaceAll(string(data), "\r\n", "\n"), err
	}
	files, err := c.files(*r.station, r.station.Module())
	if err != nil {
		return "", err
	}
	data, ok := files[r.name]
	if !ok {
		return "", fmt.Errorf("station %s has no %s", r.station.Name, r.name)
	}
	return string(data), nil
}

// parse returns the declarations of a ref's file.
func (c *Course) parse(r ref) (*source.File, error) {
	text, err := c.read(r)
	if err != nil {
		return nil, err
	}
	return source.Parse(r.name, []byte(text))
}
