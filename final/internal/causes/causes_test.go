package causes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Errors without an end.
type (
	itself    struct{ error }
	amongThem struct{ others []error }
	anotherMe struct{ n int }
	crowd     struct{ n int }
)

func (e itself) Unwrap() error       { return e }
func (e *amongThem) Error() string   { return "text" }
func (e *amongThem) Unwrap() []error { return append(e.others, e, e) }
func (e anotherMe) Error() string    { return "text" }
func (e anotherMe) Unwrap() error    { return anotherMe{e.n + 1} }
func (e crowd) Error() string        { return "text" }
func (e crowd) Unwrap() []error      { return make([]error, e.n) }
func endless() []error {
	return []error{itself{io.EOF}, &amongThem{}, anotherMe{}, &amongThem{[]error{itself{io.EOF}}}}
}
func deep(err error, n int) error {
	for range n {
		err = fmt.Errorf("%w", err)
	}
	return err
}

func TestEndless_ErrorsAreLeft(t *testing.T) {
	for _, err := range endless() {
		for _, err := range []error{err, deep(err, 10), errors.Join(context.Canceled, err)} {
			var path *fs.PathError
			assert.True(t, Endless(err))
			assert.False(t, Is(err, io.ErrClosedPipe))
			assert.False(t, As(err, &path))
		}
		assert.True(t, Is(errors.Join(context.Canceled, err), context.Canceled))
	}
	assert.True(t, Is(errors.Join(itself{io.EOF}, context.Canceled), context.Canceled), "one of two has an end")
}

func TestSearch_FindsWhatPackageErrorsFinds(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}
	for name, err := range map[string]error{
		"nil": nil, "a sentinel": io.EOF, "wrapped": deep(path, 3), "deep": deep(path, 900), "joined": errors.Join(io.EOF, deep(path, 2)),
		"by Is": &net.DNSError{IsTimeout: true}, "deadline": fmt.Errorf("%w, %w", context.DeadlineExceeded, io.EOF), "nothing": crowd{1000},
		"many": errors.Join(append(make([]error, 0), manyOf(io.ErrNoProgress, 5000)...)...), "uncomparable": uncomparable{io.EOF},
	} {
		for _, target := range []error{nil, io.EOF, fs.ErrNotExist, os.ErrDeadlineExceeded, context.DeadlineExceeded, uncomparable{}, io.ErrNoProgress} {
			assert.Equal(t, errors.Is(err, target), Is(err, target), "%s is %v", name, target)
		}
		var wantPath, gotPath *fs.PathError
		assert.Equal(t, errors.As(err, &wantPath), As(err, &gotPath), name)
		assert.Equal(t, wantPath, gotPath, name)
		var wantNet, gotNet net.Error
		assert.Equal(t, errors.As(err, &wantNet), As(err, &gotNet), name)
		assert.Equal(t, wantNet, gotNet, name)
		assert.False(t, Endless(err), name)
	}
}

// bomb panics when it is asked what it wraps.
type bomb struct{ error }

func (bomb) Unwrap() error { panic("x") }

func TestEndless_AlsoIfAnUnwrapPanics(t *testing.T) {
	assert.True(t, Endless(errors.Join(io.EOF, bomb{io.EOF})))
}

type uncomparable []error

func (u uncomparable) Error() string   { return "text" }
func (u uncomparable) Unwrap() []error { return u }

func manyOf(err error, n int) (many []error) {
	for range n {
		many = append(many, err)
	}
	return many
}

// A liar says yes to everything, and gives nothing.
type liar struct{}

func (liar) Error() string { return "text" }
func (liar) As(any) bool   { return true }

// A mine panics when it is asked.
type mine struct{}

func (mine) Error() string { return "text" }
func (mine) Is(error) bool { panic("is") }
func (mine) As(any) bool   { panic("as") }
func (mine) Unwrap() error { panic("unwrap") }

func TestSearch_OddErrorsAreNothing(t *testing.T) {
	for name, err := range map[string]error{"a liar": liar{}, "a mine": mine{}} {
		t.Run(name, func(t *testing.T) {
			wrapped := fmt.Errorf("wrapped: %w", err)
			assert.False(t, Is(wrapped, io.EOF))
			_, found := Find[*fs.PathError](wrapped)
			assert.False(t, found)
			var timeout interface{ Timeout() bool }
			assert.False(t, As(wrapped, &timeout))
		})
	}
	_, found := Find[*fs.PathError](fmt.Errorf("wrapped: %w", (*fs.PathError)(nil)))
	assert.False(t, found, "a nil pointer")
}

func TestEach_VisitsEveryErrorWithItsDepth(t *testing.T) {
	var seen []string
	see := func(err error, depth int) { seen = append(seen, fmt.Sprintf("%d %v", depth, err)) }
	inner := errors.Join(io.EOF, fmt.Errorf("b: %w", io.ErrNoProgress))
	assert.False(t, Each(fmt.Errorf("a: %w, %w", inner, io.ErrClosedPipe), see))
	assert.Equal(t, []string{
		fmt.Sprintf("0 a: %v, %v", inner, io.ErrClosedPipe), fmt.Sprintf("1 %v", inner), "2 EOF",
		fmt.Sprintf("2 b: %v", io.ErrNoProgress), fmt.Sprintf("3 %v", io.ErrNoProgress), fmt.Sprintf("1 %v", io.ErrClosedPipe),
	}, seen)
	for _, err := range append(endless(), deep(io.EOF, 1000), crowdOf(10_000)) {
		n := 0
		assert.True(t, Each(err, func(error, int) { n++ }))
		assert.LessOrEqual(t, n, 10_000)
	}
	assert.False(t, Each(nil, see))
	assert.False(t, Each(deep(io.EOF, 999), func(error, int) {}))
	assert.False(t, Each(crowdOf(9998), func(error, int) {}))
}

// crowdOf is n errors in one.
func crowdOf(n int) error { return errors.Join(manyOf(io.EOF, n)...) }
