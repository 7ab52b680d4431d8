package cache

import (
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// Option declares something in [New].
type Option func(*Cache) error

// Method declares that the replies of a method may be used for ttl. The name is
// the exact one, "Service.Method".
func Method(name string, ttl time.Duration) Option {
	return func(c *Cache) error {
		if ttl <= 0 {
			return fmt.Errorf("method %s: a reply cannot be used for %v", name, ttl)
		}
		c.rule(name).ttl = ttl
		return nil
	}
}

// NotFound declares that the answer NotFound of a method, for which there is a
// [Method], may be used for ttl.
func NotFound(name string, ttl time.Duration) Option {
	return func(c *Cache) error {
		if ttl <= 0 {
			return fmt.Errorf("not found of %s: an answer cannot be used for %v", name, ttl)
		}
		c.rule(name).notFound = ttl
		return nil
	}
}

// Entries bounds how many replies are kept. Default 10,000.
func Entries(n int) Option {
	return func(c *Cache) error {
		if n < 1 {
			return fmt.Errorf("%d entries: at least 1 is needed", n)
		}
		c.entries = n
		return nil
	}
}

// Bytes bounds what the kept replies take, encoded, with half a KiB for each that
// keeping it costs. A larger reply is not kept. Default 64 MiB.
func Bytes(n int) Option {
	return func(c *Cache) error {
		if n < 1 {
			return fmt.Errorf("%d bytes: at least 1 is needed", n)
		}
		c.bytes = n
		return nil
	}
}

// Codec is what params and replies are encoded with. It must be the client's
// (rpc.WithCodec): what that one leaves out does not reach the server, and what
// this one leaves out does not tell calls apart. Default rpc.JSON, as a client's.
func Codec(codec rpc.Codec) Option {
	return func(c *Cache) error {
		c.codec = codec
		return nil
	}
}

// IgnoreMetadata declares that pairs with these keys do not change what a method
// answers, such as the IDs of traces. It refuses "authorization".
func IgnoreMetadata(keys ...string) Option {
	return func(c *Cache) error {
		for _, key := range keys {
			if key == "authorization" {
				return fmt.Errorf("metadata %s: who asks changes the answer", key)
			}
			c.ignored[key] = true
		}
		return nil
	}
}

// rule is how long the answers of a method are used.
type rule struct {
	ttl      time.Duration
	notFound time.Duration // 0: not kept
}

func (c *Cache) rule(name string) *rule {
	if c.rules[name] == nil {
		c.rules[name] = new(rule)
	}
	return c.rules[name]
}
