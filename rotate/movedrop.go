package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// Drop drops the plain column that Swap kept, once a [Verify] of the sealed one, which it runs, has found nothing.
// Backups, the WAL, replicas and, until the table is rewritten (VACUUM FULL, pg_repack), dead rows keep the clear values.
//
// Errors: ErrStage before the swap; ErrFindings; ErrLocked; ErrObstacle where something depends on the old column.
func (m *Move) Drop(ctx context.Context) error {
	if err := m.here(); err != nil {
		return err
	}
	c, err := m.look(ctx, m.cfg.DB)
	if err != nil {
		return m.wrap(err)
	}
	switch s := m.stage(c); s {
	case StageSealed:
		return nil
	case StageFinished:
	default:
		return m.wrap(fmt.Errorf("%w: it is %s; the plain column is dropped after the swap", ErrStage, s))
	}
	table, err := m.after()
	if err != nil {
		return m.wrap(err)
	}
	// By name, so that it is no evidence of what the table's other columns hold.
	job := Job{Kind: Verify, Table: table, Columns: []string{m.plain}, Options: map[string]string{keptOption: "true"}, part: true}
	if err := m.unsealed(ctx); err != nil {
		return m.wrap(err)
	}
	if _, err := Run(ctx, m.cfg, job); err != nil {
		return fmt.Errorf("%w; %s, which has the values in clear, was not dropped", err, m.old)
	}
	return m.step(ctx, func(c *catalog) ([]action, error) {
		if s := m.stage(c); s != StageFinished {
			return nil, nil
		}
		return m.drops(c), m.unsealed(ctx)
	})
}

// unsealed refuses, by one statement and so in one snapshot, where the old column has the only value of a row.
func (m *Move) unsealed(ctx context.Context) (err error) {
	tx, err := m.cfg.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	// The server refuses where policies would hide rows.
	if _, err := tx.ExecContext(ctx, "SET LOCAL row_security = off"); err != nil {
		return err
	}
	var n int64
	err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s IS NOT NULL AND %s IS NULL",
		quoteName(m.table.Name()), quote(m.old), quote(m.plain))).Scan(&n)
	switch {
	case stateOf(err) == "42703": // somebody else has dropped it
		return nil
	case err != nil:
		return m.explain(err)
	case n > 0:
		return fmt.Errorf("%w: %d rows have a value in %s and no sealed one in %s; seal them by `rowseal rotate unseal --step prepare` and the way there once more, "+
			"or set %[3]s to NULL where the value is not wanted", ErrStage, n, m.old, m.plain)
	}
	return nil
}

func (m *Move) drops(c *catalog) []action {
	return []action{{statements: append(m.dropTrigger(c, "moved"), c.alter()+"DROP COLUMN "+quote(m.old)), locks: true}}
}

// after is the table as the policy has it after the swap, with this column only, and the old one as what it took over from.
func (m *Move) after() (*field.Table, error) {
	c, t := m.column, m.table
	return field.NewTable(field.TableConfig{
		Name: t.Name(), ID: t.ID(), Tenant: t.Tenant(), RowID: t.RowID(),
		Columns: []field.ColumnConfig{{
			Name: m.plain, ID: c.Field().Column(), Type: c.Type(), Mode: c.Mode(), Pad: c.Pad(),
			StrictFIPS: c.Suite() == envelope.SuiteHKDF || c.Suite() == envelope.SuiteRowHKDF,
			Search:     c.Search(), Scope: c.Scope(), Domain: c.Domain(), Transition: field.Transition{Plain: m.old, Both: true},
		}},
	})
}

// DropPlain ends a move without a swap: the sealed column keeps its name, which is how models of GORM are moved whose
// field has that column. It drops the plain column once no row has a value in it, as after a backfill with
// `write: sealed`.
//
// Errors: ErrStage where rows have plain values, ErrObstacle, ErrLocked.
func (m *Move) DropPlain(ctx context.Context) error {
	if err := m.here(); err != nil {
		return err
	}
	err := m.step(ctx, func(c *catalog) ([]action, error) {
		if m.sealed == "" || m.stage(c) != StagePrepared {
			return nil, nil // as dropOne says
		}
		all, err := m.obstacles(ctx, m.cfg.DB, c)
		if err == nil {
			err = m.refuse(all)
		}
		if err != nil || c.constraint(m.made("empty")) != nil {
			return nil, err
		}
		left, err := m.Left(ctx)
		if err == nil && left.Plain > 0 {
			err = fmt.Errorf("%w: %d rows have values in %s; deploy `write: sealed` and run the backfill again", ErrStage, left.Plain, m.plain)
		}
		// From here on nothing writes a value there, so that nobody needs to look again under the lock.
		return []action{{statements: []string{c.alter() + fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s IS NULL) NOT VALID", quote(m.made("empty")), quote(m.plain))}, locks: true}}, err
	})
	if err != nil {
		return err
	}
	if err := m.emptied(ctx); err != nil {
		return m.wrap(err)
	}
	return m.dropOne(ctx, Seal, m.plain, m.sealed)
}

// emptied checks that no row has a plain value. Where one has, programs may write it again.
func (m *Move) emptied(ctx context.Context) error {
	return m.step(ctx, func(c *catalog) ([]action, error) {
		k := c.constraint(m.made("empty"))
		if k == nil || k.valid {
			return nil, nil
		}
		left, err := m.Left(ctx)
		if err != nil || left.Plain == 0 {
			return []action{{statements: []string{c.alter() + "VALIDATE CONSTRAINT " + quote(k.name)}}}, err
		}
		conn, err := m.cfg.DB.Conn(ctx)
		if err != nil {
			return nil, err
		}
		defer closeConn(conn)
		drop := action{statements: []string{c.alter() + "DROP CONSTRAINT " + quote(k.name)}, locks: true}
		if err := m.do(ctx, conn, drop); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %d rows got values in %s meanwhile; deploy `write: sealed` everywhere and run the backfill again", ErrStage, left.Plain, m.plain)
	})
}

// DropSealed ends the way back, once a job of [Unseal] has been through the table: it drops the sealed column. Programs
// must not use it any more.
//
// Errors: ErrStage where more than a page of rows has no plain value yet, ErrIncomplete where values do not open,
// ErrObstacle, ErrLocked.
func (m *Move) DropSealed(ctx context.Context) error {
	if m.sealed != "" && !m.column.Transition().Both {
		return m.wrap(fmt.Errorf("%w: the policy says `write: sealed`, so that programs empty %s; the way back is `write: both`", ErrStage, m.plain))
	}
	if err := m.step(ctx, func(c *catalog) ([]action, error) {
		if m.stage(c) != StagePrepared {
			return nil, nil
		}
		return m.plainIndexes(c), nil
	}); err != nil {
		return err
	}
	return m.dropOne(ctx, Unseal, m.sealed, m.plain)
}

// dropsOne are the statements that leave one of both columns.
func (m *Move) dropsOne(c *catalog, drop, keep string) []string {
	all := append(m.dropTrigger(c, "moving"), m.dropLeft(c)...)
	if c.constraint(m.made("clear")) != nil {
		all = append(all, c.alter()+"DROP CONSTRAINT "+quote(m.made("clear")))
	}
	return append(append(all, m.completes(c, keep)...), c.alter()+"DROP COLUMN "+quote(drop))
}

// dropOne drops one of both columns; the other one is kept and becomes NOT NULL where one of both had to have a value.
func (m *Move) dropOne(ctx context.Context, kind Kind, drop, keep string) error {
	if err := m.here(); err != nil {
		return err
	}
	if m.sealed == "" {
		return m.wrap(m.noTransition())
	}
	err := m.lookAgain(ctx, func(c *catalog) error {
		switch s := m.stage(c); {
		case s == StagePrepared:
			return m.last(ctx, c, kind, func(ctx context.Context, tx *sql.Tx, now *catalog) error {
				return m.exec(ctx, tx, m.dropsOne(now, drop, keep))
			})
		case c.columns[drop] != nil || c.columns[keep] == nil:
			return fmt.Errorf("%w: it is %s; both columns must be there and prepared", ErrStage, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.closeBackfills(ctx)
	return m.step(ctx, func(c *catalog) ([]action, error) { return m.setNotNull(c, keep), nil })
}
