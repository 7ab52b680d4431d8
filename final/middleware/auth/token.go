package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"unicode"

	"example.com/rpc-from-scratch/final/rpc"
)

// MetadataKey is the key of the metadata in which a token travels, after
// "Bearer ".
const MetadataKey = "authorization"

// The length of a token, in bytes. A shorter one can be guessed; 16 random bytes
// in base64 are 22.
const (
	minToken = 16
	maxToken = 4096
)

// Verify returns the identity of a token's owner, or false if the token is not valid. What
// a token claims besides its owner's name can go into Claims. It gets no token above 4096
// bytes. It runs on the goroutine that reads a connection, for many connections at once,
// and must not wait. ctx is the hook's.
type Verify func(ctx context.Context, token string) (identity rpc.Identity, ok bool)

// Tokens holds the valid tokens and their owners. Its methods may be called by
// many goroutines at once. The zero value has no tokens.
type Tokens struct {
	table atomic.Pointer[table]
}

// table does not change. The time that a lookup takes reveals nothing about the
// tokens in it: their places in the map are hashes under a secret key.
type table struct {
	key     [32]byte
	entries map[place]entry
}

// place is the first half of a digest.
type place [sha256.Size / 2]byte

type entry struct {
	digest   [sha256.Size]byte
	identity string
}

// NewTokens returns Tokens with these tokens, each with its owner's identity.
// It fails as [Tokens.Replace] does.
func NewTokens(identities map[string]string) (*Tokens, error) {
	t := new(Tokens)
	return t, t.Replace(identities)
}

// Replace makes these the valid tokens, each with its owner's identity. An
// owner may have several, for example an old and a new one. It takes effect
// with the next call. A token has 16 to 4096 bytes of A-Z a-z 0-9 - . _ ~ + and
// /, and may end in = (RFC 6750); an identity is one line that is not empty.
// Otherwise Replace fails and changes nothing. The error does not show the
// token.
func (t *Tokens) Replace(identities map[string]string) error {
	fresh := &table{entries: make(map[place]entry, len(identities))}
	rand.Read(fresh.key[:]) // never fails: it ends the process instead
	for token, identity := range identities {
		if err := check(token, identity); err != nil {
			return fmt.Errorf("auth: %w", err)
		}
		digest := fresh.digest(token)
		fresh.entries[placeOf(digest)] = entry{digest, identity}
	}
	t.table.Store(fresh)
	return nil
}

func check(token, identity string) error {
	switch {
	case identity == "" || strings.ContainsFunc(identity, unicode.IsControl):
		return fmt.Errorf("the identity %q: want one line that is not empty", identity)
	case len(token) < minToken || len(token) > maxToken:
		return fmt.Errorf("a token of %s has %d bytes: want %d to %d", identity, len(token), minToken, maxToken)
	case !isToken(token):
		return fmt.Errorf("a token of %s has characters that none may have", identity)
	}
	return nil
}

// isToken reports whether s is a b64token of RFC 6750, section 2.1.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return s != ""
}

// Verify returns the identity of the token's owner, or false if the token is
// not valid: see [Verify].
func (t *Tokens) Verify(_ context.Context, token string) (identity rpc.Identity, ok bool) {
	known := t.table.Load()
	if known == nil {
		return rpc.Identity{}, false
	}
	digest := known.digest(token)
	e := known.entries[placeOf(digest)] // a digest of zeros if there is none
	if subtle.ConstantTimeCompare(digest[:], e.digest[:]) != 1 {
		return rpc.Identity{}, false
	}
	return rpc.Identity{Name: e.identity}, true
}

func (t *table) digest(token string) (d [sha256.Size]byte) {
	mac := hmac.New(sha256.New, t.key[:])
	io.WriteString(mac, token)
	mac.Sum(d[:0])
	return d
}

func placeOf(digest [sha256.Size]byte) place { return place(digest[:sha256.Size/2]) }
