package check

import (
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// judgePins takes back that a pin's limit is lifted, unless the code works: an
// answer that is not the limit's may be no answer at all. Code works if all other
// tests of the pin's package pass; those that did not run now, by the last check.
// Then only a stub can be in the way, which the pin alone has called.
func (r *Report) judgePins() {
	for i := range r.Results {
		pin := &r.Results[i]
		switch {
		case pin.Status != Lifted:
		case r.fails(pin.Test.Package):
			pin.Status = Undecided
		case pin.Stub != nil:
			pin.Status = Failed
		}
	}
}

// fails reports whether a test of a package that is no pin is not done.
func (r *Report) fails(pkg string) bool {
	return slices.ContainsFunc(r.all, func(t course.Test) bool {
		if t.Package != pkg || t.IsPin() {
			return false
		}
		i := slices.IndexFunc(r.Results, func(result Result) bool { return result.Test.Same(t) })
		if i < 0 {
			return r.Target.Progress != nil && slices.Contains(r.Target.Progress.ToDo, t.Name)
		}
		return !r.Results[i].Status.done()
	})
}
