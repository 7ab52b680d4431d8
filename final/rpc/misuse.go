package rpc

import (
	"crypto/tls"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// misuse remembers the first thing that is wrong with the options of a
// constructor, which then refuses them all: a nil codec that is only found when
// a connection says hello ends the process from a goroutine of ours, hours later.
type misuse struct{ err *Error }

// refuse notes what is wrong. The first word is the option's name.
func (m *misuse) refuse(format string, args ...any) {
	if m.err == nil {
		m.err = Errorf(InvalidArgument, format, args...)
	}
}

// number refuses an n that is not within bounds, and returns it, or fallback for 0.
func (m *misuse) number(option string, n, most, fallback int) int {
	switch {
	case n < 0 || n > most:
		m.refuse("%s(%d): want 0 to %d", option, n, most)
	case n == 0:
		return fallback
	}
	return n
}

// memory refuses sizes below 0. 0 stands for the default.
func (m *misuse) memory(option string, server, conn int, defaults memoryLimits) memoryLimits {
	return memoryLimits{
		server: m.number(option+": server", server, math.MaxInt, defaults.server),
		conn:   m.number(option+": conn", conn, math.MaxInt, defaults.conn),
	}
}

// duration refuses a d below 0.
func (m *misuse) duration(option string, d time.Duration) time.Duration {
	if d < 0 {
		m.refuse("%s(%v): want 0 or more", option, d)
	}
	return d
}

// pauses refuses a pair of pauses below 0 or in the wrong order. 0 stands for
// the default.
func (m *misuse) pauses(option string, least, longest, defaultLeast, defaultLongest time.Duration) (time.Duration, time.Duration) {
	m.duration(option+": least", least)
	m.duration(option+": longest", longest)
	if longest > 0 && longest < least {
		m.refuse("%s: the longest pause, %v, is shorter than the least, %v", option, longest, least)
	}
	switch {
	case least == 0 && longest == 0:
		least, longest = defaultLeast, defaultLongest
	case least == 0:
		least = min(defaultLeast, longest)
	case longest == 0:
		longest = max(defaultLongest, least)
	}
	return least, longest
}

// notNil refuses a nil value, and a nil pointer or function in an interface.
func (m *misuse) notNil(option, what string, v any) bool {
	if !isNil(v) {
		return true
	}
	m.refuse("%s: the %s is nil%s", option, what, typeOfNil(v))
	return false
}

// isNil reports whether calling v's methods, or v, would most likely panic. A nil
// slice, such as a StaticResolver without addresses, is a value like others.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return r.IsNil()
	}
	return false
}

func typeOfNil(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf(": (%T)(nil)", v)
}

// checkCodec returns the name of a codec, and refuses one that could not travel by it.
// No codec is asked again: that would be on the goroutine of a connection.
func (m *misuse) checkCodec(option string, c Codec) (name string, ok bool) {
	if !m.notNil(option, "codec", c) {
		return "", false
	}
	defer func() {
		if recover() != nil {
			m.refuse("%s: the codec %T panicked when it was asked for its name", option, c)
		}
	}()
	name = c.Name()
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if name == "" || len(name) > maxCodecName || strings.ContainsFunc(name, bad) {
		m.refuse("%s: the codec's name is %q: want 1 to %d of a-z, 0-9 and '-'", option, name, maxCodecName)
		return "", false
	}
	return name, true
}

// tlsConfig refuses nil and a second configuration: of two, neither can be meant
// to be ignored. It returns a copy, since an http.Server that has the same one writes
// to it: see withALPN.
func (m *misuse) tlsConfig(option string, before, cfg *tls.Config) *tls.Config {
	if m.notNil(option, "configuration", cfg) && before != nil {
		m.refuse("%s: given twice", option)
	}
	return withALPN(cfg)
}

const (
	maxCodecName = 32

	// The widest that the wire's lengths and counts of four bytes, and an int, can be.
	maxLength = min(math.MaxUint32, math.MaxInt-wire.HeaderSize)
	maxCount  = min(math.MaxUint32, math.MaxInt)
)

// hasOption refuses an option that is nil, the i-th of n.
func (m *misuse) hasOption(ok bool, i, n int) bool {
	if !ok {
		m.refuse("option %d of %d is nil", i+1, n)
	}
	return ok
}
