#!/bin/sh
# Makes every generated file of this folder anew from shop.proto. Needs protoc (Debian: protobuf-compiler); the plugins
# are tools of this module, so their versions are those of go.mod.
set -eu
cd "$(dirname "$0")"
module=example.com/rpc-from-scratch/final/bench/shoppb

plugins=
for tool in protoc-gen-go protoc-gen-go-grpc protoc-gen-go-drpc protoc-gen-go-ttrpc protoc-gen-connect-go; do
	plugins="$plugins --plugin=$tool=$(go tool -n $tool)"
done

# ttrpc's service and client get a prefix: in one package they would have the names of gRPC's.
# shellcheck disable=SC2086 # one word a plugin
protoc $plugins \
	--go_out=. --go_opt=module=$module \
	--go-grpc_out=. --go-grpc_opt=module=$module \
	--go-drpc_out=. --go-drpc_opt=module=$module \
	--go-ttrpc_out=. --go-ttrpc_opt=module=$module,prefix=TTRPC \
	--connect-go_out=. --connect-go_opt=module=$module \
	shop.proto
