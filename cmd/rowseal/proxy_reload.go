package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/sqlproxy"
)

// reloader reads the policy file, at first and anew at SIGHUP.
type reloader struct {
	command *cobra.Command
	place   *place
	server  *sqlproxy.Server
	log     *slog.Logger
	// current is in use; nil until the file was read once.
	current *session
	// before is what current took the place of: statements that had begun may still use its keys. It is
	// closed when it is replaced itself, or at the end.
	before *session
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

// open reads the file and opens what it names. Keys that the file describes as
// before stay open, and their cache stays filled.
func (r *reloader) open() (*session, error) {
	file, err := r.place.loadProxy(r.command)
	switch now := r.current; {
	case err != nil:
		return nil, err
	case len(file.Policy.Tables()) == 0:
		return &session{file: file}, nil // nothing is sealed, so no key is needed
	case now != nil && now.ring != nil && now.file.Namespace == file.Namespace && reflect.DeepEqual(now.file.Keys, file.Keys):
		return &session{file: file, roots: now.roots, store: now.store, ring: now.ring, unwatch: now.unwatch}, nil
	}
	return r.place.openKeys(r.command, file)
}

// reload takes a changed file. One that is wrong changes nothing, and the log says why.
func (r *reloader) reload() {
	next, err := r.open()
	if err == nil {
		err = r.exchange(next)
	}
	if err != nil {
		r.log.Error("the policy file was not taken; the proxy goes on as before", "error", err.Error())
		return
	}
	r.log.Info("policy file read anew", "tables", len(next.file.Policy.Tables()))
}

// exchange has the server use next, or closes it.
func (r *reloader) exchange(next *session) error {
	cfg, err := next.proxyConfig(r.place, r.log)
	if err == nil {
		err = r.server.Reload(cfg)
	}
	if err != nil {
		return errors.Join(err, r.drop(next))
	}
	if err := r.drop(r.before); err != nil {
		r.log.Warn("what an earlier policy file had opened was not closed in order", "error", err.Error())
	}
	next.watch(r.command.Context(), r.log)
	old := r.current
	r.before, r.current = old, next
	if next.file.Proxy.Listen != old.file.Proxy.Listen || next.file.Proxy.Admin != old.file.Proxy.Admin {
		r.log.Warn("listen and admin addresses change with a restart only")
	}
	return nil
}

// drop closes a session that is out of use, but not the store that the current one uses too.
func (r *reloader) drop(s *session) error {
	if s == nil {
		return nil
	}
	if r.current != nil && s.store == r.current.store {
		s.store, s.unwatch = nil, nil
	}
	return s.close()
}

// close closes all that is open, once the server has ended.
func (r *reloader) close() error {
	err := r.drop(r.before)
	if r.current != nil {
		err = errors.Join(err, r.current.close())
	}
	r.before, r.current = nil, nil
	return err
}
