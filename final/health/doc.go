// Package health tells callers the status of a server: serving, draining or not
// serving, as a whole and by service, over every codec. It is off unless
// registered:
//
//	srv := rpc.NewServer()
//	h, err := health.Register(srv)
//
// A caller asks once, by [Check], or follows the changes, by [Follow]:
//
//	for status, err := range health.Follow(ctx, client, "Inventory") {
//
// A server that is about to leave says so first, gives its callers time to use
// other servers, and then shuts down:
//
//	h.Set("", health.Draining)
//	…
//	err = srv.Shutdown(ctx)
//
// The pause matters: once Shutdown has begun, new calls are refused, also those
// of Health.Check. Callers that follow the server learn of each immediately.
package health
