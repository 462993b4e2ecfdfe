// Package sqlproxy is the transparent PostgreSQL proxy: any client connects to
// it instead of the server, and reads and writes sealed columns as if they
// were plain.
//
// Make a [Server] with [New], give it listeners with [Server.Serve], end it with
// [Server.Shutdown]. [Server.Reload] exchanges certificates, policy and limits
// while sessions go on.
//
// # Encryption and authentication
//
// Each leg is encrypted or not on its own: Config.Clients, Config.Upstream. Without Config.Terminated the
// proxy passes what the server asks on to the client, and the answer back: trust, password, md5 and SCRAM-SHA-256. A
// password in clear, or its MD5 hash, passes only if both legs are private (encrypted, or on this machine) or neither is.
// With Config.Terminated the proxy verifies clients itself by SCRAM-SHA-256 and logs in to the server as them, or
// as a service.
//
// # Where channel binding passes
//
// A client that binds its channel (libpq's channel_binding, which is prefer unless told otherwise) ties
// its proof to the certificate that it was shown. What comes of that, by the legs that are encrypted:
//
//	clients  server   passed through                       terminated
//	no       no       disable, prefer                      disable, prefer
//	no       yes      disable, prefer (-PLUS is stripped)  disable, prefer
//	yes      no       disable, prefer                      all
//	yes      yes      disable; all with one certificate    all
//
// The cells that are not named must fail. Without encryption of the client's leg there is no channel to bind, so
// that require fails. Passed through, the server offers no binding where its own leg is in clear. With two legs and
// two certificates the client would bind to one and the server to the other; and a client that prefers to bind tells
// the server when it was offered nothing to bind with, as an attacker could have
// taken the offer away. It is refused here, with a hint, before the server would.
//
// # Errors of the proxy's own
//
// 08P01 is for bytes that are not the protocol, 28000 and 28P01 for who is not let in, 53300 for connections above the
// limit, 57P01 for sessions that Shutdown ends and 57P05 for idle ones, 57P03 for a server that does not
// answer and for logins during Shutdown; 08004 for a pooler that shares server connections. Of statements, 0A000 is for
// what cannot be done over sealed columns, 42501 for another tenant's rows, 54000 for what is too long, 57P03 for a
// KMS or key store that is away and XX001 for values that do not open. What the server refuses is passed on as it is.
package sqlproxy
