// Package demo is the program cmd/demo: a shop of real processes over real TCP, whose
// inventory server is killed in the middle of the orders and started again. At the end
// what each customer was told is compared with the database. Package history then checks
// that a shop with a single copy of the stock could have given the same answers.
//
// The orders are made up in plan.go and placed in customers.go, against the processes of
// part.go. Meanwhile others look at the stock, in window.go, and a stream keeps board.go
// up to date. In the end another stream takes all orders once more, in again.go, and
// changes nothing. ledger.go compares, and report.go prints.
package demo
