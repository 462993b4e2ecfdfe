package rotate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// killer breaks the connection in the place of the n-th statement that changes a schema, or commits such changes, and of
// all after it, as a process does that was killed. What jobs over rows do has kills of its own.
type killer struct {
	left    atomic.Int64
	last    atomic.Pointer[string]
	changes atomic.Bool // since the last COMMIT
}

func (k *killer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	text := strings.TrimSpace(data.SQL)
	word, _, _ := strings.Cut(text, " ")
	counts := k.changes.Load() && strings.EqualFold(word, "commit")
	if slices.Contains([]string{"ALTER", "CREATE", "DROP", "LOCK", "COMMENT", "REVOKE", "GRANT"}, word) && !strings.Contains(text, "IF NOT EXISTS") {
		counts = true
		k.changes.Store(true)
	} else if counts {
		k.changes.Store(false)
	}
	if counts && k.left.Add(-1) < 0 || k.left.Load() < 0 {
		k.last.CompareAndSwap(nil, &text)
		_ = conn.PgConn().Conn().Close()
	}
	return ctx
}

func (*killer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func openKiller(t testing.TB, dsn string) (*sql.DB, *killer) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	must(t, err)
	k := &killer{}
	cfg.Tracer = k
	pool := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { _ = pool.Close() })
	return pool, k
}

// whole runs a backfill on a connection that is not broken.
func (m *mover) whole(ctx context.Context, kind rotate.Kind) error {
	cfg := m.config()
	cfg.DB = m.jobs
	_, err := rotate.Run(ctx, cfg, rotate.Job{Kind: kind, Table: m.policy("both")})
	return err
}

// there goes the way to sealed from wherever the column is, and back the way to clear.
func (m *mover) there(ctx context.Context) error {
	for {
		stage, err := m.move("both").Stage(ctx)
		if err != nil {
			return err
		}
		switch stage {
		case rotate.StageClear, rotate.StagePreparing:
			err = m.move("both").Prepare(ctx)
		case rotate.StagePrepared:
			if err = m.whole(ctx, rotate.Seal); err == nil {
				err = m.move("both").Swap(ctx)
			}
		case rotate.StageSwapped:
			err = m.move("both").Swap(ctx)
		case rotate.StageFinished:
			err = m.move("both").Drop(ctx)
		case rotate.StageSealed:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (m *mover) back(ctx context.Context) error {
	stage, err := m.move("both").Stage(ctx)
	if err != nil {
		return err
	}
	if stage != rotate.StageClear {
		if err := m.move("both").Reopen(ctx); err != nil {
			return err
		}
		if err := m.whole(ctx, rotate.Unseal); err != nil {
			return err
		}
	}
	return m.move("both").DropSealed(ctx)
}

// TestMoveKilled is killed at each statement of the way there and of the way back, and goes on.
func TestMoveKilled(t *testing.T) {
	dsn := testpg.DSN(t)
	whole, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { must(t, whole.Close()) })
	d := db{whole, rotate.PostgreSQL, "bytea"}
	m := newMover(t, d)
	m.jobs = whole
	m.opt.LockTimeout, m.opt.Attempts = 50*time.Millisecond, 50 // the server may take a moment to see that somebody is gone
	d.exec(t, fmt.Sprintf(peopleSQL, 3))
	steps := 0
	for _, way := range []struct {
		name    string
		killed  func(context.Context) error
		restore func(context.Context) error
		check   func()
	}{
		{"there", m.there, m.back, func() { m.want(m.opened("email"), 3, nil) }},
		{"back", m.back, m.there, func() { m.wantClear(3, nil) }},
	} {
		done := false
		for n := int64(0); !done; n++ {
			pool, k := openKiller(t, dsn)
			k.left.Store(n)
			m.db.DB = pool
			err := way.killed(t.Context())
			m.db.DB = whole
			at := "the end"
			if p := k.last.Load(); p != nil {
				at = *p
			}
			done = k.left.Load() >= 0
			if (err == nil) != done {
				t.Fatalf("%s, killed at statement %d, %s: %v", way.name, n, at, err)
			}
			must(t, pool.Close())
			if err := way.killed(t.Context()); err != nil {
				t.Fatalf("%s, killed at statement %d, %s, and run again: %v", way.name, n, at, err)
			}
			way.check()
			must(t, way.restore(t.Context()))
			steps++
		}
		must(t, way.killed(t.Context()))
	}
	t.Logf("killed at %d statements", steps-2)
	if steps < 40 {
		t.Fatalf("killed at %d statements only: does the killer see them?", steps)
	}
}

// TestMoveBrokenIndex: an index whose building was cut off is made anew.
func TestMoveBrokenIndex(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.db.exec(t, fmt.Sprintf(peopleSQL, 3))
	must(t, m.move("both").Prepare(t.Context()))
	m.db.exec(t, "UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text LIKE '%rowseal_%'")
	m.stage(rotate.StagePreparing)
	must(t, m.move("both").Prepare(t.Context()))
	m.stage(rotate.StagePrepared)
}

// TestMoveLocked: the swap does not wait for who holds the table, gives up, says who it is, and leaves all as it was.
func TestMoveLocked(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.opt.LockTimeout, m.opt.Attempts = 50*time.Millisecond, 3
	m.db.exec(t, fmt.Sprintf(peopleSQL, 3))
	long, err := m.db.Begin()
	must(t, err)
	_, err = long.Exec("SELECT FROM people")
	must(t, err)
	tries := 0
	m.opt.Log = func(s string) {
		if strings.HasPrefix(s, "ALTER TABLE") || strings.HasPrefix(s, "LOCK") {
			tries++
		}
	}
	refused := func(name string, step func(context.Context) error) {
		t.Helper()
		tries = 0
		if err := step(ctx); !errors.Is(err, rotate.ErrLocked) || !strings.Contains(err.Error(), "idle in transaction") {
			t.Fatalf("%s: got %v, want ErrLocked and who holds it", name, err)
		}
		if tries != 3 {
			t.Errorf("%s tried %d times, want 3", name, tries)
		}
	}
	refused("prepare", m.move("both").Prepare)
	m.stage(rotate.StageClear)
	must(t, long.Rollback())
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	long, err = m.db.Begin()
	must(t, err)
	_, err = long.Exec("SELECT FROM people")
	must(t, err)
	before := m.text("SELECT string_agg(t::text, ' ' ORDER BY id) FROM people t")
	refused("swap", m.move("both").Swap)
	m.stage(rotate.StagePrepared)
	if m.text("SELECT string_agg(t::text, ' ' ORDER BY id) FROM people t") != before {
		t.Error("the rows were changed")
	}
	// Nobody waits behind a swap that waits: it gave its place up each time.
	m.db.exec(t, "UPDATE people SET email = 'x@example.com' WHERE id = 1")
	must(t, long.Rollback())
	must(t, m.move("both").Swap(ctx))
	m.want(m.opened("email"), 3, map[int64]string{1: "x@example.com"})
}

// TestMoveObstacles: what hangs on the column is named, with what to do, and stops the swap.
func TestMoveObstacles(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.search.Equality = false
	m.db.exec(t, `CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email text DEFAULT 'nobody@example.com' UNIQUE CHECK (email <> ''), len int GENERATED ALWAYS AS (length(email)) STORED);
CREATE VIEW mails AS SELECT email FROM people;
CREATE TABLE letters (id int, at text REFERENCES people (email));
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := lower(NEW.email); RETURN NEW; END';
CREATE TRIGGER note BEFORE UPDATE OF email ON people FOR EACH ROW EXECUTE FUNCTION noted();
CREATE FUNCTION of_people() RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM people';
CREATE POLICY mine ON people USING (email = current_user);
CREATE PUBLICATION some_columns FOR TABLE people (id, email);
CREATE STATISTICS together ON tenant, email FROM people;
CREATE INDEX by_lower ON people (lower(email));
CREATE INDEX by_mail ON people (email, tenant)`)
	must(t, m.move("both").Prepare(ctx))
	all, err := m.move("both").Obstacles(ctx)
	must(t, err)
	var stops, notes []string
	for _, o := range all {
		if o.Stops {
			stops = append(stops, o.String())
		} else {
			notes = append(notes, o.String())
		}
	}
	have := func(list []string, want string) {
		t.Helper()
		if !strings.Contains(strings.Join(list, "\n"), want) {
			t.Errorf("nothing says %q in:\n%s", want, strings.Join(list, "\n"))
		}
	}
	for _, want := range []string{
		`email has a default, which the database would store in clear: ALTER TABLE "public"."people" ALTER COLUMN "email" DROP DEFAULT`,
		"index people_email_key is unique, and sealed values are never equal: declare `search: [equality]`",
		`constraint people_email_check on table people depends on the column: ALTER TABLE people DROP CONSTRAINT "people_email_check"`,
		`generated column len depends on the column: ALTER TABLE "public"."people" ALTER COLUMN "len" DROP EXPRESSION`,
		"view mails depends on the column: DROP VIEW mails",
		`ALTER TABLE letters DROP CONSTRAINT "letters_at_fkey"`,
		`DROP TRIGGER "note" ON people`, `DROP POLICY "mine"`, `ALTER PUBLICATION "some_columns"`, `DROP STATISTICS public."together"`,
	} {
		have(stops, want)
	}
	for _, want := range []string{"index by_lower serves no condition", "index by_mail serves no condition", "function of_people()", "function noted()"} {
		have(notes, want)
	}
	if err := m.move("both").Swap(ctx); !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), "DROP VIEW mails") {
		t.Fatalf("the swap: %v", err)
	}
	m.stage(rotate.StagePrepared)
	m.db.exec(t, `DROP VIEW mails; DROP TABLE letters; DROP TRIGGER note ON people; DROP POLICY mine ON people; ALTER PUBLICATION some_columns SET TABLE people (id);
DROP STATISTICS together; ALTER TABLE people DROP CONSTRAINT people_email_key, DROP CONSTRAINT people_email_check, ALTER email DROP DEFAULT, ALTER len DROP EXPRESSION`)
	must(t, m.move("both").Swap(ctx))
}

// TestMoveCannot: what rules it out from the first is refused before anything is changed.
func TestMoveCannot(t *testing.T) {
	for name, c := range map[string]struct{ create, want string }{
		"partitioned":  {"CREATE TABLE people (id int, email text) PARTITION BY RANGE (id)", "no ordinary table"},
		"parent":       {"CREATE TABLE people (id int PRIMARY KEY, email text); CREATE TABLE elders () INHERITS (people)", "parents or children"},
		"key":          {"CREATE TABLE people (email text PRIMARY KEY)", "part of the primary key"},
		"generated":    {"CREATE TABLE people (id int PRIMARY KEY, email text GENERATED ALWAYS AS ('x') STORED)", "the database computes email"},
		"another type": {"CREATE TABLE people (id int PRIMARY KEY, email int)", "email is integer in the database and text in the policy"},
		"no column":    {"CREATE TABLE people (id int PRIMARY KEY)", "no column email"},
		"taken":        {"CREATE TABLE people (id int PRIMARY KEY, email text, email_sealed text)", "there is a column email_sealed already"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMover(t, openPostgres(t))
			m.db.exec(t, c.create)
			before := m.text("SELECT count(*) FROM pg_attribute")
			if err := m.move("both").Prepare(t.Context()); !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want ErrObstacle with %q", err, c.want)
			}
			if m.text("SELECT count(*) FROM pg_attribute") != before {
				t.Error("something was changed")
			}
		})
	}
}

// TestMoveUniqueOverTenants: one tenant's terms say nothing of another's.
func TestMoveUniqueOverTenants(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text NOT NULL, email text UNIQUE)")
	must(t, m.move("both").Prepare(t.Context()))
	if err := m.move("both").Swap(t.Context()); !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), "scope: global") {
		t.Fatalf("got %v", err)
	}
}

// TestMoveTogether: operators who begin the same step at once both come to its end.
func TestMoveTogether(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.opt.LockTimeout, m.opt.Attempts = 50*time.Millisecond, 200
	m.db.exec(t, fmt.Sprintf(peopleSQL, 50))
	for _, step := range []func(*rotate.Move) error{
		func(move *rotate.Move) error { return move.Prepare(t.Context()) },
		func(move *rotate.Move) error { return move.Swap(t.Context()) },
	} {
		results := make(chan error, 3)
		for range cap(results) {
			move := m.move("both")
			go func() { results <- step(move) }()
		}
		for range cap(results) {
			must(t, <-results)
		}
	}
	m.stage(rotate.StageFinished)
	m.want(m.opened("email"), 50, nil)
}

// TestMoveHiddenRows: rows that a policy of the database hides are not left behind in clear.
func TestMoveHiddenRows(t *testing.T) {
	dsn := testpg.DSN(t)
	whole, err := sql.Open("pgx", dsn)
	must(t, err)
	m := newMover(t, db{whole, rotate.PostgreSQL, "bytea"})
	m.db.exec(t, fmt.Sprintf(peopleSQL, 3))
	must(t, rotate.InitJournal(t.Context(), whole, rotate.PostgreSQL))
	m.db.exec(t, `CREATE ROLE blinkered; GRANT ALL ON SCHEMA public TO blinkered; ALTER TABLE people OWNER TO blinkered;
ALTER TABLE people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY not_the_first ON people USING (id > 1);
ALTER SCHEMA rowseal OWNER TO blinkered; GRANT ALL ON ALL TABLES IN SCHEMA rowseal TO blinkered; GRANT ALL ON ALL SEQUENCES IN SCHEMA rowseal TO blinkered`)
	t.Cleanup(func() {
		_, err := whole.Exec("DROP OWNED BY blinkered CASCADE; DROP ROLE blinkered")
		must(t, err)
		must(t, whole.Close())
	})
	cfg, err := pgx.ParseConfig(dsn)
	must(t, err)
	cfg.RuntimeParams["role"] = "blinkered"
	pool := stdlib.OpenDB(*cfg)
	defer pool.Close()
	m.db.DB = pool
	must(t, m.move("both").Prepare(t.Context()))
	if _, err := rotate.Run(t.Context(), m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy("both")}); !errors.Is(err, rotate.ErrRowSecurity) {
		t.Errorf("the backfill: %v", err)
	}
	if err := m.move("both").Swap(t.Context()); err == nil || !strings.Contains(err.Error(), "BYPASSRLS") {
		t.Fatalf("got %v", err)
	}
	m.stage(rotate.StagePrepared)
}
