package rpc

import "sync/atomic"

// retryBudget bounds the calls of a group that are sent again. It is counted in
// hundredths of one: see [WithRetryBudget].
type retryBudget struct {
	most, perCall int64
	left          atomic.Int64
}

// oneRetry is what sending a call again costs.
const oneRetry = 100

func (b *retryBudget) init(o *clientOptions) {
	b.most, b.perCall = int64(o.retryReserve)*oneRetry, int64(o.retryPercent)
	b.left.Store(b.most)
}

// earn adds what a call that was answered is worth. As long as all is well the budget is
// full, and only read. Calls that end at once may make it a little fuller than full.
func (b *retryBudget) earn() {
	if b.left.Load() < b.most {
		b.left.Add(b.perCall)
	}
}

// take reports whether a call may be sent again.
func (b *retryBudget) take() bool {
	for {
		left := b.left.Load()
		if left < oneRetry {
			return false
		}
		if b.left.CompareAndSwap(left, left-oneRetry) {
			return true
		}
	}
}
