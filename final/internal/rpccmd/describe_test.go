package rpccmd

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/introspect"
)

// encoding/json gives a field with the tag `json:"-,"` the name "-".
func TestPrintType_AFieldNamedDashIsNotOneThatIsLeftOut(t *testing.T) {
	var out bytes.Buffer
	printType(&out, &introspect.Type{Name: "shop.odd", Kind: "struct", Fields: []*introspect.Field{
		{Name: "-", GoName: "Dash", Type: "int"}, {GoName: "Secret", Type: "string"},
	}})
	assert.Equal(t, "\nshop.odd  struct\n  \"-\"\tint\tGo Dash\n  -\tstring\tGo Secret\n", out.String())
}
