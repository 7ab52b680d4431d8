// Package shop holds the shop's two servers, cmd/inventory and cmd/orders, as programs:
// their flags, their pages over HTTP, and what they say they saw at the end.
package shop
