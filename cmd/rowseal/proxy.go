package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/sqlproxy"
)

func newProxy() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "proxy -c FILE [--dsn DSN]",
		Short: "Seal and open columns between PostgreSQL clients and their server",
		Long: `Stand between PostgreSQL clients and their server: clients read and write the
sealed columns of the policy as if they were plain, and the server sees
bytes. The file's section "proxy" says where to listen and which server is
behind it.

--dsn is the proxy's own connection, for the key store that the file keeps in
the database and for an authentication query. Clients log in as themselves.

SIGTERM ends it once the transactions that run have ended; SIGHUP reads the
file, certificates and users anew without dropping a session.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runProxy(c, &p) },
	}
	p.flags(c)
	return c
}

func runProxy(c *cobra.Command, p *place) (err error) {
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	p.log = log
	r := &reloader{command: c, place: p, log: log}
	defer func() { err = errors.Join(err, r.close()) }()
	s, err := r.open()
	if err != nil {
		return err
	}
	r.current = s
	cfg, err := s.proxyConfig(p, log)
	if err != nil {
		return err
	}
	server, err := sqlproxy.New(cfg)
	r.server = server
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.file.Proxy.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s, proxy.listen of %s: %w", s.file.Proxy.Listen, p.config, err)
	}
	admin, err := serveAdmin(server, s.file.Proxy.Admin)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer admin()
	log.Info("listening", "address", l.Addr().String(), "tables", len(s.file.Policy.Tables()))
	s.watch(c.Context(), log)
	defer r.watch()()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-c.Context().Done():
	}
	log.Info("stopping: no new sessions, waiting for transactions to end")
	// Its own bound is the drain time; the context that was just cancelled would be none.
	if err := server.Shutdown(context.WithoutCancel(c.Context())); err != nil {
		log.Warn("sessions were ended", "reason", err.Error())
	}
	if err := <-served; !errors.Is(err, sqlproxy.ErrServerClosed) {
		return err
	}
	return nil
}
