//go:build museum

package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The bubble itself is the check: it ends in a panic if a goroutine stays.
func TestCall_LeavesNobodyBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := make(chan struct{})
		_, err := Call(ctx, func() string { <-slow; return "too late" })
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		close(slow)
	})
}

func TestCall_ReturnsTheResult(t *testing.T) {
	s, err := Call(t.Context(), func() string { return "done" })
	require.NoError(t, err)
	assert.Equal(t, "done", s)
}
