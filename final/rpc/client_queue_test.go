package rpc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newModelMember returns a member whose server takes every call.
func newModelMember() *Client { return &Client{server: new(serverHealth)} }

// plainQueue is what callQueue promises, without its speed.
type plainQueue []*waitingCall

func (q *plainQueue) pop(member *Client, free bool) *waitingCall {
	for i, w := range *q {
		if w.ping || free && !slices.Contains(w.tried, member) {
			*q = slices.Delete(*q, i, i+1)
			return w
		}
	}
	return nil
}

func (q *plainQueue) remove(w *waitingCall) {
	*q = slices.DeleteFunc(*q, func(other *waitingCall) bool { return other == w })
}

// Whatever calls come, leave and are refused, a connection gets the first call that
// it can take.
func TestQueue_AConnectionGetsTheFirstCallThatItCanTake(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			members := []*Client{newModelMember(), newModelMember(), newModelMember()}
			queue, plain := &callQueue{limit: &waitingLimit{most: 1000}}, plainQueue{}
			for range 500 {
				switch random.IntN(5) {
				case 0, 1:
					w := &waitingCall{done: make(chan struct{}), ping: random.IntN(20) == 0}
					for _, m := range members {
						if !w.ping && random.IntN(3) > 0 {
							w.tried = append(w.tried, m)
						}
					}
					require.True(t, queue.push(w))
					plain = append(plain, w)
				case 2:
					member, free := members[random.IntN(len(members))], random.IntN(3) > 0
					require.True(t, plain.pop(member, free) == queue.pop(member, free, new(paramsRoom)))
				case 3:
					if len(plain) > 0 {
						w := plain[random.IntN(len(plain))]
						require.True(t, queue.remove(w))
						plain.remove(w)
					}
				case 4:
					triedAll := func(tried []*Client) bool { return len(tried) == len(members) }
					queue.dismiss(hopeConnecting, queue.latest(), triedAll)
					plain = slices.DeleteFunc(plain, func(w *waitingCall) bool { return triedAll(w.tried) })
				}
			}
			for len(plain) > 0 { // the last one first
				w := plain[len(plain)-1]
				require.True(t, queue.remove(w))
				plain.remove(w)
			}
			require.Empty(t, queue.refused, "an empty queue holds no member")
		})
	}
}

// A call that enters after those in line were served was not served itself: what lets the
// others wait in vain says nothing about it.
func TestQueue_DismissesNoneThatEnteredLater(t *testing.T) {
	queue := callQueue{limit: &waitingLimit{most: 2}}
	early, late := &waitingCall{done: make(chan struct{}), needs: hopeConnecting}, &waitingCall{done: make(chan struct{}), needs: hopeConnecting}
	require.True(t, queue.push(early))
	served := queue.latest()
	require.True(t, queue.push(late))
	queue.dismiss(hopeFull, served, func([]*Client) bool { return false })
	<-early.done
	assert.Equal(t, dismissed, early.outcome)
	assert.EqualValues(t, 1, queue.n.Load())
	assert.True(t, queue.remove(late))
}
