package program

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestLogTo_APeersWordsAreText(t *testing.T) {
	var out bytes.Buffer
	srv := rpc.NewServer(logTo(&out, "shop")...)
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Panic", func(_ context.Context, text string) error { panic(text) }))
	require.NoError(t, srv.RegisterFunc("Test.Error", func(_ context.Context, text string) error { panic(errors.New(text)) }))
	for _, method := range []string{"Test.Panic", "Test.Error"} {
		out.Reset()
		_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: method, Codec: rpc.JSON, Params: []byte(`"a\u202e\u009b2J\u007f"`), Peer: &rpc.Peer{}})
		require.Error(t, err)
		assert.Contains(t, out.String(), `shop: panic: a\u202e\u009b2J\u007f`+"\ngoroutine ")
	}
}

func TestStop_SaysThatCallsWereStillRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		release := make(chan struct{})
		require.NoError(t, srv.RegisterFunc("Test.Hang", func() error { <-release; return nil }))
		here, there := net.Pipe()
		go srv.ServeConn(there)
		client := rpc.NewClient(here)
		go client.Call(context.Background(), "Test.Hang", nil, nil)
		synctest.Wait()
		assert.EqualError(t, new(Listing).stop(srv), "calls were still running after 10s, and were cut")
		close(release)
		client.Close()
		srv.Close()
	})
}
