package rpc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// Until 5f, the only way to stop a server is to close it.
func TestNaive_CloseBreaksOffWhatIsAlmostDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sold := 0
		srv := newServer(t, &Server{})
		register(t, srv, "Sell", func() int {
			<-time.After(time.Second) // of the bubble's clock
			sold++
			return sold
		})
		done := goCall(newClient(t, srv), "Test.Sell", nil, nil)
		synctest.Wait() // it has reached its method
		srv.Close()
		err := <-done
		<-time.After(2 * time.Second)
		synctest.Wait()
		t.Logf("the customer got %q, and the shop has sold %d", err, sold)
		assert.Error(t, err)
		assert.Equal(t, 1, sold)
	})
}
