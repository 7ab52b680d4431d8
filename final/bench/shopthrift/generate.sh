#!/bin/sh
# Makes shop.go and shop-consts.go anew from shop.thrift. Needs thrift (Debian: thrift-compiler 0.17, whose code compiles
# against the library's v0.25.0).
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
thrift --gen go:skip_remote -out "$out" shop.thrift
cp "$out/shopthrift/shop.go" "$out/shopthrift/shop-consts.go" .
gofmt -w shop.go shop-consts.go
