package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rowseal/rowseal/sqlproxy"
)

// serveAdmin answers health checks and metrics on address and returns what ends
// that; "" serves nothing.
func serveAdmin(s *sqlproxy.Server, address string) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s, proxy.admin of the policy file: %w", address, err)
	}
	h := &http.Server{Handler: s.Admin(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Serve(l) // ends with Close; what else goes wrong, health checks notice
	}()
	return func() {
		_ = h.Close()
		<-done
	}, nil
}
