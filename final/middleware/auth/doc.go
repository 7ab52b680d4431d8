// Package auth identifies callers by bearer tokens or by their TLS
// certificates, and decides who may call what. A token travels in the metadata
// of each call, as
//
//	authorization: Bearer 2YotnFZFEjr1zCsicMWpAA
//
// and is checked in the server's Authorize hook, before params are decoded. Its
// owner's name is what rpc.IdentityFrom returns in the handler.
//
//	tokens, err := auth.NewTokens(map[string]string{"2YotnFZFEjr1zCsicMWpAA": "ann"})
//	guard, err := auth.New(tokens.Verify, auth.Nobody(), auth.Rules{
//		"Health.Check":       auth.Public(),
//		"Inventory.*":        auth.Known(),
//		"Inventory.SetStock": auth.Only("ann"),
//	})
//	srv := rpc.NewServer(rpc.WithAuthorize(guard.Authorize))
//
// A call without a token, or with one that is not valid, fails with
// Unauthenticated. If the caller is known but may not call the method, the call
// fails with PermissionDenied. In both cases it never ran.
//
// # Certificates
//
// Over mutual TLS, a rule can ask for the client's certificate, alone or
// together with a token. The server verifies it if its configuration has
// ClientCAs and a ClientAuth of at least tls.VerifyClientCertIfGiven.
//
//	auth.Rules{
//		"Inventory.Reserve":  auth.Certificate("spiffe://shop/orders", "orders.shop"),
//		"Inventory.List":     auth.Any(auth.Known(), auth.Certified()),
//		"Inventory.SetStock": auth.All(auth.Only("ann"), auth.Certificate("admin.shop")),
//	}
//
// Without a valid token, rpc.IdentityFrom in the handler returns the
// certificate's name: see rpc.IdentityOf.
//
// # Clients
//
// On the client's side, [OverTLS] and [OverLoopback] send the token, over
// connections that others cannot read:
//
//	client, err := rpc.Dial(ctx, addr, auth.OverTLS(nil, auth.Static(token)))
//
// # Names
//
// Rules go by the name under which a method is registered, not by the one that
// the caller sent. The server finds methods by their exact names, byte by byte,
// so another spelling of a guarded method is a method that does not exist.
// Every caller of such a method gets Unimplemented. A stranger can therefore
// find out which methods there are, though not call them.
//
// # Secrets
//
// Tokens are kept as hashes under a key of the process's own, and compared in
// constant time. No error and no log of this package shows them. Without TLS,
// metadata can be read on the wire, and every interceptor can read them: code
// that logs metadata must leave out [MetadataKey].
package auth
