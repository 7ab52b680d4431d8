package pack

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// An archive is written file by file. The same files make the same bytes.
type archive interface {
	add(f file) error
	Close() error
}

// A file is one of an archive's.
type file struct {
	name       string // with slashes, below the archive's folder
	data       []byte
	executable bool
}

// stamped is the time of all files: when the archive is made does not matter.
var stamped = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newArchive returns the kind of archive that name ends with.
func newArchive(w io.Writer, name string) (archive, error) {
	switch kindOf(name) {
	case ".zip":
		return zipArchive{zip.NewWriter(w)}, nil
	case ".tar.gz":
		gz := gzip.NewWriter(w)
		return tarArchive{tar.NewWriter(gz), gz}, nil
	}
	return nil, fmt.Errorf("%s: the name has to end in .zip or .tar.gz", name)
}

// kindOf returns ".zip", ".tar.gz" or "".
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".zip"):
		return ".zip"
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return ".tar.gz"
	}
	return ""
}

func (f file) mode() int64 {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// full returns the name in the archive, all of which is in one folder.
func (f file) full() string { return path.Join(Folder, f.name) }

type zipArchive struct{ *zip.Writer }

func (a zipArchive) add(f file) error {
	header := &zip.FileHeader{Name: f.full(), Method: zip.Deflate, Modified: stamped}
	if strings.HasSuffix(f.name, ".zip") {
		header.Method = zip.Store // a module, compressed already
	}
	header.SetMode(fs.FileMode(f.mode()))
	w, err := a.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = w.Write(f.data)
	return err
}

type tarArchive struct {
	*tar.Writer
	gz *gzip.Writer
}

func (a tarArchive) add(f file) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.full(), Mode: f.mode(), Size: int64(len(f.data)), ModTime: stamped, Format: tar.FormatPAX}
	if err := a.WriteHeader(header); err != nil {
		return err
	}
	_, err := a.Write(f.data)
	return err
}

func (a tarArchive) Close() error { return errors.Join(a.Writer.Close(), a.gz.Close()) }
