package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

type (
	CheckStockRequest struct {
		Item string `json:"item"`
	}
	CheckStockReply struct {
		Count int `json:"count"`
	}
)

var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")

// A call as curl makes it, one that fails, and the page.
func Example() {
	recorder := gateway.NewRecorder()
	srv := rpc.NewServer(rpc.WithServerMiddleware(recorder.Middleware()))
	err := CheckStock.Handle(srv, func(_ context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
		if req.Item != "item1" {
			return nil, rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		}
		return &CheckStockReply{Count: 100}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/rpc/", gateway.New(srv, gateway.WithPage(recorder)))
	hs := httptest.NewServer(mux)
	defer hs.Close()

	for _, params := range []string{`{"item":"item1"}`, `{"item":"item9"}`} {
		resp, err := http.Post(hs.URL+"/rpc/Inventory.CheckStock", "application/json", strings.NewReader(params))
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%s %v\n%s", resp.Status, err, body)
	}
	page, err := http.Get(hs.URL + "/rpc/")
	if err != nil {
		fmt.Println(err)
		return
	}
	page.Body.Close()
	fmt.Println(page.Status, page.Header.Get("Content-Type"))
	// Output:
	// 200 OK <nil>
	// {"count":100}
	// 404 Not Found <nil>
	// {"code":"not_found","message":"unknown item: item9"}
	// 200 OK text/html; charset=utf-8
}
