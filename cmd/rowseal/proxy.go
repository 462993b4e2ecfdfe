package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

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
	s, err := p.openProxy(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	cfg, err := s.proxyConfig(p, log)
	if err != nil {
		return err
	}
	server, err := sqlproxy.New(cfg)
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
	r := &reloader{command: c, place: p, server: server, log: log, current: s}
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

// reloader reads the policy file anew at SIGHUP.
type reloader struct {
	command *cobra.Command
	place   *place
	server  *sqlproxy.Server
	log     *slog.Logger
	current *session
}

// watch begins to listen for the signal and returns what ends that.
func (r *reloader) watch() (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-hangups:
				r.reload()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
		<-ended
	}
}

// reload takes a changed file. One that is wrong changes nothing, and the log says why.
func (r *reloader) reload() {
	next, err := r.place.openProxy(r.command)
	if err != nil {
		r.log.Error("the policy file was not taken; the proxy goes on as before", "error", err.Error())
		return
	}
	cfg, err := next.proxyConfig(r.place, r.log)
	if err == nil {
		err = r.server.Reload(cfg)
	}
	if err != nil {
		r.log.Error("the policy file was not taken; the proxy goes on as before", "error", errors.Join(err, next.close()).Error())
		return
	}
	if next.file.Proxy.Listen != r.current.file.Proxy.Listen || next.file.Proxy.Admin != r.current.file.Proxy.Admin {
		r.log.Warn("listen and admin addresses change with a restart only")
	}
	r.log.Info("policy file read anew", "tables", len(next.file.Policy.Tables()))
}
