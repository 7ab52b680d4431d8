package rpc

// Pending is a call made by Go.
type Pending struct {
	done chan struct{}
	err  error // set before done is closed
}

// Done is closed when the call has ended.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the call and returns its error. The context given
// to Go bounds it.
func (p *Pending) Wait() error {
	<-p.done
	return p.err
}
