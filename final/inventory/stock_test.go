package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultStock_IsThatOfTheWorkspace(t *testing.T) {
	shared, err := os.ReadFile("../../testdata/stock.json")
	require.NoError(t, err)
	assert.Equal(t, string(shared), string(DefaultStock))
	stock, err := ParseStock(DefaultStock)
	require.NoError(t, err)
	assert.Equal(t, 100, stock["item1"])
}

func TestParseStock_RefusesWhatIsNoStock(t *testing.T) {
	for text, want := range map[string]string{
		`{"item1":-1}`:     `stock: "item1": quantity is -1`,
		`{"":1}`:           `stock: "": want an id of 1 to 128 bytes`,
		`{}`:               "stock: there are no items",
		`null`:             "stock: there are no items",
		`{"item1":"many"}`: "stock: json: cannot unmarshal string",
		`{"item1":`:        "stock: unexpected end of JSON input",
	} {
		_, err := ParseStock([]byte(text))
		assert.ErrorContains(t, err, want)
	}
}

func TestParseStock_RefusesAnItemThatIsThereTwice(t *testing.T) {
	for text, item := range map[string]string{
		`{"item1": 5, "item2": 1, "item1": 7}`: "item1",
		`{"a": 5, "\u0061": 5}`:                "a",
		"\xef\xbb\xbf" + `{"b":1,"b":1}`:       "b",
	} {
		_, err := ParseStock([]byte(text))
		assert.EqualError(t, err, fmt.Sprintf("stock: %q: it is there more than once", item))
	}
}

func TestParseStock_TakesAByteOrderMark(t *testing.T) {
	stock, err := ParseStock([]byte("\xef\xbb\xbf{\"item1\":1}"))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"item1": 1}, stock)
}

// A stock that comes from the program itself is checked, too: the next start would
// take its database for a damaged one.
func TestOpen_RefusesAQuantityBelowZero(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	_, err := Open(path, map[string]int{"item1": 1, "item2": -1})
	assert.EqualError(t, err, "open "+path+`: stock: "item2": quantity is -1`)
	assert.NoFileExists(t, path)
}
