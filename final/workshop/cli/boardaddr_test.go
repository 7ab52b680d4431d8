package cli

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A board that other machines reach has to be asked for.
func TestBoard_IsForThisMachineByDefault(t *testing.T) {
	host, _, err := net.SplitHostPort(newBoard().Flags().Lookup("addr").DefValue)
	require.NoError(t, err)
	assert.True(t, net.ParseIP(host).IsLoopback())
}
