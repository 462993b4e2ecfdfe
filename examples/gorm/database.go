package main

import (
	"context"
	"errors"
	"strings"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// database holds the people, and the store their keys. The store has
// connections of its own: a key must be durable before a value is sealed with
// it, whatever becomes of the transaction that needed it.
type database struct {
	orm   *gorm.DB
	store *sqlstore.Store
}

// openDatabase returns what is to be closed, also with an error.
func openDatabase(ctx context.Context, s settings) (*database, error) {
	dialect, keys := postgres.Open(s.db), s.db
	if path, ok := strings.CutPrefix(s.db, "sqlite:"); ok {
		dialect = sqlite.Open("file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
		keys += ".keys" // SQLite has one writer a file
	}
	db := &database{}
	root, errRoot := localkms.OpenOrCreate(s.key)
	store, errStore := sqlstore.Open(ctx, keys)
	if err := errors.Join(errRoot, errStore); err != nil {
		return db, err
	}
	db.store = store
	ring, errRing := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: store})
	cipher, errCipher := field.New(field.Config{Keyring: ring})
	// GORM's own log shows parameters, those of columns that are not sealed included.
	orm, errORM := gorm.Open(dialect, &gorm.Config{Logger: logger.Discard, TranslateError: true})
	if err := errors.Join(store.Init(ctx), errRing, errCipher, errORM); err != nil {
		return db, err
	}
	db.orm = orm
	plugin := gormplugin.New(cipher)
	plugin.Models = []any{&Person{}} // every model with sealed fields
	plugin.RequireTenant = true
	return db, errors.Join(orm.Use(plugin), orm.WithContext(ctx).AutoMigrate(&Person{}))
}

func (db *database) close() (err error) {
	if db.orm != nil {
		if pool, poolErr := db.orm.DB(); poolErr == nil {
			err = pool.Close()
		}
	}
	if db.store != nil {
		err = errors.Join(err, db.store.Close())
	}
	return err
}
