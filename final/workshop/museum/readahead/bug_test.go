//go:build museum

package main

import (
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAccept_TakesBytesAsTheyCome(t *testing.T) {
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprintf("in one write %v", together), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				server.SetDeadline(time.Now().Add(time.Minute)) // of the bubble's time
				go send(client, "CheckStock", together)
				req, err := Accept(server)
				require.NoError(t, err)
				assert.Equal(t, "CheckStock", req.Method)
			})
		})
	}
}

func TestAccept_RefusesOtherCodecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		go io.WriteString(client, `{"Codec":"xml"}`+"\n")
		_, err := Accept(server)
		assert.EqualError(t, err, `unknown codec "xml"`)
	})
}
