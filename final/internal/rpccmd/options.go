package rpccmd

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/http2"
)

// options are the flags that every command has: how to reach a server.
type options struct {
	codec    string
	timeout  time.Duration
	metadata []string
	tls      tlsOptions

	tokenFile    string
	allowUnknown bool
	stream       string // the kind of stream that the method is; empty: the server says
}

func (o *options) addFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&o.codec, "codec", "json", "the connection's codec `name`: json, gob or protobuf")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long connecting and a call may take, and a stream if this is given; 0: for ever")
	flags.StringArrayVarP(&o.metadata, "metadata", "H", nil, "a `key=value` that goes with every call, or @FILE with one a line; may be repeated")
	flags.StringVar(&o.tokenFile, "token-file", "", "send the bearer token in this `file`, over TLS or to this machine; default: $"+tokenVariable)
	o.tls.addFlags(flags)
	// Neither completion fails on a flag that is there.
	_ = root.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions([]string{"json", "gob", "protobuf"}, cobra.ShellCompDirectiveNoFileComp))
}

// check refuses values that no flag has. An empty text is one of them: a variable
// that is not set would take TLS or a token away without a word.
func (o *options) check(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && err == nil {
			want, _ := pflag.UnquoteUsage(f)
			err = usagef("-%s is empty: want a %s", f.Name, want)
		}
	})
	if err == nil && o.timeout < 0 {
		return usagef("-timeout %v: want 0 or more", o.timeout)
	}
	return err
}

func (o *options) addUnknownFlag(flags *pflag.FlagSet) {
	flags.BoolVar(&o.allowUnknown, "allow-unknown", false, "also send fields and names of enums that the server does not know")
}

func (o *options) addStreamFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.stream, "stream", "", "the method is a stream of this `kind`: server, client or bidi; default: the server says")
	_ = cmd.RegisterFlagCompletionFunc("stream", cobra.FixedCompletions([]string{"server", "client", "bidi"}, cobra.ShellCompDirectiveNoFileComp))
}

var codecs = map[string]rpc.Codec{"json": rpc.JSON, "gob": rpc.Gob, "protobuf": protobuf.Codec}

// clientOptions turns the flags into those of a client whose calls have ctx; its
// errors are usage errors.
func (o *options) clientOptions(ctx context.Context, t target) ([]rpc.ClientOption, error) {
	codec, known := codecs[o.codec]
	if !known {
		return nil, usagef("unknown codec %q: want json, gob or protobuf", o.codec)
	}
	list := []rpc.ClientOption{
		rpc.WithCodec(codec),
		rpc.WithMaxAttempts(1), // the user tries again, not we
		rpc.WithFailFast(),
		rpc.WithHandshakeTimeout(0), // -timeout bounds it
	}
	cfg, err := o.tls.config()
	if err != nil {
		return nil, err
	}
	var dial dialer
	switch {
	case strings.HasPrefix(t.addr, "unix:") && cfg != nil && cfg.ServerName == "" && !cfg.InsecureSkipVerify:
		return nil, usagef("a Unix socket has no host that a certificate could name: give -server-name NAME, too")
	case t.http && !t.tls && cfg != nil:
		return nil, usagef("http:// is without TLS, which the TLS flags ask for: want https://")
	case t.http:
		dial = overHTTP2(t, cfg)
		list = append(list, rpc.WithDialer(dial))
	case cfg != nil:
		list = append(list, rpc.WithTLS(cfg))
	}
	token, err := o.token()
	if err != nil {
		return nil, err
	}
	// An authorization of the user's own is sent instead, over any connection.
	if _, own := rpc.OutgoingMetadata(ctx)[auth.MetadataKey]; token != "" && !own {
		list = append(list, sendToken(cfg != nil || t.tls, token, dial))
	}
	return list, nil
}

// overHTTP2 returns what opens a stream of HTTP/2. Its TCP connections end with
// the process.
func overHTTP2(t target, cfg *tls.Config) dialer {
	d := &http2.Dialer{Path: t.path}
	if t.tls {
		if cfg == nil {
			cfg = new(tls.Config)
		}
		d.TLS = cfg
	}
	return d.Dial
}

// callContext returns a context whose calls carry the flags' metadata.
func (o *options) callContext(ctx context.Context) (context.Context, error) {
	md := rpc.Metadata{}
	for _, pair := range o.metadata {
		if file, ok := strings.CutPrefix(pair, "@"); ok {
			if err := readMetadata(md, file); err != nil {
				return nil, err
			}
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, usagef("-H %q: want key=value or @FILE", pair)
		}
		md[key] = value
	}
	if len(md) > 0 {
		ctx = rpc.AddMetadata(ctx, md)
	}
	return ctx, nil
}

// readMetadata adds the pairs in a file, one a line. An error does not repeat a
// line: there may be a secret in it.
func readMetadata(md rpc.Metadata, file string) error {
	data, err := readFile(file)
	if err != nil {
		return usagef("-H: %w", err)
	}
	text, err := utf8Text("-H @"+file, data)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return usagef("-H @%s: line %d: want key=value", file, n)
		}
		md[key] = value
	}
	return nil
}

// dial connects to addr. Unlike call, it does not bound ctx.
func (o *options) dial(ctx context.Context, addr string) (*rpc.Client, error) {
	t, err := parseTarget(addr)
	if err != nil {
		return nil, err
	}
	list, err := o.clientOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	client, err := rpc.Dial(ctx, t.addr, list...)
	if err != nil {
		return nil, o.explainDial(t, err)
	}
	return client, nil
}

// with connects to addr, gives f the client, and closes it. The timeout bounds
// all of it.
func (o *options) with(ctx context.Context, addr string, f func(ctx context.Context, c *rpc.Client) error) error {
	return o.connected(ctx, addr, func(_, bounded context.Context, c *rpc.Client) error { return f(bounded, c) })
}

// connected is with for what may go on for longer than the timeout, under ctx.
func (o *options) connected(ctx context.Context, addr string, f func(ctx, bounded context.Context, c *rpc.Client) error) error {
	ctx, err := o.callContext(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := o.bounded(ctx)
	defer cancel()
	client, err := o.dial(bounded, addr)
	if err != nil {
		return err
	}
	defer client.Close()
	err = f(ctx, bounded, client)
	if rpc.CodeOf(err) == rpc.DeadlineExceeded && isOver(bounded) {
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
