package cli_test

import (
	"net"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBoard_SaysWhatToDoAboutAPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	cmd := exec.Command("workshop", "board", "-addr", ln.Addr().String())
	cmd.Dir = "../../.."
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "-addr :0 picks a free port")
}

func TestStudio_SaysWhatToDoAboutAPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	cmd := exec.Command("workshop", "studio", "-race=false", "-port", strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	cmd.Dir = "../../../step02-json-protocol"
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "-port 0 picks a free port")
}
