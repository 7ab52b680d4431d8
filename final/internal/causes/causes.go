// Package causes looks into errors of a user's: it is errors.Is and errors.As for
// errors that may have no end. One whose Unwrap returns itself keeps errors.Is
// running for ever, and one whose Unwrap() []error does ends the process: the stack
// overflows.
package causes

import "reflect"

// How far an error is followed. Errors that a loop has wrapped again and again, or
// joined, are within it.
const (
	deepest = 1000
	most    = 10_000
)

// Is is errors.Is, but an error whose Is, As or Unwrap panics is found to be nothing.
func Is(err, target error) (ok bool) {
	defer orFalse(&ok)
	return MustIs(err, target)
}

// As is errors.As, but it reports false for an error whose As or Unwrap panics, and
// for one whose As sets target to nil. T is an interface, or a type that implements
// error.
func As[T any](err error, target *T) (ok bool) {
	defer orFalse(&ok)
	return MustAs(err, target) && !isNil(*target)
}

// orFalse is deferred.
func orFalse(ok *bool) {
	if recover() != nil {
		*ok = false
	}
}

// MustIs is Is for those who want to know of a panic.
func MustIs(err, target error) bool {
	if err == nil || target == nil {
		return err == target
	}
	comparable := reflect.TypeOf(target).Comparable()
	return find(err, func(err error) bool {
		if comparable && err == target {
			return true
		}
		e, ok := err.(interface{ Is(error) bool })
		return ok && e.Is(target)
	})
}

// MustAs is As for those who want to know of a panic, and of a T that is nil.
func MustAs[T any](err error, target *T) bool {
	return find(err, func(err error) bool {
		if found, ok := err.(T); ok {
			*target = found
			return true
		}
		e, ok := err.(interface{ As(any) bool })
		return ok && e.As(target)
	})
}

// Any reports whether f is true of an error in err. It does not ask their Is and As,
// and finds nothing where an Unwrap panics.
func Any(err error, f func(error) bool) (ok bool) {
	defer orFalse(&ok)
	return find(err, f)
}

// Find is As without a variable.
func Find[T any](err error) (found T, ok bool) {
	ok = As(err, &found)
	return found, ok
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice:
		return r.IsNil()
	}
	return false
}

// Endless reports whether others must not be given err, since they would ask package
// errors: it goes on beyond where Is and As look, or an Unwrap in it panics.
func Endless(err error) (endless bool) {
	defer func() {
		if recover() != nil {
			endless = true
		}
	}()
	return Each(err, func(error, int) {})
}

// Each calls visit for err and for every error in it, in the order of package errors,
// with how deep it is wrapped. It reports whether there are more errors than it
// looks at. It does not recover from a panic of visit or of an Unwrap.
func Each(err error, visit func(err error, depth int)) (cut bool) {
	s := search{left: most, found: func(err error, depth int) bool {
		visit(err, depth)
		return false
	}}
	s.in(err, 0)
	return s.cut
}

func find(err error, found func(error) bool) bool {
	s := search{left: most, found: func(err error, _ int) bool { return found(err) }}
	return s.in(err, 0)
}

// search looks for an error in another one, in the order of package errors.
type search struct {
	found func(err error, depth int) bool
	left  int  // errors that may still be looked at
	cut   bool // there were more
}

func (s *search) in(err error, depth int) bool {
	for ; err != nil; depth++ {
		if depth == deepest || s.left == 0 {
			s.cut = true
			return false
		}
		s.left--
		if s.found(err, depth) {
			return true
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			return s.inAny(e.Unwrap(), depth+1)
		default:
			return false
		}
	}
	return false
}

func (s *search) inAny(errs []error, depth int) bool {
	for _, err := range errs {
		if s.in(err, depth) {
			return true
		}
		if s.left == 0 {
			s.cut = true
			return false
		}
	}
	return false
}
