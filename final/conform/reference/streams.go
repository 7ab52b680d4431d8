package reference

import (
	"context"
	"strconv"

	"example.com/rpc-from-scratch/final/rpc"
)

// number is an item of the streams.
type number struct {
	N    int
	Data string `json:",omitempty"`
}

type countRequest struct {
	N    int
	Data string
	Fail bool
}

var (
	count = rpc.ServerStream[countRequest, number]("Test.Count")
	sum   = rpc.ClientStream[number, number]("Test.Sum")
	echo  = rpc.BidiStream[number, number]("Test.Echo")
	never = rpc.BidiStream[number, number]("Test.Never")

	// Of the captures alone.
	first = rpc.BidiStream[number, number]("Test.First")
	hold  = rpc.ServerStream[number, number]("Test.Hold")
	label = rpc.ServerStream[number, number]("Test.Label")
)

func counts(ctx context.Context, req *countRequest, out *rpc.Sender[number]) error {
	for i := range req.N {
		if err := out.Send(ctx, &number{N: i + 1, Data: req.Data}); err != nil {
			return err
		}
	}
	if !req.Fail {
		return nil
	}
	e := rpc.Errorf(rpc.NotFound, "no more")
	e.Details = map[string]string{"n": strconv.Itoa(req.N)}
	return e
}

func sums(_ context.Context, in *rpc.Receiver[number]) (*number, error) {
	total := new(number)
	for n, err := range in.All() {
		if err != nil {
			return nil, err
		}
		if total.N += n.N; n.N < 0 {
			return nil, below0(n, "sum", total.N)
		}
	}
	return total, nil
}

func echoes(ctx context.Context, in *rpc.Receiver[number], out *rpc.Sender[number]) error {
	for n, err := range in.All() {
		if err != nil {
			return err
		}
		if err := out.Send(ctx, n); err != nil {
			return err
		}
		if n.N < 0 {
			return below0(n, "item", n.N)
		}
	}
	return nil
}

// below0 is how a negative item fails its stream.
func below0(n *number, key string, value int) error {
	e := rpc.Errorf(rpc.OutOfRange, "item of %d", n.N)
	e.Details = map[string]string{key: strconv.Itoa(value)}
	return e
}

// firsts answers one item and returns.
func firsts(ctx context.Context, in *rpc.Receiver[number], out *rpc.Sender[number]) error {
	n, err := in.Receive(ctx)
	if err != nil {
		return err
	}
	return out.Send(ctx, n)
}

// labels has a header and a trailer.
func labels(ctx context.Context, req *number, out *rpc.Sender[number]) error {
	if err := rpc.SetHeader(ctx, rpc.Metadata{"user": rpc.MetadataFrom(ctx)["user"]}); err != nil {
		return err
	}
	if err := counts(ctx, &countRequest{N: req.N}, out); err != nil {
		return err
	}
	if err := rpc.SetTrailer(ctx, rpc.Metadata{"sent": strconv.Itoa(req.N)}); err != nil {
		return err
	}
	if req.N == 0 {
		return rpc.Errorf(rpc.NotFound, "nothing to send")
	}
	return nil
}
