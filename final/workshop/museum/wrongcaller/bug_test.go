//go:build museum

package main

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The second call may fail, or get its own answer. Any other is worse than none.
func TestClient_GivesNobodyAnothersAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		go serve(there)
		client := NewClient(here)

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.Call(ctx, "slow")
		require.Error(t, err)
		if answer, err := client.Call(t.Context(), "quick"); err == nil {
			assert.Equal(t, "answer to quick", answer)
		}
		<-time.After(time.Second) // of the bubble's time, in which serve ends
	})
}

func TestClient_GetsItsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		go serve(there)
		client := NewClient(here)
		for _, question := range []string{"slow", "quick", "slow"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			answer, err := client.Call(ctx, question)
			cancel()
			require.NoError(t, err)
			assert.Equal(t, "answer to "+question, answer)
		}
	})
}
