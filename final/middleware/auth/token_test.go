package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTokens_KnowTheirOwners(t *testing.T) {
	tokens := newTokens(t)
	for token, want := range map[string]string{annsToken: "ann", bobsToken: "bob", "": "", "ann": "", annsToken[1:]: "", annsToken + "=": ""} {
		got, ok := tokens.Verify(t.Context(), token)
		assert.Equal(t, want, got.Name, "%q", token)
		assert.Equal(t, want != "", ok, "%q", token)
	}
	got, ok := new(Tokens).Verify(t.Context(), annsToken)
	assert.False(t, ok)
	assert.Empty(t, got)
}

func TestTokens_RefusesWhatCouldNotBeSentOrCouldBeGuessed(t *testing.T) {
	for _, token := range []string{"", "short", annsToken[:15], strings.Repeat("A", 4097), annsToken + " ", annsToken + "\n", "=" + annsToken, "================", annsToken + "ü", annsToken + "\xff", "a\"b" + annsToken} {
		_, err := NewTokens(map[string]string{token: "ann"})
		require.Error(t, err, "%q", token)
		assert.Contains(t, err.Error(), "ann")
		if len(token) > 0 {
			assert.NotContains(t, err.Error(), token)
			assert.NotContains(t, err.Error(), "2Yotn")
		}
	}
	for _, identity := range []string{"", "a\nb", "a\x00"} {
		_, err := NewTokens(map[string]string{annsToken: identity})
		assert.ErrorContains(t, err, "auth: the identity ")
	}
}

func TestTokens_ReplaceTakesEffectAsAWhole(t *testing.T) {
	tokens := newTokens(t)
	assert.Error(t, tokens.Replace(map[string]string{bobsToken: "eve", "short": "eve"}))
	got, _ := tokens.Verify(t.Context(), bobsToken)
	assert.Equal(t, "bob", got.Name, "nothing has changed")
	require.NoError(t, tokens.Replace(map[string]string{bobsToken: "bobby"}))
	_, ok := tokens.Verify(t.Context(), annsToken)
	assert.False(t, ok)
	got, _ = tokens.Verify(t.Context(), bobsToken)
	assert.Equal(t, "bobby", got.Name)
}

func TestTokens_ReplacedWhileInUse(t *testing.T) {
	tokens := newTokens(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				if i == 0 {
					assert.NoError(t, tokens.Replace(map[string]string{annsToken: "ann", bobsToken: fmt.Sprint("bob", n)}))
				}
				got, ok := tokens.Verify(context.Background(), annsToken)
				assert.True(t, ok)
				assert.Equal(t, "ann", got.Name, "in the old ones and in the new ones")
			}
		})
	}
	wg.Wait()
}

func TestTokens_AreInNoPrintout(t *testing.T) {
	tokens := newTokens(t)
	g, err := New(tokens.Verify, Nobody(), rules)
	require.NoError(t, err)
	for _, v := range []any{tokens, *tokens.table.Load(), g} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			text := fmt.Sprintf(verb, v)
			for _, token := range []string{annsToken, bobsToken} {
				assert.NotContains(t, text, token)
				assert.NotContains(t, text, fmt.Sprintf("%x", token))
			}
		}
	}
}

func BenchmarkTokens(b *testing.B) {
	tokens := newTokens(b)
	b.ReportAllocs()
	for b.Loop() {
		tokens.Verify(context.Background(), annsToken)
	}
}
