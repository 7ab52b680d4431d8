package inventory

import "example.com/rpc-from-scratch/step07-inventory-app/rpc"

// answers remembers what reservations with an idempotency key were answered, by
// key, so that one that comes twice counts once.
//
// Enough for a lesson; a shop would forget the keys of orders that are done.
type answers map[string]answer

type answer struct {
	to   Reservation
	left int
	err  error
}

// once returns the answer that r had before, or else that of reserve. A key that
// comes back with another reservation is a mistake: neither can be right.
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
