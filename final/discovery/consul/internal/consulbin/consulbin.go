// Package consulbin builds the Consul server that the tests run, once, and keeps
// it in the user's cache:
//
//	go run ./internal/consulbin/build
//
// It is Consul v1.12.9, which is under the Mozilla Public License and builds as a
// Go tool. testdata/consul-server pins it, a module of its own and outside of the
// workspace, so that its many dependencies are nobody else's.
package consulbin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Version of the server: that of testdata/consul-server/go.mod.
const Version = "v1.12.9"

// Path returns where the server is kept, whether it is there or not.
func Path() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := "consul-" + Version
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(cache, "rpc-from-scratch", name), nil
}

// Build makes the server from the module in folder if it is not there, and
// returns its path. It takes minutes. What the go command says goes to stderr.
func Build(ctx context.Context, folder string) (string, error) {
	path, err := Path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), "build") // beside path, so that it can be renamed
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, filepath.Base(path))
	build := exec.CommandContext(ctx, "go", "build", "-o", made, "github.com/hashicorp/consul")
	build.Dir = folder
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build Consul %s: %w", Version, err)
	}
	return path, os.Rename(made, path)
}
