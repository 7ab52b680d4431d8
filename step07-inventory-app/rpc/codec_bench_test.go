package rpc

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"testing"
)

type benchOrder struct {
	Customer string
	Lines    []benchLine
}

type benchLine struct {
	Item     string
	Quantity int
	Price    float64
}

func newBenchOrder(lines int) benchOrder {
	order := benchOrder{Customer: "customer-1"}
	for i := range lines {
		order.Lines = append(order.Lines, benchLine{fmt.Sprintf("item-%03d", i), i + 1, 9.99 * float64(i+1)})
	}
	return order
}

// BenchmarkCodec encodes and decodes an order: what the two ends of a connection
// do for its params. "gob, new encoder" is the article's way.
func BenchmarkCodec(b *testing.B) {
	for _, lines := range []int{1, 20, 500} {
		order := newBenchOrder(lines)
		b.Run(fmt.Sprintf("json/lines=%d", lines), func(b *testing.B) {
			benchmarkRoundTrip(b, order, func(v any, buf *bytes.Buffer) error {
				return json.NewEncoder(buf).Encode(v)
			}, func(buf *bytes.Buffer, v any) error {
				return json.NewDecoder(buf).Decode(v)
			})
		})
		b.Run(fmt.Sprintf("gob-new-encoder/lines=%d", lines), func(b *testing.B) {
			benchmarkRoundTrip(b, order, func(v any, buf *bytes.Buffer) error {
				return gob.NewEncoder(buf).Encode(v)
			}, func(buf *bytes.Buffer, v any) error {
				return gob.NewDecoder(buf).Decode(v)
			})
		})
		b.Run(fmt.Sprintf("gob-one-stream/lines=%d", lines), func(b *testing.B) {
			var stream bytes.Buffer
			enc, dec := gob.NewEncoder(&stream), gob.NewDecoder(&stream)
			benchmarkRoundTrip(b, order, func(v any, buf *bytes.Buffer) error {
				if err := enc.Encode(v); err != nil {
					return err
				}
				buf.Write(stream.Bytes()) // to count them
				return nil
			}, func(_ *bytes.Buffer, v any) error {
				return dec.Decode(v)
			})
		})
	}
}

func benchmarkRoundTrip(b *testing.B, order benchOrder, encode func(any, *bytes.Buffer) error, decode func(*bytes.Buffer, any) error) {
	var buf bytes.Buffer
	size := 0
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := encode(&order, &buf); err != nil {
			b.Fatal(err)
		}
		size = buf.Len()
		var got benchOrder
		if err := decode(&buf, &got); err != nil {
			b.Fatal(err)
		}
		if len(got.Lines) != len(order.Lines) {
			b.Fatal("lines are missing")
		}
	}
	b.ReportMetric(float64(size), "wire-B/op")
}

// BenchmarkMessage is a whole message through our own codecs: a request with its
// order, written and read.
func BenchmarkMessage(b *testing.B) {
	for _, name := range []string{"json", "gob"} {
		for _, lines := range []int{1, 20, 500} {
			b.Run(fmt.Sprintf("%s/lines=%d", name, lines), func(b *testing.B) {
				order := newBenchOrder(lines)
				r, w := io.Pipe()
				defer r.Close()
				out := bufio.NewWriter(w)
				writer, reader := newCodec[name](bufio.NewReader(r), out), newCodec[name](bufio.NewReader(r), io.Discard)
				go func() {
					for writer.WriteRequest(Request{ID: 1, Method: "Orders.PlaceOrder", value: order}) == nil && out.Flush() == nil {
					}
				}()
				b.ReportAllocs()
				for b.Loop() {
					req, err := reader.ReadRequest(func(string) any { return &benchOrder{} })
					if err != nil {
						b.Fatal(err)
					}
					var got benchOrder
					if err := req.decode(&got); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
