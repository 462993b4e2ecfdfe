package rotate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// sqlJournal keeps the journal in tables. Statements are the same for all databases, but for the names and
// words of their dialect.
type sqlJournal struct {
	journalDialect
	db      *sql.DB
	replace *strings.Replacer
}

var _ journal = (*sqlJournal)(nil)

// keptFindings is how many findings are kept of a job; all are counted.
const keptFindings = 1000

// text writes a statement in the dialect's words.
func (j *sqlJournal) text(statement string) string {
	statement = j.replace.Replace(statement)
	if !j.dollars {
		return statement
	}
	var b strings.Builder
	n := 0
	for _, part := range strings.SplitAfter(statement, "?") {
		if before, ok := strings.CutSuffix(part, "?"); ok {
			n++
			part = before + "$" + strconv.Itoa(n)
		}
		b.WriteString(part)
	}
	return b.String()
}

func (j *sqlJournal) exec(ctx context.Context, q querier, statement string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, j.text(statement), args...)
	if err != nil {
		return 0, j.explain(err)
	}
	return result.RowsAffected()
}

// explain names the rights that an account lacks.
func (j *sqlJournal) explain(err error) error {
	var s interface{ SQLState() string }
	if errors.As(err, &s) && s.SQLState() == "42501" {
		return fmt.Errorf("%w: %w; the account needs %s", ErrNoJournal, err, j.grant)
	}
	return err
}

func (j *sqlJournal) begin(ctx context.Context, e entry, split func(context.Context) (int64, []span, error)) (id int64, joined bool, err error) {
	if id, err = j.opened(ctx, j.db, e.name); err != nil || id != 0 {
		return id, true, err
	}
	total, spans, err := split(ctx)
	if err != nil {
		return 0, false, err
	}
	id, err = j.create(ctx, e, total, spans)
	if err == nil {
		return id, false, nil
	}
	// Somebody else may have been faster.
	if other, otherErr := j.opened(ctx, j.db, e.name); otherErr == nil && other != 0 {
		return other, true, nil
	}
	return 0, false, err
}

// opened returns the id of the open job of that name, or 0.
func (j *sqlJournal) opened(ctx context.Context, q querier, name string) (id int64, err error) {
	err = q.QueryRowContext(ctx, j.text("SELECT id FROM {jobs} WHERE open = ?"), name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, j.explain(err)
}

func (j *sqlJournal) create(ctx context.Context, e entry, total int64, spans []span) (id int64, err error) {
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	const insert = `INSERT INTO {jobs} (open, kind, tbl, spec, state, orders, total, owner, started_at, ended_at)
		VALUES (?, ?, ?, ?, '` + StateRunning + `', '{}', ?, ?, {now}, 0)`
	if _, err := j.exec(ctx, tx, insert, e.name, string(e.kind), e.table, e.spec, total, e.owner); err != nil {
		return 0, err
	}
	if id, err = j.opened(ctx, tx, e.name); err != nil {
		return 0, err
	}
	const insertRange = "INSERT INTO {ranges} (job, no, lo, hi, pos, fence, owner, held, until_at, done) VALUES (?, ?, ?, ?, NULL, 0, '', '', 0, 0)"
	for no, s := range spans {
		if _, err := j.exec(ctx, tx, insertRange, id, no, s.lo, s.hi); err != nil {
			return 0, err
		}
	}
	return id, tx.Commit()
}

// claim takes a range by a compare-and-swap on its fencing token, and reads it only then: its last owner
// may have been moving it until that moment.
func (j *sqlJournal) claim(ctx context.Context, id int64, owner string, lease time.Duration) (c claim, ok bool, left int, err error) {
	const free = "SELECT no, fence FROM {ranges} WHERE job = ? AND done = 0 AND (owner = '' OR until_at < {now}) ORDER BY no LIMIT 1"
	for {
		c = claim{job: id}
		err := j.db.QueryRowContext(ctx, j.text(free), id).Scan(&c.no, &c.fence)
		if errors.Is(err, sql.ErrNoRows) {
			err = j.db.QueryRowContext(ctx, j.text("SELECT count(*) FROM {ranges} WHERE job = ? AND done = 0"), id).Scan(&left)
			return claim{}, false, left, j.explain(err)
		}
		if err != nil {
			return claim{}, false, 0, j.explain(err)
		}
		c, err = j.take(ctx, c, owner, lease)
		if errors.Is(err, ErrFenced) {
			continue
		}
		return c, err == nil, 0, err
	}
}

// take claims a range that was seen to be free; ErrFenced where another was faster.
func (j *sqlJournal) take(ctx context.Context, c claim, owner string, lease time.Duration) (claim, error) {
	// What held a range that was parked holds it until a page says otherwise.
	const take = `UPDATE {ranges} SET owner = ?, held = CASE WHEN until_at < {now} THEN '' ELSE held END, fence = fence + 1, until_at = {now} + ?
		WHERE job = ? AND no = ? AND fence = ? AND done = 0 AND (owner = '' OR until_at < {now})`
	n, err := j.exec(ctx, j.db, take, owner, lease.Microseconds(), c.job, c.no, c.fence)
	if err != nil {
		return claim{}, err
	}
	if n == 0 {
		return claim{}, ErrFenced
	}
	c.fence++
	return j.look(ctx, c)
}

func (j *sqlJournal) claimRange(ctx context.Context, id int64, no int, owner string, lease time.Duration) (c claim, holder string, err error) {
	const look = "SELECT fence, done, CASE WHEN until_at >= {now} THEN owner ELSE '' END FROM {ranges} WHERE job = ? AND no = ?"
	c = claim{job: id, no: no}
	var done int
	err = j.db.QueryRowContext(ctx, j.text(look), id, no).Scan(&c.fence, &done, &holder)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, "", fmt.Errorf("%w: %d has no range %d", ErrNoJob, id, no)
	case err != nil:
		return c, "", j.explain(err)
	case done != 0:
		c.done = true
		return c, "", nil
	case holder != "":
		return c, holder, nil
	}
	c, err = j.take(ctx, c, owner, lease)
	if errors.Is(err, ErrFenced) {
		return c, "another process", nil
	}
	return c, "", err
}

// look reads the range that c is of, if it is still c's.
func (j *sqlJournal) look(ctx context.Context, c claim) (claim, error) {
	const look = "SELECT lo, hi, pos, done FROM {ranges} WHERE job = ? AND no = ? AND fence = ?"
	var done int
	err := j.db.QueryRowContext(ctx, j.text(look), c.job, c.no, c.fence).Scan(&c.lo, &c.hi, &c.cursor, &done)
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrFenced
	}
	c.done = done != 0
	return c, j.explain(err)
}

func (j *sqlJournal) renew(ctx context.Context, c claim, lease time.Duration, held string) (claim, error) {
	// until_at moves by at least one, so that a row that was found also counts as changed in MySQL.
	const renew = `UPDATE {ranges} SET held = ?, until_at = CASE WHEN until_at < {now} + ? THEN {now} + ? ELSE until_at + 1 END
		WHERE job = ? AND no = ? AND fence = ?`
	n, err := j.exec(ctx, j.db, renew, held, lease.Microseconds(), lease.Microseconds(), c.job, c.no, c.fence)
	if err != nil {
		return c, err
	}
	if n == 0 {
		return c, ErrFenced
	}
	return j.look(ctx, c)
}

func (j *sqlJournal) release(ctx context.Context, c claim) error {
	_, err := j.exec(ctx, j.db, "UPDATE {ranges} SET owner = '', held = '' WHERE job = ? AND no = ? AND fence = ?", c.job, c.no, c.fence)
	return err
}

func (j *sqlJournal) park(ctx context.Context, c claim, held string, shown time.Duration) error {
	const park = "UPDATE {ranges} SET owner = '', held = ?, until_at = {now} + ? WHERE job = ? AND no = ? AND fence = ?"
	_, err := j.exec(ctx, j.db, park, held, shown.Microseconds(), c.job, c.no, c.fence)
	return err
}

func (j *sqlJournal) advance(ctx context.Context, tx querier, c claim, a advance, lease time.Duration) error {
	const move = `UPDATE {ranges} SET pos = ?, done = ?, held = '', owner = CASE WHEN ? = 1 THEN '' ELSE owner END,
		until_at = CASE WHEN until_at < {now} + ? THEN {now} + ? ELSE until_at + 1 END
		WHERE job = ? AND no = ? AND fence = ? AND done = 0`
	done := 0
	if a.done {
		done = 1
	}
	n, err := j.exec(ctx, tx, move, a.cursor, done, done, lease.Microseconds(), lease.Microseconds(), c.job, c.no, c.fence)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrFenced
	}
	if err := j.tally(ctx, tx, c, a.counts); err != nil {
		return err
	}
	return j.keep(ctx, tx, c.job, a.findings)
}

// staleVerify finds a verify that was begun long ago and that nobody works on.
func (j *sqlJournal) staleVerify(ctx context.Context, name string) (id int64, err error) {
	const stale = `SELECT id FROM {jobs} WHERE open = ? AND kind = '` + string(Verify) + `' AND started_at < {now} - ?
		AND NOT EXISTS (SELECT 1 FROM {ranges} AS r WHERE r.job = {jobs}.id AND r.until_at > {now} - ?)`
	err = j.db.QueryRowContext(ctx, j.text(stale), name, verifyAge.Microseconds(), verifyIdle.Microseconds()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, j.explain(err)
}

// settledTally is the name under which a tally keeps Status.Settled.
const settledTally = "settled"

func (j *sqlJournal) decide(ctx context.Context, id int64, settled bool) error {
	n := 0
	if settled {
		n = 1
	}
	_, err := j.exec(ctx, j.db, "INSERT INTO {tallies} (job, no, name, n) VALUES (?, 0, '"+settledTally+"', ?)", id, n)
	if err == nil {
		return nil
	}
	// Another process may have been faster, and what it says stands.
	var there int
	const look = "SELECT count(*) FROM {tallies} WHERE job = ? AND no = 0 AND name = '" + settledTally + "'"
	if lookErr := j.db.QueryRowContext(ctx, j.text(look), id).Scan(&there); lookErr != nil || there == 0 {
		return err
	}
	return nil
}

// tally adds counts to those of the range.
func (j *sqlJournal) tally(ctx context.Context, tx querier, c claim, counts map[string]int64) error {
	const chunk = 100
	var rows []string
	var args []any
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		_, err := j.exec(ctx, tx, "INSERT INTO {tallies} (job, no, name, n) VALUES "+strings.Join(rows, ", ")+j.replace.Replace(j.add), args...)
		rows, args = rows[:0], args[:0]
		return err
	}
	for name, n := range counts {
		if n == 0 {
			continue
		}
		rows, args = append(rows, "(?, ?, ?, ?)"), append(args, c.job, c.no, name, n)
		if len(rows) == chunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// keep adds the findings for which there is room.
func (j *sqlJournal) keep(ctx context.Context, tx querier, id int64, findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	var n int
	if err := tx.QueryRowContext(ctx, j.text("SELECT count(*) FROM {findings} WHERE job = ?"), id).Scan(&n); err != nil {
		return j.explain(err)
	}
	for _, f := range findings[:min(len(findings), max(0, keptFindings-n))] {
		const insert = "INSERT INTO {findings} (job, kind, tbl, col, at_row, detail) VALUES (?, ?, ?, ?, ?, ?)"
		if _, err := j.exec(ctx, tx, insert, id, f.Kind, f.Table, f.Column, f.Row, f.Detail); err != nil {
			return err
		}
	}
	return nil
}

func (j *sqlJournal) finish(ctx context.Context, id int64) (bool, error) {
	const done = `UPDATE {jobs} SET state = '` + StateDone + `', open = NULL, ended_at = {now} WHERE id = ? AND state = '` + StateRunning + `'
		AND NOT EXISTS (SELECT 1 FROM {ranges} AS r WHERE r.job = ? AND r.done = 0)`
	if _, err := j.exec(ctx, j.db, done, id, id); err != nil {
		return false, err
	}
	var state string
	err := j.db.QueryRowContext(ctx, j.text("SELECT state FROM {jobs} WHERE id = ?"), id).Scan(&state)
	return state == StateDone, j.explain(err)
}

func (j *sqlJournal) order(ctx context.Context, id int64, o Order) error {
	if ok, err := j.installed(ctx); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("rotate: %w: %d", ErrNoJob, id))
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	statement := "UPDATE {jobs} SET orders = ? WHERE id = ? AND state = '" + StateRunning + "'"
	if o.Cancel {
		statement = "UPDATE {jobs} SET orders = ?, state = '" + StateCanceled + "', open = NULL, ended_at = {now} WHERE id = ? AND state = '" + StateRunning + "'"
	}
	if _, err := j.exec(ctx, j.db, statement, string(text), id); err != nil {
		return err
	}
	// Counts of changed rows differ between databases; what stands there now does not.
	var stands, state string
	err = j.db.QueryRowContext(ctx, j.text("SELECT orders, state FROM {jobs} WHERE id = ?"), id).Scan(&stands, &state)
	over := state != StateRunning && !(o.Cancel && state == StateCanceled)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (over || stands != string(text)) {
		return fmt.Errorf("rotate: %w: %d; rowseal rotate status lists those that can be told", ErrNoJob, id)
	}
	return j.explain(err)
}

// change writes an order only over the one that it was made of.
func (j *sqlJournal) change(ctx context.Context, id int64, change func(*Order) error) error {
	if ok, err := j.installed(ctx); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("rotate: %w: %d", ErrNoJob, id))
	}
	for done := false; !done; {
		var err error
		if done, err = j.tryChange(ctx, id, change); err != nil {
			return err
		}
	}
	return nil
}

func (j *sqlJournal) tryChange(ctx context.Context, id int64, change func(*Order) error) (done bool, err error) {
	var stands, state string
	err = j.db.QueryRowContext(ctx, j.text("SELECT orders, state FROM {jobs} WHERE id = ?"), id).Scan(&stands, &state)
	if errors.Is(err, sql.ErrNoRows) || err == nil && state != StateRunning {
		return false, fmt.Errorf("rotate: %w: %d; rowseal rotate status lists those that can be told", ErrNoJob, id)
	}
	if err != nil {
		return false, j.explain(err)
	}
	var o Order
	if err := json.Unmarshal([]byte(stands), &o); err != nil {
		return false, err
	}
	if err := change(&o); err != nil {
		return false, err
	}
	text, err := json.Marshal(o)
	if err != nil || string(text) == stands { // which some databases count as no change
		return err == nil, err
	}
	statement := "UPDATE {jobs} SET orders = ? WHERE id = ? AND orders = ? AND state = '" + StateRunning + "'"
	if o.Cancel {
		statement = "UPDATE {jobs} SET orders = ?, state = '" + StateCanceled + "', open = NULL, ended_at = {now} WHERE id = ? AND orders = ? AND state = '" + StateRunning + "'"
	}
	n, err := j.exec(ctx, j.db, statement, string(text), id, stands)
	return n == 1, err
}

func (j *sqlJournal) supersede(ctx context.Context, id int64, o Order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	const over = "UPDATE {jobs} SET orders = ?, state = '" + StateSuperseded + "', open = NULL, ended_at = {now} WHERE id = ? AND state = '" + StateRunning + "'"
	_, err = j.exec(ctx, j.db, over, string(text), id)
	return err
}
