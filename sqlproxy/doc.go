// Package sqlproxy is the transparent PostgreSQL proxy: any client connects to
// it instead of the server, and reads and writes sealed columns as if they
// were plain.
//
// Make a [Server] with [New], give it listeners with [Server.Serve], end it with
// [Server.Shutdown]. [Server.Reload] exchanges certificates, policy and limits
// while sessions go on.
package sqlproxy
