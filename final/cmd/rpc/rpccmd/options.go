package rpccmd

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// options are the flags that every command has: how to reach a server.
type options struct {
	codec    string
	timeout  time.Duration
	metadata []string
	tls      tlsOptions
}

func (o *options) addFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&o.codec, "codec", "json", "the connection's codec `name`: json, gob or protobuf")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long connecting and a call may take; 0: for ever")
	flags.StringArrayVarP(&o.metadata, "metadata", "H", nil, "a `key=value` that goes with every call; may be repeated")
	o.tls.addFlags(flags)
	// Neither completion fails on a flag that is there.
	_ = root.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions([]string{"json", "gob", "protobuf"}, cobra.ShellCompDirectiveNoFileComp))
}

var codecs = map[string]rpc.Codec{"json": rpc.JSON, "gob": rpc.Gob, "protobuf": protobuf.Codec}

// clientOptions turns the flags into those of a client; its errors are usage errors.
func (o *options) clientOptions() ([]rpc.ClientOption, error) {
	codec, known := codecs[o.codec]
	if !known {
		return nil, usagef("unknown codec %q: want json, gob or protobuf", o.codec)
	}
	list := []rpc.ClientOption{
		rpc.WithCodec(codec),
		rpc.WithMaxAttempts(1),            // the user tries again, not we
		rpc.WithClientHandshakeTimeout(0), // -timeout bounds it
	}
	cfg, err := o.tls.config()
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		list = append(list, rpc.WithTLS(cfg))
	}
	return list, nil
}

// callContext returns a context whose calls carry the flags' metadata.
func (o *options) callContext(ctx context.Context) (context.Context, error) {
	md := rpc.Metadata{}
	for _, pair := range o.metadata {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, usagef("-H %q: want key=value", pair)
		}
		md[key] = value
	}
	if len(md) > 0 {
		ctx = rpc.WithMetadata(ctx, md)
	}
	return ctx, nil
}

// dial connects to addr. Unlike call, it does not bound ctx.
func (o *options) dial(ctx context.Context, addr string) (*rpc.Client, error) {
	list, err := o.clientOptions()
	if err != nil {
		return nil, err
	}
	client, err := rpc.Dial(ctx, addr, list...)
	if err != nil {
		return nil, o.explainDial(err)
	}
	return client, nil
}

// with connects to addr, gives f the client, and closes it. The timeout bounds
// all of it.
func (o *options) with(ctx context.Context, addr string, f func(ctx context.Context, c *rpc.Client) error) error {
	ctx, err := o.callContext(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	client, err := o.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer client.Close()
	err = f(ctx, client)
	if rpc.CodeOf(err) == rpc.DeadlineExceeded && isOver(ctx) {
		return hint(err, "-timeout is %v", o.timeout)
	}
	return err
}

// isOver reports whether ctx's own deadline is what ended a call. The server may
// notice that first, since a timeout travels in whole milliseconds; a call of its
// own that timed out leaves more time than that.
func isOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 5*time.Millisecond
}

func (o *options) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, o.timeout)
}

// checkAddr refuses what cannot be dialled before anything is tried.
func checkAddr(addr string) error {
	if strings.HasPrefix(addr, "unix:") {
		return nil
	}
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return usagef("%q is no address: want host:port or unix:path", addr)
	}
	return nil
}
