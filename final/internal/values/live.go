package values

import (
	"context"
	"reflect"
)

type liveKey struct{}

// Live is params that their caller may change while the call goes on, because they could
// not be copied, and what they were when the call was made: encoded by a codec, which
// is what is sent for them.
type Live struct {
	Params any
	Codec  string
	Body   []byte
}

// WithLive returns a context for a call with live.
func WithLive(ctx context.Context, live *Live) context.Context {
	return context.WithValue(ctx, liveKey{}, live)
}

// LiveIn returns what params were when the call of ctx was made; nil if they do not
// change.
func LiveIn(ctx context.Context, params any) *Live {
	live, _ := ctx.Value(liveKey{}).(*Live)
	if live == nil || !Same(live.Params, params) {
		return nil
	}
	return live
}

// Same reports whether a and b are one value, not only equal ones.
func Same(a, b any) bool {
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	switch {
	case !v.IsValid() || !w.IsValid() || v.Type() != w.Type():
		return false
	case v.Kind() == reflect.Map:
		return v.Pointer() == w.Pointer()
	case v.Kind() == reflect.Slice:
		return v.Pointer() == w.Pointer() && v.Len() == w.Len()
	}
	return v.Comparable() && v.Equal(w)
}
