package main

import "github.com/rowseal/rowseal/sqlproxy"

// serveAdmin answers health checks and metrics on address and returns what ends
// that; "" serves nothing.
func serveAdmin(s *sqlproxy.Server, address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	return serveOn(address, "proxy.admin of the policy file", s.Admin())
}
