package inventory

import "example.com/rpc-from-scratch/step07-inventory-app/rpc"

// answers holds the answers to reservations with an idempotency key, by key, so
// that a reservation that is made twice counts once.
//
// Enough for a lesson; a shop would forget the keys of orders that are done.
type answers map[string]answer

type answer struct {
	to   Reservation
	left int
	err  error
}

// once returns the earlier answer to r, or else calls reserve. A key that was used
// for another reservation is a mistake of the caller.
func (a answers) once(r Reservation, reserve func(Reservation) (int, error)) (int, error) {
	known, ok := a[r.Key]
	switch {
	case r.Key == "":
		return reserve(r)
	case !ok:
		left, err := reserve(r)
		known = answer{r, left, err}
		a[r.Key] = known
	case known.to != r:
		return 0, rpc.Errorf(rpc.InvalidArgument, "key %s was used for another reservation", r.Key)
	}
	return known.left, known.err
}
