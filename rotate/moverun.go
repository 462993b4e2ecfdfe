package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rowseal/rowseal/internal/pgpooler"
)

// step runs what plan finds to be missing, and looks again afterwards: what it does is right only if nothing is
// missing then.
func (m *Move) step(ctx context.Context, plan func(c *catalog) ([]action, error)) (err error) {
	if err := m.here(); err != nil {
		return err
	}
	conn, err := m.cfg.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	var actions []action
	for round := range lookRounds {
		c, err := m.look(ctx, conn)
		if err == nil {
			actions, err = plan(c)
		}
		if err != nil {
			return m.wrap(err)
		}
		if len(actions) == 0 {
			return nil
		}
		for _, a := range actions {
			if err = m.do(ctx, conn, a); err != nil {
				break
			}
		}
		if err != nil {
			if !isOvertaken(err) || round == lookRounds-1 {
				return m.wrap(err)
			}
			if err := pause(ctx, rand.N(m.opt.LockTimeout)); err != nil {
				return err
			}
		}
	}
	return m.wrap(fmt.Errorf("%w: %s is still missing after it was run; does something else change the table?", ErrStage, actions[0].statements[0]))
}

// lookRounds is how often the catalog is looked at again where others work on the same column.
const lookRounds = 6

// errOvertaken: somebody else has changed the column since the catalog was looked at.
var errOvertaken = errors.New("somebody else works on the column")

// lookAgain calls do with what the catalog has, again where somebody else changed it meanwhile.
func (m *Move) lookAgain(ctx context.Context, do func(*catalog) error) error {
	for round := 1; ; round++ {
		c, err := m.look(ctx, m.cfg.DB)
		if err == nil {
			err = do(c)
		}
		// A look at the very moment of somebody's swap sees old names of columns and new ones in indexes, as if these
		// were missing.
		torn := errors.Is(err, ErrStage) && round < 3 && m.stage(c) == StagePreparing
		if err == nil || round == lookRounds || !isOvertaken(err) && !torn {
			return m.wrap(err)
		}
		if err := pause(ctx, rand.N(m.opt.LockTimeout)); err != nil {
			return err
		}
	}
}

// here refuses databases whose schema is not changed from here.
func (m *Move) here() error {
	if m.cfg.Dialect != PostgreSQL {
		return fmt.Errorf("rotate: column %v: %w: on %v, run what --print shows, then go on with the backfill", m, ErrNotHere, m.cfg.Dialect)
	}
	return nil
}

func (m *Move) wrap(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), "rotate: ") {
		return err
	}
	return fmt.Errorf("rotate: column %v: %w", m, err)
}

func (m *Move) do(ctx context.Context, conn *sql.Conn, a action) error {
	if a.alone {
		return m.alone(ctx, conn, a.statements)
	}
	body := func(ctx context.Context, tx *sql.Tx) error { return m.exec(ctx, tx, a.statements) }
	if a.locks {
		return m.locked(ctx, conn, body)
	}
	err := m.within(ctx, conn, 0, body)
	if stateOf(err) == "40P01" { // with another operator's step: its transaction is over, this one did nothing
		return fmt.Errorf("%w: %w", errOvertaken, err)
	}
	return m.explain(err)
}

// indexPatience is how many lock timeouts a statement waits that holds nobody off: an index that is built beside writers
// waits for all transactions that are open.
const indexPatience = 60

// untimed sets aside a limit of time that the role has for statements, where the session is not shared with other clients.
func untimed(ctx context.Context, conn *sql.Conn) (reset func(), err error) {
	shared, err := pgpooler.BeforeSQL(ctx, conn)
	if err != nil || shared {
		return func() {}, err
	}
	_, err = conn.ExecContext(ctx, "SET statement_timeout = 0")
	return func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = conn.ExecContext(short, "RESET statement_timeout") // a connection that is gone has none
	}, err
}

// alone runs statements that cannot be part of a transaction. That they wait too long is for another connection to see: a
// lock_timeout of the session would be that of whoever a pooler gives the server's connection next.
func (m *Move) alone(ctx context.Context, conn *sql.Conn, statements []string) error {
	reset, err := untimed(ctx, conn)
	if err != nil {
		return err
	}
	defer reset()
	for _, s := range statements {
		m.opt.Log(s)
		running, stop := context.WithCancelCause(ctx)
		watching := make(chan struct{})
		go func() {
			defer close(watching)
			if err := m.watch(running, s); err != nil {
				stop(err)
			}
		}()
		_, err := conn.ExecContext(running, s)
		waited := context.Cause(running)
		stop(nil)
		<-watching
		switch {
		case err == nil:
		case errors.Is(waited, ErrLocked):
			return waited
		case stateOf(err) == "40P01": // two that build indexes wait for each other
			return fmt.Errorf("%w: %w", errOvertaken, err)
		case isContended(err): // by a lock_timeout of the role or the database
			return fmt.Errorf("%w: %w; %s. Run it again when they are done", ErrLocked, err, m.holders(ctx, conn))
		default:
			return m.explain(err)
		}
	}
	return nil
}

// blockersSQL says who a running statement waits for. Its session is found by its text, as poolers tell nobody which
// connection of the server a statement will have.
const blockersSQL = `SELECT DISTINCT 'process ' || b.pid || ' of role ' || coalesce(b.usename, '?') || ', ' || coalesce(b.state, '?') || ' since ' || coalesce(pg_catalog.to_char(b.xact_start, 'HH24:MI:SS'), '?')
FROM pg_catalog.pg_stat_activity a CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) AS o(pid) JOIN pg_catalog.pg_stat_activity b ON b.pid = o.pid
WHERE a.datname = pg_catalog.current_database() AND a.state = 'active' AND a.pid <> pg_catalog.pg_backend_pid() AND pg_catalog.left(a.query, 250) = pg_catalog.left($1::text, 250)
ORDER BY 1 LIMIT 5`

// watch returns ErrLocked once a statement has waited for others, without an end, as long as it may. An index of a
// large table takes longer than that by itself.
func (m *Move) watch(ctx context.Context, statement string) error {
	limit := indexPatience * m.opt.LockTimeout
	var since time.Time
	for pause(ctx, limit/20) == nil {
		found, err := texts(ctx, m.cfg.DB, blockersSQL, statement)
		switch now := time.Now(); {
		case err != nil: // whoever cannot be asked does not tell that nobody is waited for
		case len(found) == 0:
			since = time.Time{}
		case since.IsZero():
			since = now
		case now.Sub(since) >= limit:
			names := make([]string, len(found))
			for i := range found {
				names[i] = found[i][0]
			}
			return fmt.Errorf("%w: waited %v for transactions that were begun before; the last are of %s. Run it again when they are done", ErrLocked, limit, strings.Join(names, "; "))
		}
	}
	return nil
}

// exec runs statements whose functions are PostgreSQL's own, whatever the role's settings.
func (m *Move) exec(ctx context.Context, tx *sql.Tx, statements []string) error {
	if _, err := tx.ExecContext(ctx, "SET LOCAL search_path = pg_catalog, pg_temp"); err != nil {
		return err
	}
	for _, s := range statements {
		m.opt.Log(s)
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// within runs body in a transaction that waits so long for locks; 0 is for ever.
func (m *Move) within(ctx context.Context, conn *sql.Conn, wait time.Duration, body func(context.Context, *sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())+pgUntimed)
	if err == nil {
		err = body(ctx, tx)
	}
	if err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// locked runs body in a transaction that takes the table, again after a pause where others have it. The pauses grow
// and are of random length, so that readers and writers get through between them.
func (m *Move) locked(ctx context.Context, conn *sql.Conn, body func(context.Context, *sql.Tx) error) error {
	wait := m.opt.LockTimeout
	for attempt := 1; ; attempt++ {
		err := m.within(ctx, conn, m.opt.LockTimeout, body)
		if err == nil || !isContended(err) {
			return m.explain(err)
		}
		if attempt == m.opt.Attempts {
			return fmt.Errorf("%w: tried %d times; %s. The table is as it was: run it again when they are done", ErrLocked, attempt, m.holders(ctx, conn))
		}
		if err := pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
		wait = min(2*wait, 10*m.opt.LockTimeout)
	}
}

// isContended knows lock_not_available and deadlock_detected.
func isContended(err error) bool {
	state := stateOf(err)
	return state == "55P03" || state == "40P01"
}

// isOvertaken knows what the server says where somebody else has just done the same: what is to be made is there, or
// what is to be dropped is gone. Looking again tells.
func isOvertaken(err error) bool {
	if errors.Is(err, errOvertaken) {
		return true
	}
	switch stateOf(err) {
	case "42701", "42710", "42723", "42P06", "42P07", "42703", "42704", "42883", "42P01":
		return true
	case "23505", "XX000":
		return strings.Contains(err.Error(), "pg_") || strings.Contains(err.Error(), "tuple concurrently")
	}
	return false
}

func stateOf(err error) string {
	if s, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return s.SQLState()
	}
	return ""
}

const holdersSQL = `SELECT DISTINCT 'process ' || l.pid || ' of role ' || coalesce(a.usename, '?') || ', ' || coalesce(a.state, '?') || ' since ' || coalesce(pg_catalog.to_char(a.xact_start, 'HH24:MI:SS'), '?')
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND l.relation = pg_catalog.to_regclass($1::text)
 AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1 LIMIT 5`

// holders says who has the table.
func (m *Move) holders(ctx context.Context, q querier) string {
	found, err := texts(ctx, q, holdersSQL, quoteName(m.table.Name()))
	if err != nil || len(found) == 0 {
		return "other sessions use it without a pause"
	}
	names := make([]string, len(found))
	for i := range found {
		names[i] = found[i][0]
	}
	return "it is held by " + strings.Join(names, "; ")
}

// explain says what to do about what the server refuses.
func (m *Move) explain(err error) error {
	switch stateOf(err) {
	case "42501":
		if strings.Contains(err.Error(), "row-level security") || strings.Contains(err.Error(), "row security") {
			return fmt.Errorf("%w; run this as a role with BYPASSRLS, or as the owner without FORCE ROW LEVEL SECURITY", err)
		}
		return fmt.Errorf("%w; run this as the table's owner, with the right to create schema rowseal, or give --print's output to them", err)
	case "23514":
		return fmt.Errorf("rows hold what the new column does not take, or neither a plain nor a sealed value: %w", err)
	case "23505":
		return fmt.Errorf("the sealed values are not unique, as those of %s are said to be: %w", m.plain, err)
	case "2BP01":
		return fmt.Errorf("%w: %w; drop what hangs on the column first", ErrObstacle, err)
	}
	return err
}
