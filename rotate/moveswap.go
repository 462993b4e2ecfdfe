package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Swap gives the sealed column the plain one's name, once a job of [Seal] has been through the table. It takes the
// table for a moment, seals the few rows that were written in clear meanwhile, and changes the names; the plain column
// is kept under [Move.Old], takes no values any more, and loses those of rows that are changed. NOT NULL is set
// afterwards, without reading the table under a lock.
//
// Errors: ErrStage where the column is not prepared, or more than a page of rows is left to seal; ErrObstacle with
// what hangs on the column; ErrLocked; ErrIncomplete where values cannot be sealed.
func (m *Move) Swap(ctx context.Context) error {
	if err := m.here(); err != nil {
		return err
	}
	err := m.lookAgain(ctx, func(c *catalog) error {
		switch s := m.stage(c); s {
		case StageSwapped, StageFinished, StageSealed:
			return nil
		case StagePrepared:
			if err := m.swappable(ctx, c); err != nil {
				return err
			}
			return m.swap(ctx, c)
		default:
			return fmt.Errorf("%w: it is %s; prepare it first", ErrStage, s)
		}
	})
	if err != nil {
		return err
	}
	m.closeBackfills(ctx)
	return m.step(ctx, func(c *catalog) ([]action, error) { return m.setNotNull(c, m.plain), nil })
}

// swappable refuses what the swap would break.
func (m *Move) swappable(ctx context.Context, c *catalog) error {
	all, err := m.obstacles(ctx, m.cfg.DB, c)
	if err != nil {
		return err
	}
	if m.reorders(c) && !m.opt.AcceptOrder {
		all = append(all, Obstacle{
			What: fmt.Sprintf("%s stands elsewhere in SELECT * and in INSERT without a column list after the swap", m.plain),
			Fix:  "name the columns in programs, then give --accept-order", Stops: true,
		})
	}
	return m.refuse(all)
}

// reorders says whether columns stand between the plain one and the sealed one.
func (m *Move) reorders(c *catalog) bool {
	from, to := c.columns[m.plain], c.columns[m.sealed]
	for name, col := range c.columns {
		if from != nil && to != nil && name != m.plain && name != m.sealed && col.num > from.num && col.num < to.num {
			return true
		}
	}
	return false
}

// leftIndex is made for the last rows, which must be found without reading the table: those with a value in from and
// none in to.
func (m *Move) leftIndex(c *catalog, from, to string) (all []action) {
	name := m.leftName(from)
	if i := c.index(name); i == nil || !i.valid {
		parts := "(1)" // what it is made of does not matter; values may be too long for an index
		if len(c.key) > 0 {
			parts = list(len(c.key), func(i int) string { return quote(c.key[i]) })
		}
		all = append(all, m.builds(c, i, name, fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON %s (%s) WHERE %s IS NOT NULL AND %s IS NULL",
			quote(name), c.table(), parts, quote(from), quote(to))))
	}
	return all
}

func (m *Move) leftName(from string) string {
	if from == m.plain {
		return m.made("left")
	}
	return m.made("back")
}

// dropLeft drops such indexes.
func (m *Move) dropLeft(c *catalog) (all []string) {
	for _, from := range []string{m.plain, m.sealed} {
		if c.index(m.leftName(from)) != nil {
			all = append(all, "DROP INDEX "+quote(c.schema)+"."+quote(m.leftName(from)))
		}
	}
	return all
}

// swap seals what is left and swaps the names.
func (m *Move) swap(ctx context.Context, c *catalog) error {
	return m.last(ctx, c, Seal, func(ctx context.Context, tx *sql.Tx, now *catalog) error {
		all, err := m.obstacles(ctx, tx, now)
		if err == nil {
			err = m.refuse(all)
		}
		if err != nil {
			return err
		}
		return m.exec(ctx, tx, m.swaps(now))
	})
}

// last takes the table from all others, deals with the last rows of a backfill, and runs then in the same transaction.
func (m *Move) last(ctx context.Context, c *catalog, kind Kind, then func(context.Context, *sql.Tx, *catalog) error) error {
	conn, err := m.cfg.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	rest, err := m.newRest(ctx, conn, kind)
	if err != nil {
		return err
	}
	for _, a := range m.leftIndex(c, rest.from, rest.to) {
		if err := m.do(ctx, conn, a); err != nil {
			return err
		}
	}
	// Once before, so that hardly anything is left to do under the lock, and its keys are at hand.
	if err := m.locked(ctx, conn, rest.fill); err != nil {
		return err
	}
	return m.locked(ctx, conn, func(outer context.Context, tx *sql.Tx) (err error) {
		ctx, cancel := context.WithTimeout(outer, underLock)
		defer cancel()
		defer func() {
			if err != nil && ctx.Err() != nil && outer.Err() == nil {
				err = fmt.Errorf("%w: the last rows took more than %v, with everybody waiting; see that the KMS answers, and run it again", ErrLocked, underLock)
			}
		}()
		lock := "LOCK TABLE " + c.table() + " IN ACCESS EXCLUSIVE MODE"
		m.opt.Log(lock)
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return err
		}
		now, err := m.look(ctx, tx) // somebody else may have done it
		if err != nil {
			return err
		}
		if s := m.stage(now); s != StagePrepared {
			return fmt.Errorf("%w: %w: it is %s now", ErrStage, errOvertaken, s)
		}
		if err := rest.fill(ctx, tx); err != nil {
			return err
		}
		return then(ctx, tx, now)
	})
}

// swaps are the statements of the swap itself.
func (m *Move) swaps(c *catalog) []string {
	all := append(m.dropTrigger(c, "moving"), m.dropLeft(c)...)
	all = append(append(all, m.completes(c, m.sealed)...),
		c.alter()+"RENAME COLUMN "+quote(m.plain)+" TO "+quote(m.old),
		c.alter()+"RENAME COLUMN "+quote(m.sealed)+" TO "+quote(m.plain))
	if comment := c.columns[m.plain].comment; comment != "" {
		all = append(all, fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", c.table(), quote(m.plain), literal(comment)))
	}
	return append(all, m.movedTrigger(c)...)
}

// setNotNull makes a column NOT NULL, if a CHECK that it is was left for that: that one is looked at while others read
// and write, so that NOT NULL takes a moment.
func (m *Move) setNotNull(c *catalog, column string) (all []action) {
	k := c.constraint(m.made("set"))
	if k == nil {
		return nil
	}
	if !k.valid {
		all = append(all, action{statements: []string{c.alter() + "VALIDATE CONSTRAINT " + quote(k.name)}})
	}
	if have := c.columns[column]; have == nil || !have.notNull {
		all = append(all, action{statements: []string{c.alter() + "ALTER COLUMN " + quote(column) + " SET NOT NULL"}, locks: true})
	}
	return append(all, action{statements: []string{c.alter() + "DROP CONSTRAINT " + quote(k.name)}, locks: true})
}

// completes replaces the CHECK that one of both columns has a value by one that the remaining one has.
func (m *Move) completes(c *catalog, column string) []string {
	if c.constraint(m.made("some")) == nil {
		return nil
	}
	return []string{c.alter() + fmt.Sprintf("DROP CONSTRAINT %s, ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
		quote(m.made("some")), quote(m.made("set")), quote(column))}
}

// remainder is the last rows of a backfill: those with a value in from and none in to.
type remainder struct {
	db       database
	work     work
	target   target
	from, to string
	limit    int
	wait     int64 // for locks, in milliseconds
}

func (m *Move) newRest(ctx context.Context, q querier, kind Kind) (*remainder, error) {
	db, err := m.cfg.Dialect.open()
	if err != nil {
		return nil, err
	}
	w, err := newWork(ctx, &m.cfg, &Job{Kind: kind, Table: m.table, Columns: []string{m.sealed}})
	if err != nil {
		return nil, err
	}
	r := &remainder{
		db: db, work: w, target: target{name: m.table.Name(), reads: w.reads()}, limit: m.cfg.PageSize,
		from: m.plain, to: m.sealed, wait: m.opt.LockTimeout.Milliseconds(),
	}
	if kind == Unseal {
		r.from, r.to = r.to, r.from
	}
	err = db.describe(ctx, q, &r.target)
	if errors.Is(err, ErrNoColumn) { // it was there a moment ago
		err = fmt.Errorf("%w: %w", errOvertaken, err)
	}
	return r, err
}

// fill deals with the rows that are left. More than a page are too many.
func (r *remainder) fill(ctx context.Context, tx *sql.Tx) error {
	// With row_security off the server refuses where policies would hide rows, which would then be missed.
	settings := fmt.Sprintf("%s; SET LOCAL lock_timeout = %d; SET LOCAL enable_seqscan = off; SET LOCAL row_security = off; %s", pgPatience+pgTexts, r.wait, fillsSQL)
	if _, err := tx.ExecContext(ctx, settings); err != nil {
		return err
	}
	found, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s AS t WHERE t.%s IS NOT NULL AND t.%s IS NULL LIMIT %d FOR NO KEY UPDATE OF t",
		r.target.pgSelect(), quoteName(r.target.name), quote(r.from), quote(r.to), r.limit+1))
	if err != nil {
		return err
	}
	rows, err := scanText(found, &r.target)
	if err != nil || len(rows) == 0 {
		return err
	}
	if len(rows) > r.limit {
		return fmt.Errorf("%w: more than %d rows are left; run the backfill again", ErrStage, r.limit)
	}
	verdicts, err := r.work.plan(ctx, rows)
	if err != nil {
		return err
	}
	changes := make([]change, 0, len(rows))
	for i := range verdicts {
		v := &verdicts[i]
		if len(v.findings) > 0 {
			f := v.findings[0]
			f.Table, f.Row = r.target.name, r.target.rowName(v.row)
			return fmt.Errorf("%w: %v", ErrIncomplete, f)
		}
		if v.writes {
			changes = append(changes, v.change)
		}
	}
	missed, err := r.db.write(ctx, tx, &r.target, changes)
	if err == nil && len(missed) > 0 {
		err = fmt.Errorf("%w: %d rows changed while they were locked", ErrIncomplete, len(missed))
	}
	return err
}
