package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// demo is one run of the demonstration.
type demo struct {
	cfg  Config
	page page
	dir  string

	root  *localkms.KMS
	calls *kmscount.KMS
	store *sqlstore.Store
	ring  *keyring.Keyring
	orm   *gorm.DB
	raw   *sql.DB // the same pool, without the plugin

	people []Person
}

// open sets the stage: root key, key store, cipher, GORM.
func (d *demo) open(ctx context.Context, dsn string) (err error) {
	path := filepath.Join(d.dir, "root.key")
	if err := localkms.Create(path); err != nil {
		return err
	}
	if d.root, err = localkms.Open(path); err != nil {
		return err
	}
	d.calls = kmscount.New(d.root)
	if d.store, err = sqlstore.Open(ctx, dsn); err != nil {
		return err
	}
	if err := d.store.Init(ctx); err != nil {
		return err
	}
	if d.ring, err = keyring.New(keyring.Config{Roots: []kms.KMS{d.calls}, Store: d.store}); err != nil {
		return err
	}
	cipher, err := field.New(field.Config{Keyring: d.ring})
	if err != nil {
		return err
	}
	d.orm, err = gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	if d.raw, err = d.orm.DB(); err != nil {
		return err
	}
	if err := d.orm.Use(gormplugin.New(cipher)); err != nil {
		return err
	}
	if err := d.orm.WithContext(ctx).AutoMigrate(&Person{}); err != nil {
		return err
	}
	current, err := d.root.Current(ctx)
	if err != nil {
		return err
	}
	d.page.line("Root key %s in a key file that only its owner can read", current)
	d.page.line("Key store: table rowseal.keys, which holds tenant keys, wrapped by the root key")
	return nil
}

func (d *demo) close() error {
	var err error
	if d.raw != nil {
		err = d.raw.Close()
	}
	if d.store != nil {
		err = errors.Join(err, d.store.Close())
	}
	return err
}

// meter shows progress where the caller wants it.
func (d *demo) meter(name string) (update func(rotate.Progress), finish func()) {
	if d.cfg.Meter == nil {
		return nil, func() {}
	}
	m := d.cfg.Meter(name)
	return m.Update, m.Finish
}

// table is the policy of people, as rotation needs it. It says the same as
// the tags of Person.
func table() (*field.Table, error) {
	file, err := field.ParseFile("people", []byte(`
tables:
  people:
    tenant: {column: tenant}
    columns:
      name:     {type: text, key: row}
      ssn:      {type: text}
      birthday: {type: date}
      notes:    {type: jsonb, key: row}
`))
	if err != nil {
		return nil, err
	}
	t := file.Policy.Table("people")
	if t == nil {
		return nil, fmt.Errorf("rowseal: internal error: the demonstration's policy has no table")
	}
	return t, nil
}
