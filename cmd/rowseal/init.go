package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/cmd/rowseal/internal/pgtable"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/pgpooler"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/rotate"
)

func newInit() *cobra.Command {
	var p place
	var printOnly bool
	c := &cobra.Command{
		Use:   "init -c FILE [--dsn DSN]",
		Short: "Create the key table, and what guards sealed columns",
		Long: `Create the table that keeps the wrapped tenant keys, where it does not exist:
rowseal.keys in PostgreSQL, rowseal_keys in SQLite and MySQL.

Where --dsn names a PostgreSQL, bring the policy's tables to what it asks for:
a CHECK guard for each sealed column, so that the database takes nothing else,
an index for each column with equality, and storage without compression. Tables
stay in use meanwhile. A table or column that does not exist is named and
passed over. The tables that keep the progress of jobs over rows are made there
too.

It may be run again at any time. --print shows the statements and runs none; for
the policy's tables and the jobs, with --dsn, only those that are missing.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			file, err := p.load(c)
			if err != nil {
				return err
			}
			tables := isPostgres(p.dsn) && len(file.Policy.Tables()) > 0
			if file.Keys.Store == "" && !tables {
				return fmt.Errorf("%s names no key store, so there is nothing to create; write keys: {store: postgres}, keys: {store: mysql://…} or keys: {store: sqlite:///path}", p.config)
			}
			if printOnly {
				return p.printSchema(c, file)
			}
			if err := p.initStore(c, file); err != nil {
				return err
			}
			if tables {
				if err := p.initTables(c, file); err != nil {
					return err
				}
			}
			if p.dsn == "" {
				return nil
			}
			return p.initJournal(c.Context())
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&printOnly, "print", false, "show the SQL and run nothing")
	return c
}

func (p *place) initStore(c *cobra.Command, file *field.File) (err error) {
	store, err := p.openStore(c, file)
	if err != nil || store == nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Init(c.Context()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "The key table is ready in %s.\n", store.Name())
	return err
}

// initJournal makes the tables that keep the progress of jobs over rows.
func (p *place) initJournal(ctx context.Context) error {
	return withDatabase(ctx, p.dsn, func(db *database) error { return rotate.InitJournal(ctx, db.DB, db.dialect) })
}

// printSchema prints the key table's statements and, where the data is in a
// PostgreSQL, those for the policy's tables.
func (p *place) printSchema(c *cobra.Command, file *field.File) error {
	out := c.OutOrStdout()
	if store := file.Keys.Store; store != "" {
		for _, statement := range storeDialect(store).Schema() {
			if err := printSQL(out, statement); err != nil {
				return err
			}
		}
	}
	if p.dsn == "" && file.Keys.Store == sameDatabase {
		for _, t := range file.Policy.Tables() {
			for _, s := range pgtable.New(t).Statements() {
				if err := printSQL(out, s.SQL); err != nil {
					return err
				}
			}
		}
	}
	if p.dsn != "" {
		if err := p.printJournal(c.Context(), out); err != nil {
			return err
		}
	}
	if !isPostgres(p.dsn) {
		return nil
	}
	return p.eachTable(c.Context(), file, func(_ *sql.Conn, t *pgtable.Table) error {
		for _, f := range t.Blocks() {
			if err := printSQLComment(out, f); err != nil {
				return err
			}
		}
		for _, s := range t.Statements() {
			if err := printSQL(out, s.SQL); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *place) printJournal(ctx context.Context, out io.Writer) error {
	return withDatabase(ctx, p.dsn, func(db *database) error {
		statements, err := rotate.JournalSchema(ctx, db.DB, db.dialect)
		for _, s := range statements {
			err = errors.Join(err, printSQL(out, s))
		}
		return err
	})
}

func storeDialect(store string) sqlstore.Dialect {
	switch {
	case strings.HasPrefix(store, "sqlite:"):
		return sqlstore.SQLite
	case strings.HasPrefix(store, "mysql:"):
		return sqlstore.MySQL
	}
	return sqlstore.Postgres
}

func printSQL(out io.Writer, statement string) error {
	_, err := fmt.Fprintln(out, strings.TrimSuffix(strings.TrimSpace(statement), ";")+";")
	return err
}

func printSQLComment(out io.Writer, f pgtable.Finding) error {
	_, err := fmt.Fprintf(out, "-- %s\n", strings.ReplaceAll(f.About+": "+f.What+"; "+f.Mend, "\n", " "))
	return err
}

// initTables runs what the tables lack, and says what it passes over.
func (p *place) initTables(c *cobra.Command, file *field.File) error {
	out := c.OutOrStdout()
	return p.eachTable(c.Context(), file, func(conn *sql.Conn, t *pgtable.Table) error {
		for _, f := range t.Blocks() {
			if _, err := fmt.Fprintf(out, "%s is passed over: %s; %s.\n", f.About, f.What, f.Mend); err != nil {
				return err
			}
		}
		if t.Kind != 'r' && t.Kind != 'p' {
			return nil
		}
		statements := t.Statements()
		for _, s := range statements {
			if err := runStatement(c.Context(), conn, s); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "Table %s is ready: %s.\n", t.Policy.Name(), counted(len(statements), "statement"))
		return err
	})
}

// eachTable gives each table of the policy as the database has it. The pool is its own: what its session is set
// to is for nothing else.
func (p *place) eachTable(ctx context.Context, file *field.File, do func(*sql.Conn, *pgtable.Table) error) error {
	return withDatabase(ctx, p.dsn, func(db *database) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return eachTable(ctx, conn, file, do)
	})
}

func eachTable(ctx context.Context, conn *sql.Conn, file *field.File, do func(*sql.Conn, *pgtable.Table) error) error {
	pooler, err := pgpooler.BeforeSQL(ctx, conn)
	if err != nil {
		return err
	}
	if pooler {
		return errors.New("a pooler stands before the server, whose other clients would meet the settings of this session; give --dsn the server itself here")
	}
	// The statements name their tables' schemas; functions are PostgreSQL's own, whatever the role's settings.
	if _, err := conn.ExecContext(ctx, "SET search_path = pg_catalog; SET standard_conforming_strings = on"); err != nil {
		return err
	}
	for _, policy := range file.Policy.Tables() {
		t, err := pgtable.Inspect(ctx, conn, policy)
		if err == nil {
			err = do(conn, t)
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", policy.Name(), err)
		}
	}
	return nil
}

// runStatement runs a statement, and does not let others wait behind it for a lock.
func runStatement(ctx context.Context, conn *sql.Conn, s pgtable.Statement) error {
	wait := "SET lock_timeout = 0"
	if s.Locks {
		wait = "SET lock_timeout = '5s'"
	}
	if _, err := conn.ExecContext(ctx, wait); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, s.SQL)
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	switch server.Code {
	case "23514":
		return fmt.Errorf("column %v: rows hold other bytes than the policy seals now; the guard is there for new values. "+
			"Reseal those rows or set them to NULL, then run rowseal init again", s.Column)
	case "55P03":
		return fmt.Errorf("column %v: other sessions use the table without a pause; run rowseal init again when they are done", s.Column)
	case "42501":
		return fmt.Errorf("column %v: %s; run rowseal init as the table's owner, or give --print's output to them", s.Column, server.Message)
	}
	return fmt.Errorf("column %v: %s (SQLSTATE %s)", s.Column, server.Message, server.Code)
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "nothing was missing"
	case 1:
		return "1 " + what + " run"
	}
	return fmt.Sprintf("%d %ss run", n, what)
}
