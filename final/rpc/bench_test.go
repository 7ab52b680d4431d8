package rpc

import (
	"context"
	"net"
	netrpc "net/rpc"
	"testing"
	"time"
)

// The whole comparison is final/bench's; this one is for a quick look while
// changing something: go test -run none -bench . ./rpc

type (
	benchService struct{}
	BenchRequest stockRequest // net/rpc wants exported types
	BenchReply   stockReply
)

func (benchService) Quick(req *BenchRequest, reply *BenchReply) error {
	*reply = BenchReply{Item: req.Item, Count: 100}
	return nil
}

// benchCalls measures one caller, then many on the same connection.
func benchCalls(b *testing.B, call func() error) {
	if err := call(); err != nil {
		b.Fatal(err)
	}
	b.Run("1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkCall(b *testing.B) {
	for _, codec := range codecs() {
		for _, method := range []Method[stockRequest, stockReply]{quickStock, checkStock} {
			b.Run(codec.Name()+"/"+method.Name(), func(b *testing.B) {
				srv := newBenchServer(b)
				client := dial(b, listen(b, srv), WithCodec(codec))
				ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
				defer cancel()
				benchCalls(b, func() error {
					_, err := method.Call(ctx, client, &stockRequest{Item: "item1"})
					return err
				})
			})
		}
	}
}

func newBenchServer(b *testing.B) *Server {
	b.Helper()
	srv := NewServer(WithCodecs(Gob))
	answer := func(_ context.Context, req *stockRequest) (*stockReply, error) {
		return &stockReply{Item: req.Item, Count: 100}, nil
	}
	if err := quickStock.Handle(srv, answer, NonBlocking()); err != nil {
		b.Fatal(err)
	}
	if err := checkStock.Handle(srv, answer); err != nil {
		b.Fatal(err)
	}
	return srv
}

func BenchmarkNetRPC(b *testing.B) {
	srv := netrpc.NewServer()
	if err := srv.RegisterName("Inventory", benchService{}); err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go srv.Accept(ln)
	client, err := netrpc.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	benchCalls(b, func() error {
		var reply BenchReply
		return client.Call("Inventory.Quick", &BenchRequest{Item: "item1"}, &reply)
	})
}
