package auth_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	tokens, err := auth.NewTokens(map[string]string{
		"2YotnFZFEjr1zCsicMWpAA": "ann",
		"tGzv3JOkF0XG5Qx2TlKWIA": "bob",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := auth.New(tokens.Verify, auth.Nobody(), auth.Rules{
		"Inventory.*":        auth.Known(),
		"Inventory.SetStock": auth.Only("ann"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer(rpc.WithAuthorize(guard.Authorize))
	defer srv.Close()
	err = srv.RegisterFunc("Inventory.SetStock", func(ctx context.Context, count int) (string, error) {
		return fmt.Sprintf("%d, says %s", count, rpc.IdentityFrom(ctx)), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("rules without a method:", guard.Unused(srv.Methods()))
	ln, err := rpc.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, token := range []string{"2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA", "not-a-token-of-anybody"} {
		client, err := rpc.Dial(ctx, ln.Addr().String(), auth.OverLoopback(auth.Static(token)))
		if err != nil {
			fmt.Println(err)
			return
		}
		var answer string
		err = client.Call(ctx, "Inventory.SetStock", 100, &answer)
		switch {
		case errors.Is(err, rpc.Unauthenticated):
			fmt.Println("unknown:", err)
		case errors.Is(err, rpc.PermissionDenied):
			fmt.Println("known:", err)
		default:
			fmt.Println(answer, err)
		}
		client.Close()
	}
	// Output:
	// rules without a method: [Inventory.*]
	// 100, says ann <nil>
	// known: permission_denied: bob may not call Inventory.SetStock
	// unknown: unauthenticated: the token is not valid
}
