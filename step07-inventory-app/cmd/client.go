package cmd

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/orders"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// Client is the program cmd/client: it makes one call and prints its result.
func Client() {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "call the server at this `address`")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: client [-addr address] [-timeout duration] [-codec json|gob] METHOD [PARAMS]\n\n"+
			"PARAMS is one JSON value, for example '\"item1\"'.\n\n")
		flags.PrintDefaults()
	}
	timeout := flags.Duration("timeout", 10*time.Second, "give up after this `duration`")
	codec := flags.String("codec", "json", "speak json, or gob if the server allows it")
	parse(flags, os.Args[1:], 1, 2)
	checkCodec(flags, *codec)

	var params any
	if text := flags.Arg(1); text != "" {
		if !json.Valid([]byte(text)) {
			fmt.Fprintf(os.Stderr, "client: params are not JSON: %s\n", text)
			os.Exit(2)
		}
		params = json.RawMessage(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if *codec == "gob" {
		exit("client", callGob(ctx, *addr, flags.Arg(0), flags.Arg(1)))
	}
	exit("client", call(ctx, *addr, flags.Arg(0), params))
}

// call calls a method of the server at addr and prints the result as JSON.
func call(ctx context.Context, addr, method string, params any) error {
	client, err := rpc.Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer client.Close()
	var result json.RawMessage
	if err := client.Call(ctx, method, params, &result); err != nil {
		return err
	}
	fmt.Println(plain(string(result)))
	return nil
}

// types maps a method to the Go types of its params and its result, which gob
// must know and JSON need not.
var types = map[string]struct{ params, result func() any }{
	"Inventory.CheckStock": {newValue[string], newValue[int]},
	"Inventory.Reserve":    {newValue[inventory.Reservation], newValue[int]},
	"Inventory.Release":    {newValue[string], newValue[int]},
	"Inventory.List":       {newValue[struct{}], newValue[[]inventory.Item]},
	"Orders.PlaceOrder":    {newValue[orders.Order], newValue[orders.Receipt]},
}

func newValue[T any]() any { return new(T) }

// callGob is call in gob.
func callGob(ctx context.Context, addr, method, text string) error {
	t, ok := types[method]
	if !ok {
		return fmt.Errorf("gob needs Go types, and this program knows only those of %s",
			strings.Join(slices.Sorted(maps.Keys(types)), ", "))
	}
	params, result := t.params(), t.result()
	if text == "" {
		text = "null"
	}
	if err := json.Unmarshal([]byte(text), params); err != nil {
		return fmt.Errorf("params of %s: %w", method, err)
	}
	client, err := rpc.DialCodec(ctx, addr, "gob")
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Call(ctx, method, params, result); err != nil {
		return err
	}
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Println(plain(string(data)))
	return nil
}
