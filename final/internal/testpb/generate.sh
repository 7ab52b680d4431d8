#!/bin/sh
# Makes test.pb.go anew from test.proto. Needs protoc (Debian: protobuf-compiler); the plugin is a tool of this module,
# so its version is that of go.mod. It runs at the top of the repository, because a .proto file's path must be unlike
# that of every other in a program.
set -eu
cd "$(dirname "$0")"
plugin=$(go tool -n protoc-gen-go)
cd ../../..
protoc --plugin=protoc-gen-go="$plugin" --go_out=. --go_opt=paths=source_relative final/internal/testpb/test.proto
