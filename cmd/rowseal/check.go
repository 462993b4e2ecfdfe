package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/cmd/rowseal/internal/pgtable"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmsopen"
	"github.com/rowseal/rowseal/rotate"
)

// checkJob collects differences.
type checkJob struct {
	place
	faults, notes []pgtable.Finding
}

func newCheck() *cobra.Command {
	var j checkJob
	c := &cobra.Command{
		Use:   "check -c FILE --dsn DSN",
		Short: "Compare policy, keys and database",
		Long: `Compare the policy with what is there: each root key wraps and unwraps a key, the
key store has its table, and the tables of a PostgreSQL have the sealed columns,
their guards, indexes and storage, and nothing that cannot work over sealed
bytes (defaults, foreign keys, CHECKs, triggers, indexes). Each difference is
printed with what mends it. Of columns in transition it says how many rows are left
to seal and what comes next. Nothing is changed and no value is read.

It exits with 1 where something is to be mended. A note is no fault.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return j.run(c) },
	}
	j.flags(c)
	return c
}

func (j *checkJob) run(c *cobra.Command) error {
	file, err := j.load(c)
	if err != nil {
		return err
	}
	if !isPostgres(j.dsn) {
		return misused(c, "check reads the catalog of PostgreSQL, and --dsn names none; give --dsn postgres://…")
	}
	j.roots(c.Context(), file)
	if err := j.store(c, file); err != nil {
		return err
	}
	err = j.eachTable(c.Context(), file, func(_ *sql.Conn, t *pgtable.Table) error {
		j.add(t.Findings()...)
		return nil
	})
	if err == nil {
		err = withDatabase(c.Context(), j.dsn, func(db *database) error { return j.hidden(c.Context(), db, file) })
	}
	if err != nil {
		return err
	}
	err = withDatabase(c.Context(), j.dsn, func(db *database) error { return j.movesLeft(c.Context(), db, file) })
	if err != nil {
		return err
	}
	return j.report(c)
}

// note adds what is no fault.
func (j *checkJob) note(about, what string) { j.add(pgtable.Finding{About: about, What: what}) }

func (j *checkJob) add(findings ...pgtable.Finding) {
	for _, f := range findings {
		if f.Mend == "" {
			j.notes = append(j.notes, f)
		} else {
			j.faults = append(j.faults, f)
		}
	}
}

// roots tries each root key.
func (j *checkJob) roots(ctx context.Context, file *field.File) {
	if len(file.Keys.KMS) == 0 {
		j.add(pgtable.Finding{About: "keys.kms", What: "it names no root key", Mend: "write keys: {kms: local:///path/to/root.key}, or a service's URL"})
	}
	for i, u := range file.Keys.KMS {
		root, err := kmsopen.Open(ctx, u)
		if err == nil {
			err = tryRoot(ctx, root, file.Namespace)
		}
		if err != nil {
			j.add(pgtable.Finding{
				About: fmt.Sprintf("keys.kms, root key %d", i+1), What: err.Error(),
				Mend: "mend what the error names, or take the root key out of the policy if no key is under it any more",
			})
		}
	}
}

// tryRoot has a root key wrap and unwrap a key that nobody uses.
func tryRoot(ctx context.Context, root kms.KMS, namespace string) error {
	key := make([]byte, kms.KeySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	binding := kms.Binding{Namespace: namespace, Purpose: "row", Tenant: "rowseal check"}
	wrapped, err := root.Wrap(ctx, key, binding)
	if err != nil {
		return err
	}
	got, err := root.Unwrap(ctx, wrapped, binding)
	if err == nil && !bytes.Equal(got, key) {
		err = errors.New("the root key unwraps another key than it wrapped")
	}
	return err
}

func (j *checkJob) store(c *cobra.Command, file *field.File) (err error) {
	store, err := j.openStore(c, file)
	if err != nil || store == nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Check(c.Context()); err != nil {
		j.add(pgtable.Finding{About: "keys.store", What: err.Error(), Mend: "run rowseal init, or let the role read and write the key table"})
	}
	return nil
}

// hidden notes the tables of which this role does not see all rows: jobs refuse those.
func (j *checkJob) hidden(ctx context.Context, db *database, file *field.File) error {
	for _, t := range file.Policy.Tables() {
		var active bool
		name := pgx.Identifier(strings.Split(t.Name(), ".")).Sanitize()
		if err := db.QueryRowContext(ctx, "SELECT coalesce(row_security_active(to_regclass($1::text)), false)", name).Scan(&active); err != nil {
			return err
		}
		if active {
			j.note(t.Name(), "row-level security may hide rows from this role; rotate, verify and keys destroy need one WITH BYPASSRLS, or the table's owner where it is not FORCEd on that")
		}
	}
	return nil
}

// movesLeft says of each column in transition how far it is, how many rows are left, and what is next.
func (j *checkJob) movesLeft(ctx context.Context, db *database, file *field.File) error {
	for _, t := range file.Policy.Tables() {
		for _, c := range t.Columns() {
			if c.Transition().Plain == "" {
				continue
			}
			move, err := rotate.NewMove(rotate.Config{DB: db.DB, Dialect: db.dialect}, t, c.Name(), rotate.MoveOptions{})
			if err != nil {
				return err
			}
			what, err := whatIsNext(ctx, move)
			if errors.Is(err, rotate.ErrNoTable) || errors.Is(err, rotate.ErrNoColumn) {
				continue // it is named already
			}
			if err != nil {
				return err
			}
			j.note(c.String(), what)
		}
	}
	return nil
}

func (j *checkJob) report(c *cobra.Command) error {
	out := c.OutOrStdout()
	for _, f := range j.faults {
		if _, err := fmt.Fprintf(out, "%s: %s\n  mend: %s\n", f.About, f.What, f.Mend); err != nil {
			return err
		}
	}
	for _, f := range j.notes {
		if _, err := fmt.Fprintf(out, "note: %s: %s\n", f.About, f.What); err != nil {
			return err
		}
	}
	switch len(j.faults) {
	case 0:
		_, err := fmt.Fprintln(out, "Policy, keys and database agree.")
		return err
	case 1:
		return errors.New("1 difference is to be mended")
	}
	return fmt.Errorf("%d differences are to be mended", len(j.faults))
}
