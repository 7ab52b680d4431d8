#!/bin/sh
# Makes inventory.pb.go anew from inventory.proto. Needs protoc (Debian: protobuf-compiler); the plugin is a tool of
# this module, so its version is that of go.mod. It runs three folders up, because a .proto file's path must be unlike
# that of every other in a program: inventory.proto alone would not be.
set -eu
cd "$(dirname "$0")"
plugin=$(go tool -n protoc-gen-go)
cd ../../..
protoc --plugin=protoc-gen-go="$plugin" --go_out=. --go_opt=paths=source_relative final/inventory/inventorypb/inventory.proto
