package reference

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// Whoever writes a client from the captures can try it with this server: it has their methods.
func TestServer_HasTheMethodsOfTheCaptures(t *testing.T) {
	srv := rpc.NewServer()
	defer srv.Close()
	require.NoError(t, register(srv))
	has := map[string]bool{
		"Test.Nope":      true, // of no server
		"Test.Unfitting": true, // it has a bug
		"Test.Uppers":    true, // of protobuf
	}
	for _, m := range srv.Methods() {
		has[m.Name] = true
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "wire", "final-*.txt"))
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`method "(Test\.\w+)"`).FindAllStringSubmatch(string(text), -1) {
			found++
			assert.True(t, has[m[1]], "%s of %s", m[1], filepath.Base(file))
		}
	}
	assert.NotZero(t, found)
}

// Label shows a header and a trailer.
func TestServer_LabelsItsItems(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, register(srv))
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	go srv.Serve(ln)
	defer srv.Close()
	client, err := rpc.Dial(t.Context(), ln.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	s, err := label.Open(rpc.AddMetadata(t.Context(), rpc.Metadata{"user": "ann"}), client, &number{N: 2})
	require.NoError(t, err)
	n := 0
	for item, err := range s.All() {
		n++
		require.NoError(t, err)
		assert.Equal(t, n, item.N)
	}
	assert.Equal(t, 2, n)
	header, err := s.Header(t.Context())
	require.NoError(t, err)
	assert.Equal(t, rpc.Metadata{"user": "ann"}, header)
	assert.Equal(t, rpc.Metadata{"sent": "2"}, s.Trailer())
}
