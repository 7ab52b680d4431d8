package rpccmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spaces has no end.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestInput_WhatHasNoEndIsRefused(t *testing.T) {
	_, err := readParams(spaces{})
	assert.EqualError(t, err, "read params: more than 64 MiB")

	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, mostFromFile+1))
	want := "read " + file + ": more than 1 MiB"
	_, err = (&options{tokenFile: file}).token()
	assert.EqualError(t, err, "-token-file: "+want)
	_, err = (&options{metadata: []string{"@" + file}}).callContext(t.Context())
	assert.EqualError(t, err, "-H: "+want)
	for flag, o := range map[string]tlsOptions{"-ca": {ca: file}, "-cert": {cert: file, key: file}} {
		_, err = o.config()
		assert.EqualError(t, err, flag+": "+want)
	}
}
