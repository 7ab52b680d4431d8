package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

const (
	hostile  = "\x1b[31m\a\r\x7f\u009b2J\u202e\nforged"
	harmless = `\u001b[31m\u0007\u000d\u007f\u009b2J\u202e\u000aforged`
)

func TestLogTo_APeersWordsAreText(t *testing.T) {
	var out bytes.Buffer
	srv := rpc.NewServer(logTo(&out, "shop")...)
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Panic", func(_ context.Context, text string) error { panic(text) }))
	require.NoError(t, srv.RegisterFunc("Test.Error", func(_ context.Context, text string) error { panic(errors.New(text)) }))
	for _, method := range []string{"Test.Panic", "Test.Error"} {
		out.Reset()
		_, err := srv.Invoke(t.Context(), &rpc.Peer{}, method, nil, rpc.JSON, []byte(`"a\u202e\u009b2J\u007f"`))
		require.Error(t, err)
		assert.Contains(t, out.String(), `shop: panic: a\u202e\u009b2J\u007f`+"\ngoroutine ")
	}
}

func TestPrintError_APeersWordsAreTextAndJoinedErrorsAreLines(t *testing.T) {
	var out bytes.Buffer
	err := errors.New("a " + hostile)
	printError(&out, "shop", errors.Join(err, errors.Join(err, nil), fmt.Errorf("b: %w, %w", err, err)))
	assert.Equal(t, "shop: a "+harmless+"\nshop: a "+harmless+"\nshop: b: a "+harmless+", a "+harmless+"\n", out.String())
}
