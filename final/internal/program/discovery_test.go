package program

import (
	"context"
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// known is a discovery of one server.
type known string

func (known) Register(context.Context, string, string) (Registration, error) {
	return nil, errors.New("no place is free")
}

func (k known) Resolver(service string) rpc.Resolver {
	return rpc.StaticResolver{service + "." + string(k)}
}

func TestAgentFlag_IsThereIfThereIsADiscovery(t *testing.T) {
	var asked []string
	discover := func(agent string) (Discovery, error) {
		asked = append(asked, agent)
		return known(agent), nil
	}
	for _, args := range [][]string{nil, {"-consul", "agent:1"}} {
		flags := flag.NewFlagSet("shop", flag.ContinueOnError)
		agent := NewAgentFlag(flags, discover, "")
		require.NoError(t, flags.Parse(args))
		assert.Equal(t, args, agent.Args())
		d, err := agent.Open()
		require.NoError(t, err)
		want := rpc.StaticResolver{"static:1"}
		if args != nil {
			want = rpc.StaticResolver{"inventory.agent:1"}
		}
		assert.Equal(t, want, Resolver(d, "inventory", "static:1"))
	}
	assert.Equal(t, []string{"agent:1"}, asked)

	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	agent := NewAgentFlag(flags, nil, "")
	assert.Nil(t, flags.Lookup("consul"))
	assert.Empty(t, agent.Args())
	d, err := agent.Open()
	require.NoError(t, err)
	assert.Nil(t, d)
}

func TestServe_AServerThatCannotRegisterDoesNotServe(t *testing.T) {
	srv := rpc.NewServer()
	defer srv.Close()
	err := Serve(t.Context(), srv, "127.0.0.1:0", &Listing{Discovery: known("agent:1"), Service: "inventory"})
	assert.EqualError(t, err, "no place is free")
}
