package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// A transaction that is open while a verify reads the table may commit rows behind it, sealed with keys that nobody has any
// more by then. So a verify of a whole table first waits for those that were open when it began.

// errHidden: the account may not see what transactions are open.
var errHidden = errors.New("which transactions are open cannot be seen")

// earlier is what a process knows of the transactions that were open when its verify began.
type earlier struct {
	mu    sync.Mutex
	mark  string // what was open then, in the dialect's words
	since time.Time
	over  bool
	why   string // why the verify is no evidence
}

// waitsFor says what a verify waits for before its first page; "" for nothing, or not any more. The journal keeps how it
// ended, for all processes: what one has read too early nobody reads again.
func (r *run) waitsFor(ctx context.Context) (held string, err error) {
	e := &r.earlier
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || !r.provesWhole() {
		return "", nil
	}
	s, err := r.journal.status(ctx, r.id)
	if err != nil || s.decided {
		e.over = err == nil
		return "", err
	}
	left, err := r.stillOpen(ctx)
	switch {
	case errors.Is(err, errHidden):
		e.why = err.Error()
	case err != nil:
		return "", err
	case len(left) > 0 && time.Since(e.since) < r.cfg.Patience:
		return heldEarlier + strings.Join(left, ", "), nil
	case len(left) > 0:
		e.why = fmt.Sprintf("after %v there were still open: %s", r.cfg.Patience, strings.Join(left, ", "))
	}
	if err := r.journal.decide(ctx, r.id, e.why == ""); err != nil {
		return "", err
	}
	if e.over = true; e.why != "" {
		r.cfg.Log.Warn("this verify will be no evidence for destroying keys", "job", r.id, "reason", e.why)
	}
	return "", nil
}

// provesWhole says that the job is a verify that keys are judged by.
func (r *run) provesWhole() bool {
	if r.job.Kind != Verify || r.job.part {
		return false
	}
	e, err := r.job.entry("")
	s := Status{Spec: e.spec}
	return err == nil && s.whole()
}

func (r *run) stillOpen(ctx context.Context) ([]string, error) {
	e := &r.earlier
	if e.since.IsZero() {
		mark, err := r.db.mark(ctx, r.cfg.DB)
		if err != nil {
			return nil, err
		}
		e.mark, e.since = mark, time.Now()
	}
	left, err := r.db.openSince(ctx, r.cfg.DB, e.mark)
	const shown = 5
	if n := len(left); n > shown {
		left = append(left[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return left, err
}

// awaitEarlier is waitsFor until there is nothing to wait for.
func (r *run) awaitEarlier(ctx context.Context) error {
	w := worker{run: r} // the first, before it begins
	for {
		var held string
		err := w.patiently(ctx, func() error {
			return r.inTime(ctx, func(ctx context.Context) (err error) {
				held, err = r.waitsFor(ctx)
				return err
			})
		})
		w.hold(held)
		if held == "" || err != nil {
			return err
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// unsettled is the warning about a verify that is no evidence; "" for others.
func (s *Status) unsettled(why string) string {
	if s.Kind != Verify || s.State != StateDone || s.Settled || !s.whole() {
		return ""
	}
	return "this verify is no evidence for destroying keys: transactions from before it may have committed values behind it; " +
		orElse(why, "another process says which") + "; end them and run it again"
}

// pgEarlierSQL lists the transactions of this database that were running at a mark and still are, prepared ones too. Locks on
// transactions' ids, which everybody may see, tell whose they are: what is of another database writes no row here.
const pgEarlierSQL = `
SELECT coalesce('session ' || a.pid || ' of ' || quote_ident(a.usename), 'prepared transaction ' || quote_literal(p.gid), 'transaction ' || x::text)
FROM pg_snapshot_xip(pg_current_snapshot()) AS x
LEFT JOIN pg_locks AS l ON l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid = x::xid
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x::xid
WHERE x < $1::text::xid8 AND coalesce(a.datname, p.database, current_database()) = current_database()
ORDER BY x`

func (p *postgres) mark(ctx context.Context, q querier) (mark string, err error) {
	err = q.QueryRowContext(ctx, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text").Scan(&mark)
	var s interface{ SQLState() string }
	if errors.As(err, &s) && s.SQLState() == "42883" {
		err = fmt.Errorf("%w: this server is older than PostgreSQL 13", errHidden)
	}
	return mark, err
}

func (p *postgres) openSince(ctx context.Context, db *sql.DB, mark string) ([]string, error) {
	return column(ctx, db, pgEarlierSQL, mark)
}

// column reads the texts of a query's one column.
func column(ctx context.Context, q querier, query string, args ...any) (list []string, err error) {
	lines, err := texts(ctx, q, query, args...)
	for _, l := range lines {
		list = append(list, l[0])
	}
	return list, err
}

// mark: SQLite has one writer, and so one transaction at most that may still commit.
func (s *sqlite) mark(context.Context, querier) (string, error) { return "", nil }

// openSince begins to write, which waits until nobody else does.
func (s *sqlite) openSince(ctx context.Context, db *sql.DB, _ string) (left []string, err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		if s.fault(err) == contended {
			return []string{"a connection that writes"}, nil
		}
		return nil, err
	}
	_, err = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return nil, err
}

// mysqlEarlierSQL lists transactions that have written; thread 0 are those prepared ones whose session is gone.
const mysqlEarlierSQL = `SELECT CONCAT('session ', trx_mysql_thread_id, ' since ', trx_started) FROM information_schema.innodb_trx
	WHERE (trx_rows_modified > 0 OR trx_mysql_thread_id = 0) AND trx_mysql_thread_id <> CONNECTION_ID()`

func (m *mysql) mark(ctx context.Context, q querier) (string, error) {
	list, err := column(ctx, q, mysqlEarlierSQL)
	var failure *driver.MySQLError
	if errors.As(err, &failure) && failure.Number == 1227 {
		err = fmt.Errorf("%w: %w; GRANT PROCESS ON *.* to the account", errHidden, err)
	}
	return strings.Join(list, "\n"), err
}

func (m *mysql) openSince(ctx context.Context, db *sql.DB, mark string) ([]string, error) {
	if mark == "" {
		return nil, nil
	}
	list, err := column(ctx, db, mysqlEarlierSQL)
	then := strings.Split(mark, "\n")
	return slices.DeleteFunc(list, func(s string) bool { return !slices.Contains(then, s) }), err
}
