package program

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// ServerFlags are the flags that every server has.
type ServerFlags struct {
	*flag.FlagSet
	Addr     *string
	Gob      *bool
	UntilEOF *bool

	tlsCert, tlsKey, clientCA *string
	tokenFile                 *string
	noIntrospect              *bool
	handlerTimeout            *time.Duration
}

// NewServerFlags returns the flags of a server that listens on addr by default. A server
// may add flags of its own before [Parse].
func NewServerFlags(program, addr string) ServerFlags {
	flags := flag.NewFlagSet(program, flag.ExitOnError)
	return ServerFlags{
		FlagSet:  flags,
		Addr:     flags.String("addr", addr, "listen on this `address`; port 0 picks a free port"),
		Gob:      flags.Bool("gob", false, "offer gob, too, beside json and protobuf; only if you trust all clients"),
		UntilEOF: flags.Bool("until-eof", false, "end when standard input ends; for a parent process"),

		tlsCert:        flags.String("tls-cert", "", "speak TLS with the certificate in this PEM `file`, also on pages"),
		tlsKey:         flags.String("tls-key", "", "PEM `file` of the certificate's private key"),
		clientCA:       flags.String("client-ca", "", "want a certificate from clients, those of pages too, signed by an authority in this PEM `file`"),
		tokenFile:      flags.String("token-file", "", "want the bearer token in this `file` from callers, but for health checks, and show no page; the token is secret over TLS only"),
		noIntrospect:   flags.Bool("no-introspect", false, "do not tell callers which methods and types there are, and show no page"),
		handlerTimeout: flags.Duration("handler-timeout", time.Minute, "how long a call may take that has no deadline, or a later one; 0: as long as it wants"),
	}
}

// Codecs returns what a server with these flags speaks beside JSON. Gob must be
// asked for: it is for trusted clients only, see [rpc.Gob].
func (f ServerFlags) Codecs() rpc.ServerOption {
	if *f.Gob {
		return rpc.WithCodecs(protobuf.Codec, rpc.Gob)
	}
	return rpc.WithCodecs(protobuf.Codec)
}

// CodecFlag adds the flag -codec, which names what a client speaks. Its value is
// never nil.
func CodecFlag(flags *flag.FlagSet, usage string) *rpc.Codec {
	codec := rpc.JSON
	flags.Func("codec", usage+": json, gob or protobuf (default json)", func(name string) error {
		for _, c := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
			if c.Name() == name {
				codec = c
				return nil
			}
		}
		return errors.New("want json, gob or protobuf")
	})
	return &codec
}

// Parse parses args, and exits with status 2 and a usage message if there is
// anything after the flags, or a flag is there without its text.
func Parse(flags *flag.FlagSet, args []string) {
	flags.Parse(args)
	if n := flags.NArg(); n > 0 {
		UsageError(flags, "wrong number of arguments: %d", n)
	}
	flags.Visit(func(f *flag.Flag) {
		if value, ok := f.Value.(flag.Getter); ok && value.Get() == "" {
			want, _ := flag.UnquoteUsage(f)
			UsageError(flags, "-%s is empty: want its %s", f.Name, want)
		}
	})
}

// UsageError says what is wrong with the command line, and exits with status 2.
func UsageError(flags *flag.FlagSet, format string, args ...any) {
	fmt.Fprintf(flags.Output(), flags.Name()+": "+format+"\n", args...)
	flags.Usage()
	os.Exit(2)
}
