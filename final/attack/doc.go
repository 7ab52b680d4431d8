// Package attack has no code but its tests: they attack a server as strangers would who
// can reach its ports, and want to end, exhaust or starve it.
//
// The victim is a process of its own, with the settings that SECURITY.md recommends, but
// with shorter times. Attacker and victim talk over loopback only, and each attack is
// bounded in time and in number. Meanwhile an honest client calls over connections of its
// own. None of its calls may fail, 99 in 100 take less than a second, and the victim's
// memory stays within what its options allow.
//
// A client is a victim, too: it calls hostile servers, and an honest one over another
// connection. Calls to the hostile ones may fail, but with an error that says why, and not
// after their deadlines.
//
// Some honest clients come from 127.0.0.2, as if from another host: on Linux and Windows
// all of 127.0.0.0/8 is loopback; elsewhere, give the loopback interface that address, or
// those attacks are skipped.
//
//	go test ./attack                                      what the victim has to do, in seconds
//	ATTACK_TIME=500ms go test -v ./attack                 prints the figures, in less than a minute
//	ATTACK_TIME=1m go test -v -timeout 2h ./attack        a minute for each attack
//
// An attack is a line of the table in attack_test.go, or in
// clients_test.go for those on clients, and a function that does it once.
package attack
