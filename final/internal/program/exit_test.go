package program

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	hostile  = "\x1b[31m\a\r\x7f\u009b2J\u202e\nforged"
	harmless = `\u001b[31m\u0007\u000d\u007f\u009b2J\u202e\u000aforged`
)

func TestPrintError_APeersWordsAreTextAndJoinedErrorsAreLines(t *testing.T) {
	var out bytes.Buffer
	err := errors.New("a " + hostile)
	printError(&out, "shop", errors.Join(err, errors.Join(err, nil), fmt.Errorf("b: %w, %w", err, err)))
	assert.Equal(t, "shop: a "+harmless+"\nshop: a "+harmless+"\nshop: b: a "+harmless+", a "+harmless+"\n", out.String())
}
