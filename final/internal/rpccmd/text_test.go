package rpccmd

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUTF8Text_TakesAByteOrderMarkAndNamesOtherEncodings(t *testing.T) {
	for _, text := range []string{"", "{}", "é\ufffd\x00"} {
		got, err := utf8Text("params", []byte("\ufeff"+text))
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	for text, want := range map[string]string{
		"\xff\xfe{\x00}\x00":             "params: this is UTF-16 or UTF-32: save it as UTF-8",
		"\xfe\xff\x00{\x00}":             "params: this is UTF-16 or UTF-32: save it as UTF-8",
		"\x00{\x00}":                     "params: this is UTF-16 or UTF-32: save it as UTF-8",
		"{\x00}\x00":                     "params: this is UTF-16 or UTF-32: save it as UTF-8",
		"\xff\xfe\x00\x00{\x00\x00\x00":  "params: this is UTF-16 or UTF-32: save it as UTF-8",
		"{\"item\":\"\xff\"}":            "params: this is not UTF-8: byte 10 is 0xff",
		"\ufeff{\"item\":\"caf\xe9 x\"}": "params: this is not UTF-8: byte 13 is 0xe9",
	} {
		_, err := utf8Text("params", []byte(text))
		assert.EqualError(t, err, want)
		assert.True(t, isUsage(err))
	}
}

func TestParseTarget_TellsHTTPFromTheRest(t *testing.T) {
	for addr, want := range map[string]target{
		"127.0.0.1:7000":           {addr: "127.0.0.1:7000"},
		"unix:/run/shop.sock":      {addr: "unix:/run/shop.sock"},
		"http://shop":              {addr: "shop:80", http: true, path: "/rpc.v1"},
		"HTTP://shop:8080/":        {addr: "shop:8080", http: true, path: "/rpc.v1"},
		"https://shop":             {addr: "shop:443", http: true, tls: true, path: "/rpc.v1"},
		"https://[::1]:8443/a%20b": {addr: "[::1]:8443", http: true, tls: true, path: "/a b"},
		"https://[::1]":            {addr: "[::1]:443", http: true, tls: true, path: "/rpc.v1"},
	} {
		got, err := parseTarget(addr)
		require.NoError(t, err, addr)
		assert.Equal(t, want, got, addr)
	}
	for _, addr := range []string{
		"", "shop", "shop:", "http://", "https:///path", "http://:80", "ftp://shop:21", "http:shop:80",
		"http://ann:secret@shop", "http://shop/?q=1", "http://shop/#part", "http://shop:port", "http://sh op",
	} {
		_, err := parseTarget(addr)
		assert.ErrorContains(t, err, "no address", addr)
		assert.True(t, isUsage(err), addr)
		assert.NotContains(t, err.Error(), "secret", addr)
	}
}
