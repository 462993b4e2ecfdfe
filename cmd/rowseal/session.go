package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmsopen"
)

// place is where a command works: a policy file and a database.
type place struct {
	config string
	dsn    string
	log    *slog.Logger // what the keys have to say; nil for nothing
	built  int          // how many built keys are held; 0 is the keyring's default
}

func (p *place) flags(c *cobra.Command) {
	c.Flags().StringVarP(&p.config, "config", "c", "", "the policy file, rowseal.yaml")
	dsnFlag(c, &p.dsn)
}

// load reads the policy file.
func (p *place) load(c *cobra.Command) (*field.File, error) {
	if p.config == "" {
		return nil, misused(c, "-c names no policy file; give -c rowseal.yaml")
	}
	file, err := field.LoadFile(p.config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; -c names the file that describes keys and tables", err)
	}
	return file, err
}

// needDSN says that the command cannot do without a database: what is in it.
func (p *place) needDSN(c *cobra.Command, what string) error { return needDSN(c, p.dsn, what) }

// sameDatabase is the word of `keys.store` for the database with the data.
const sameDatabase = "postgres"

// openStore opens the key store that file names; nil where it names none.
func (p *place) openStore(c *cobra.Command, file *field.File) (*sqlstore.Store, error) {
	at := file.Keys.Store
	switch at {
	case "":
		return nil, nil
	case sameDatabase:
		if err := p.needDSN(c, "the key store is in the database, as keys.store says"); err != nil {
			return nil, err
		}
		at = p.dsn
	}
	return sqlstore.Open(c.Context(), at)
}

// session is an open place: the policy, the keys and, once it was asked for, the database. One close ends it all.
type session struct {
	file  *field.File
	dsn   string
	roots []kms.KMS
	store *sqlstore.Store // nil where there is none
	ring  *keyring.Keyring
	data  *database // nil until database is called
	// verifiers is the proxy's connection for an authentication query; nil where there is none.
	verifiers io.Closer
	// unwatch ends the watch over the key store; nil where there is none.
	unwatch func()
}

// withKeys opens the keys of the place for do.
func (p *place) withKeys(c *cobra.Command, do func(*session) error) (err error) {
	s, err := p.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return do(s)
}

// builtForWalks is how many built keys are held by jobs over whole tables, some 10 MB. Others are built anew when they
// come again.
const builtForWalks = 4500

// withKeysToWalk is withKeys for such jobs.
func (p *place) withKeysToWalk(c *cobra.Command, do func(*session) error) error {
	p.built = builtForWalks
	return p.withKeys(c, do)
}

// withStore is withKeys for commands about the records of the key store.
func (p *place) withStore(c *cobra.Command, do func(*session) error) error {
	return p.withKeys(c, func(s *session) error {
		if s.store == nil {
			return fmt.Errorf("%s names no key store, so there are no keys to manage; write keys: {store: postgres}", p.config)
		}
		return do(s)
	})
}

// open opens the keys of the place. The store, if any, is there and has its
// table.
func (p *place) open(c *cobra.Command) (*session, error) {
	file, err := p.load(c)
	if err != nil {
		return nil, err
	}
	return p.openKeys(c, file)
}

// openKeys opens the keys that a policy file names.
func (p *place) openKeys(c *cobra.Command, file *field.File) (s *session, err error) {
	s = &session{file: file, dsn: p.dsn}
	if s.roots, err = openRoots(c.Context(), p.config, file); err != nil {
		return nil, err
	}
	if s.store, err = p.openStore(c, file); err != nil {
		return nil, err
	}
	cfg := keyring.Config{
		Namespace: file.Namespace, Roots: s.roots, Intermediate: file.Keys.Intermediate,
		Entries: file.Keys.Entries, TTL: file.Keys.TTL, Log: p.log, Built: p.built,
	}
	if s.store != nil {
		cfg.Store = s.store
		if err := s.store.Check(c.Context()); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if s.ring, err = keyring.New(cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// database connects to the database with the data when it is first asked for.
func (s *session) database(ctx context.Context) (_ *database, err error) {
	if s.data == nil {
		s.data, err = openDatabase(ctx, s.dsn)
	}
	return s.data, err
}

func (s *session) close() error {
	var errs []error
	if s.unwatch != nil {
		s.unwatch() // it holds a connection of the store
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.data != nil {
		errs = append(errs, s.data.Close())
	}
	if s.verifiers != nil {
		errs = append(errs, s.verifiers.Close())
	}
	return errors.Join(errs...)
}

func openRoots(ctx context.Context, config string, file *field.File) ([]kms.KMS, error) {
	if len(file.Keys.KMS) == 0 {
		return nil, fmt.Errorf("%s names no root key; write keys: {kms: local:///path/to/root.key}, or a service's URL", config)
	}
	roots := make([]kms.KMS, 0, len(file.Keys.KMS))
	for _, u := range file.Keys.KMS {
		root, err := kmsopen.Open(ctx, u)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	return roots, nil
}
