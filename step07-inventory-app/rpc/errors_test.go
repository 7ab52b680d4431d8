package rpc

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestError_CodeTravels(t *testing.T) {
	for _, codec := range []string{"json", "gob"} {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, &Server{})
			register(t, srv, "Wrapped", func() error {
				return fmt.Errorf("order 5: %w", Errorf(FailedPrecondition, "%d left", 3))
			})
			register(t, srv, "Plain", func() error { return errors.New("plain") })
			register(t, srv, "Empty", func() error { return &Error{Code: NotFound} })
			c, err := NewClientCodec(t.Context(), srv.connect(t), codec)
			require.NoError(t, err)
			defer c.Close()

			err = call(c, "Test.Wrapped", nil, nil)
			assert.EqualError(t, err, "order 5: 3 left")
			assert.ErrorIs(t, err, FailedPrecondition)
			assert.EqualError(t, FailedPrecondition, "failed_precondition")
			assert.NotErrorIs(t, err, NotFound)

			err = call(c, "Test.Plain", nil, nil)
			assert.Equal(t, &Error{Message: "plain"}, err)
			assert.NotErrorIs(t, err, Code(""))

			assert.ErrorIs(t, call(c, "Test.Empty", nil, nil), NotFound)
		})
	}
}
