// Package shopthrift is generated from shop.thrift: the service of shop.proto for Thrift.
package shopthrift

//go:generate sh generate.sh
