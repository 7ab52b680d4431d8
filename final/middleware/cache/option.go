package cache

import (
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Option declares something in [New].
type Option func(*Cache) error

// Method declares that the replies of a method may be used for ttl, which must
// be above 0. The name is the exact one, "Service.Method"; New refuses any other,
// also "Service.*".
func Method(name string, ttl time.Duration) Option {
	return func(c *Cache) error {
		if err := misuse.CheckMethod(name); err != nil {
			return err
		}
		if ttl <= 0 {
			return fmt.Errorf("method %s: a reply cannot be used for %v", name, ttl)
		}
		c.rule(name).ttl = ttl
		return nil
	}
}

// NotFound declares that the error NotFound of a method may be used for ttl,
// which must be above 0. The method needs a [Method] as well.
func NotFound(name string, ttl time.Duration) Option {
	return func(c *Cache) error {
		if ttl <= 0 {
			return fmt.Errorf("not found of %s: an answer cannot be used for %v", name, ttl)
		}
		c.rule(name).notFound = ttl
		return nil
	}
}

// Entries limits how many replies are kept, at least 1. Default 10,000.
func Entries(n int) Option {
	return func(c *Cache) error {
		if n < 1 {
			return fmt.Errorf("%d entries: at least 1 is needed", n)
		}
		c.entries = n
		return nil
	}
}

// Bytes limits the memory that the kept replies take: their encoded size, and
// half a KiB for each. A larger reply is not kept. Default 64 MiB; at least 1.
func Bytes(n int) Option {
	return func(c *Cache) error {
		if n < 1 {
			return fmt.Errorf("%d bytes: at least 1 is needed", n)
		}
		c.bytes = n
		return nil
	}
}

// Codec sets how params and replies are encoded. It must be the client's codec
// (rpc.WithCodec), since calls are compared by what reaches the server. Default
// rpc.JSON, as for a client. New refuses nil.
func Codec(codec rpc.Codec) Option {
	return func(c *Cache) error {
		c.codec = codec
		return nil
	}
}

// IgnoreMetadata declares that pairs with these keys do not change what a
// method answers. It adds to the keys that are ignored by default: see the
// package's comment. New refuses "authorization", and what can be no key.
func IgnoreMetadata(keys ...string) Option {
	return func(c *Cache) error {
		for _, key := range keys {
			if err := misuse.CheckMetadataKey(key); err != nil {
				return err
			}
			if key == authorization {
				return fmt.Errorf("metadata %s: who asks changes the answer", key)
			}
			c.ignored[key] = true
		}
		return nil
	}
}

// VaryBy declares that only pairs with these keys, and "authorization", change
// what a method answers. Given several times, its keys add up. They count even
// if [IgnoreMetadata] or the default ignores them. Without VaryBy, all metadata
// count that are not ignored. Keys are in lower case; New refuses what can be none.
func VaryBy(keys ...string) Option {
	return func(c *Cache) error {
		if c.varying == nil {
			c.varying = map[string]bool{authorization: true}
		}
		for _, key := range keys {
			if err := misuse.CheckMetadataKey(key); err != nil {
				return err // such as X-Tenant: the tenants would get each other's answers
			}
			c.varying[key] = true
		}
		return nil
	}
}

// authorization is the key of what says who asks.
const authorization = "authorization"

// named are the keys of what names a call or its trace, and so differs between
// calls that ask for the same. Baggage is not among them: it is the user's, and
// may say for whom a call is made.
var named = map[string]bool{
	"traceparent": true, "tracestate": true, // W3C
	"b3": true, "x-b3-traceid": true, "x-b3-spanid": true, "x-b3-parentspanid": true, "x-b3-sampled": true, "x-b3-flags": true, // Zipkin
	"uber-trace-id": true, "x-amzn-trace-id": true, "x-cloud-trace-context": true, "grpc-trace-bin": true,
	"x-datadog-trace-id": true, "x-datadog-parent-id": true, "x-datadog-sampling-priority": true, "x-datadog-origin": true, "x-datadog-tags": true,
	"sentry-trace": true, "elastic-apm-traceparent": true, "newrelic": true, "sw8": true, // Sentry, Elastic, New Relic, SkyWalking
	"ot-tracer-traceid": true, "ot-tracer-spanid": true, "ot-tracer-sampled": true, // OpenTracing
	"trace-id": true, "x-trace-id": true, "span-id": true, "x-span-id": true, "x-client-trace-id": true, "x-amzn-requestid": true,
	"request-id": true, "x-request-id": true, "correlation-id": true, "x-correlation-id": true,
	"idempotency-key": true,
}

// varies reports whether a pair of metadata is part of what a call asks.
func (c *Cache) varies(key string) bool {
	if c.varying[key] {
		return true
	}
	return c.varying == nil && !c.ignored[key] && !named[key]
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
