// The gorm example is a small HTTP service that keeps people in PostgreSQL or
// SQLite, sealed, with tenants and search by e-mail address. It is made to be
// copied as the beginning of a real one.
//
//	go run ./examples/gorm                                   in a temporary folder
//	go run ./examples/gorm -db sqlite:people.db -key root.key
//	PEOPLE_DB=postgres://… PEOPLE_TOKENS=north=… go run ./examples/gorm -key root.key
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// settings say where the service listens and what it works with.
type settings struct {
	listen string
	db     string // postgres://… or sqlite:people.db; "" for a temporary folder
	key    string // the root key's file
	tokens string // see parseTenants; "" for tokens of this run
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "localhost:8080", "`address` to listen on")
	flag.StringVar(&s.db, "db", "", "`database`: postgres://… or sqlite:people.db; else $PEOPLE_DB, else a temporary one")
	flag.StringVar(&s.key, "key", "root.key", "the root key's `file`; made if there is none")
	flag.Parse()
	s.db = cmp.Or(s.db, os.Getenv("PEOPLE_DB")) // as the flag's default, -help would print its password
	s.tokens = os.Getenv("PEOPLE_TOKENS")
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, s, os.Stdout, log); err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and returns when all requests are answered.
func run(ctx context.Context, s settings, out io.Writer, log *slog.Logger) (err error) {
	if s.db == "" {
		dir, err := os.MkdirTemp("", "people-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		s.db, s.key = "sqlite:"+filepath.ToSlash(dir)+"/people.db", filepath.Join(dir, "root.key")
		fmt.Fprintf(out, "No -db: all is in %s and is removed at the end.\n", dir)
	}
	known, err := parseTenants(cmp.Or(s.tokens, runTokens))
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, s)
	defer func() { err = errors.Join(err, db.close()) }()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	if s.tokens == "" {
		printSession(out, listener.Addr())
	}
	return serve(ctx, listener, (&service{orm: db.orm, tenants: known, log: log}).handler(), log)
}
