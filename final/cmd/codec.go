package cmd

import (
	"errors"
	"flag"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// codecs returns what a server with these flags speaks beside JSON. Gob must be
// asked for: it is for trusted clients only, see [rpc.Gob].
func (f serverFlags) codecs() rpc.ServerOption {
	if *f.gob {
		return rpc.WithCodecs(protobuf.Codec, rpc.Gob)
	}
	return rpc.WithCodecs(protobuf.Codec)
}

// codecFlag adds the flag -codec, which names what a client speaks. Its value is
// never nil.
func codecFlag(flags *flag.FlagSet, usage string) *rpc.Codec {
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
