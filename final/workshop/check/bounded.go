package check

import "fmt"

// A bounded keeps the beginning and the end of what is written to it: a test
// that prints for ever costs no more memory than one that prints much.
type bounded struct {
	head, tail []byte
	dropped    int
}

// boundedHalf is how much is kept of the beginning, and of the end: a failure
// and the panic after it.
const boundedHalf = 128 << 10

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	room := min(boundedHalf-len(b.head), len(p))
	b.head = append(b.head, p[:room]...)
	b.tail = append(b.tail, p[room:]...)
	if len(b.tail) > 2*boundedHalf { // seldom, so that the copying is cheap
		b.drop()
	}
	return n, nil
}

// drop forgets all but the last half of the tail.
func (b *bounded) drop() {
	if over := len(b.tail) - boundedHalf; over > 0 {
		b.dropped += over
		b.tail = append(b.tail[:0], b.tail[over:]...)
	}
}

func (b *bounded) String() string {
	b.drop()
	if b.dropped == 0 {
		return string(b.head) + string(b.tail)
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", b.head, b.dropped, b.tail)
}
