package cmd

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"example.com/rpc-from-scratch/step04-registry/rpc"
)

// Client is the program cmd/client: it makes one call and prints its result.
func Client() {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "call the server at this `address`")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: client [-addr address] METHOD [PARAMS]\n\n"+
			"PARAMS is one JSON value, for example '\"item1\"'.\n\n")
		flags.PrintDefaults()
	}
	parse(flags, 1, 2)

	var params any
	if text := flags.Arg(1); text != "" {
		if !json.Valid([]byte(text)) {
			fmt.Fprintf(os.Stderr, "client: params are not JSON: %s\n", text)
			os.Exit(2)
		}
		params = json.RawMessage(text)
	}
	exit("client", call(*addr, flags.Arg(0), params))
}

// call calls a method of the server at addr and prints the result as JSON.
func call(addr, method string, params any) error {
	client, err := rpc.Dial(addr)
	if err != nil {
		return err
	}
	defer client.Close()
	var result json.RawMessage
	if err := client.Call(method, params, &result); err != nil {
		return err
	}
	fmt.Println(plain(string(result)))
	return nil
}
