package main

import "github.com/rowseal/rowseal/sqlproxy"

func serveAdmin(*sqlproxy.Server, string) (func(), error) { return func() {}, nil }
