package book

import (
	"archive/zip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/internal/durable"
)

// ZipFolder is the folder that an archive of the book unpacks to.
const ZipFolder = "rpc-from-scratch-book"

// WriteZip writes the book into name, an archive that must not exist.
func (b *Book) WriteZip(name string) (Summary, error) {
	if _, err := os.Lstat(name); err == nil {
		return Summary{}, fmt.Errorf("%s is there already: remove it, or choose another name", name)
	}
	files, err := b.Files()
	if err != nil {
		return Summary{}, err
	}
	out, err := os.CreateTemp(filepath.Dir(name), ".workshop-book-*")
	if err != nil {
		return Summary{}, err
	}
	defer os.Remove(out.Name()) // gone already if all went well
	if err := errors.Join(zipFiles(out, files), out.Chmod(0o644)); err != nil {
		return Summary{}, errors.Join(err, out.Close())
	}
	return b.summary(files), durable.Replace(out, name)
}

func zipFiles(out *os.File, files map[string][]byte) error {
	z := zip.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(path.Join(ZipFolder, name))
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			return errors.Join(err, z.Close())
		}
	}
	return z.Close()
}
