package values

import "context"

// CallOptions is the key of what a caller has attached to the context of a call.
type CallOptions struct{}

// ForgetHeader sets the variables of rpc.ReceiveHeader in ctx to nil. It is for a Caller
// around a client that answers calls itself.
func ForgetHeader(ctx context.Context) {
	if o, ok := ctx.Value(CallOptions{}).(interface{ ForgetHeader() }); ok {
		o.ForgetHeader()
	}
}
