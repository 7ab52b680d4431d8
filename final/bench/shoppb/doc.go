// Package shoppb holds the messages and services generated from shop.proto, one file for each system that is measured with
// protobuf: messages, gRPC, DRPC, ttrpc, and Connect in shoppbconnect.
package shoppb

//go:generate sh generate.sh
