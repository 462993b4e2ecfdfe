package riverjob

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

var (
	// ErrNotMigrated: the schema has not, or not all, of the tables that River works with.
	ErrNotMigrated = errors.New("the tables of River are missing")
	// ErrShared: the schema's River has jobs of others.
	ErrShared = errors.New("the tables of River are shared with others")
)

// migrateLock keeps two processes from migrating at once. The number is arbitrary.
const migrateLock = 8243125061337720

// Migrate makes or updates River's tables in a schema, "" for DefaultSchema, and the schema itself. The account needs the right to create there.
func Migrate(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	if schema == "" {
		schema = DefaultSchema
	}
	m, err := migrator(pool, schema)
	if err != nil {
		return err
	}
	lock, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("riverjob: %w", err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(ctx)) }() // it holds nothing but the lock
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrateLock)); err != nil {
		return fmt.Errorf("riverjob: %w", err)
	}
	if _, err := pool.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
		return fmt.Errorf("riverjob: creating schema %s: %w", schema, err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("riverjob: making River's tables in schema %s: %w", schema, err)
	}
	return nil
}

func migrator(pool *pgxpool.Pool, schema string) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
}

// checkTables returns ErrNotMigrated or ErrShared.
func checkTables(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	m, err := migrator(pool, schema)
	if err != nil {
		return err
	}
	v, err := m.Validate(ctx, nil)
	if err != nil {
		return fmt.Errorf("riverjob: looking at River's tables in schema %s: %w", schema, err)
	}
	if !v.OK {
		return fmt.Errorf("riverjob: %w: schema %s; run with --migrate once, or in Go riverjob.Migrate", ErrNotMigrated, schema)
	}
	var other string
	err = pool.QueryRow(ctx, "SELECT queue FROM "+pgx.Identifier{schema, "river_job"}.Sanitize()+" WHERE queue <> $1 LIMIT 1", queue).Scan(&other)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("riverjob: looking at River's jobs in schema %s: %w", schema, err)
	}
	return fmt.Errorf("riverjob: %w: schema %s has jobs of queue %q, which could be given up from here; name a schema of its own by --river-schema, and --migrate",
		ErrShared, schema, other)
}
