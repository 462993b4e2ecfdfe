package rotate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestMovePrintedSwapKeepsValues: a swap that is run by hand does nothing while a row has no sealed value, and neither
// does a drop.
func TestMovePrintedSwapKeepsValues(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	m.db.exec(t, "UPDATE people SET email = 'new@example.com' WHERE id = 2")
	swap, err := m.move("both").Print(ctx, "swap")
	must(t, err)
	if err := m.run(swap); err == nil || !strings.Contains(err.Error(), "run the backfill first") {
		t.Fatalf("the printed swap: %v", err)
	}
	m.stage(rotate.StagePrepared)
	m.fill(rotate.Seal, "both")
	swap, err = m.move("both").Print(ctx, "swap")
	must(t, err)
	must(t, m.run(swap))
	m.stage(rotate.StageFinished)
	m.want(m.opened("email"), 5, map[int64]string{2: "new@example.com"})

	m.db.exec(t, "ALTER TABLE people ALTER email DROP NOT NULL, DISABLE TRIGGER ALL; UPDATE people SET email = NULL WHERE id = 3; ALTER TABLE people ENABLE TRIGGER ALL")
	drop, err := m.move("").Print(ctx, "drop")
	must(t, err)
	if err := m.run(drop); err == nil || !strings.Contains(err.Error(), "a value in email_rowseal_old and none in email") {
		t.Fatalf("the printed drop: %v", err)
	}
	if err := m.move("").Drop(ctx); !errors.Is(err, rotate.ErrStage) || !strings.Contains(err.Error(), "1 rows have a value in email_rowseal_old") {
		t.Fatalf("the drop: %v", err)
	}
	m.stage(rotate.StageFinished)
}

// run runs a script as psql does, in one session, until a statement fails.
func (m *mover) run(script string) error {
	conn, err := m.db.Conn(m.t.Context())
	must(m.t, err)
	defer conn.Close()
	text := ""
	for _, s := range strings.SplitAfter(script, ";\n") {
		if text += s; strings.TrimSpace(text) == "" || strings.Count(text, "$rowseal$")%2 != 0 {
			continue
		}
		s, text = text, ""
		if _, err := conn.ExecContext(m.t.Context(), s); err != nil {
			_, rollback := conn.ExecContext(m.t.Context(), "ROLLBACK")
			must(m.t, rollback)
			return err
		}
	}
	return nil
}

// TestMoveDropCompares: the plain column stays where it has another value than the sealed one.
func TestMoveDropCompares(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	name := m.text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'rowseal_moving%'")
	m.db.exec(t, "ALTER TABLE people DISABLE TRIGGER USER; UPDATE people SET email = 'new@example.com' WHERE id = 2; ALTER TABLE people ENABLE TRIGGER USER")
	if err := m.move("both").Swap(ctx); !errors.Is(err, rotate.ErrStage) {
		t.Fatalf("a swap with a trigger that was off: %v", err)
	}
	report, err := rotate.Run(ctx, m.config(), rotate.Job{Kind: rotate.Verify, Table: m.policy("both")})
	if !errors.Is(err, rotate.ErrFindings) {
		t.Fatalf("the verify: %v", err)
	}
	for _, f := range report.Findings {
		if differs := strings.Contains(f.Detail, "has another one sealed"); differs != (f.Row == "id=2") {
			t.Errorf("row %s: %s", f.Row, f.Detail)
		}
	}
	m.db.exec(t, "ALTER TABLE people ENABLE ALWAYS TRIGGER "+name) // nobody knows that it was off
	must(t, m.move("both").Swap(ctx))
	if err := m.move("").Drop(ctx); !errors.Is(err, rotate.ErrFindings) {
		t.Fatalf("the drop: %v", err)
	}
	m.stage(rotate.StageFinished)
	m.db.exec(t, "UPDATE people SET email_rowseal_old = NULL WHERE id = 2")
	must(t, m.move("").Drop(ctx))
}

// TestMoveTriggerAsItWasMade: a trigger that was switched off, or calls something else, is made anew; one of the old name
// serves.
func TestMoveTriggerAsItWasMade(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	must(t, m.move("both").Prepare(ctx))
	f := m.text("SELECT tgfoid::regproc::text FROM pg_trigger WHERE tgname LIKE 'rowseal_moving%'")
	name := m.text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'rowseal_moving%'")
	for what, change := range map[string]string{
		"off":            "ALTER TABLE people DISABLE TRIGGER " + name,
		"of the session": "ALTER TABLE people ENABLE TRIGGER " + name,
		"another body":   "CREATE OR REPLACE FUNCTION " + f + "() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
		"another function": "CREATE OR REPLACE FUNCTION idle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';" +
			"CREATE OR REPLACE TRIGGER " + name + " BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION idle(); ALTER TABLE people ENABLE ALWAYS TRIGGER " + name,
		"another column": "CREATE OR REPLACE TRIGGER " + name + " BEFORE UPDATE OF id ON people FOR EACH ROW EXECUTE FUNCTION " + f + "()",
	} {
		m.db.exec(t, change)
		if got, err := m.move("both").Stage(ctx); err != nil || got != rotate.StagePreparing {
			t.Errorf("%s: it is %s, %v", what, got, err)
		}
		must(t, m.move("both").Prepare(ctx))
		m.stage(rotate.StagePrepared)
	}
	m.db.exec(t, "ALTER TRIGGER "+name+" ON people RENAME TO rowseal_moving_email")
	m.stage(rotate.StagePrepared)
	m.fill(rotate.Seal, "both")
	must(t, m.move("both").Swap(ctx))
	if n := m.text("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rowseal_moving%'"); n != "0" {
		t.Errorf("%s triggers are left", n)
	}
}

// TestMoveTriggerNames: columns whose names begin alike have a trigger each.
func TestMoveTriggerNames(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	long := strings.Repeat("x", 50)
	typ, err := codec.ParseType("text")
	must(t, err)
	var columns []field.ColumnConfig
	for _, end := range []string{"a", "b"} {
		columns = append(columns, field.ColumnConfig{Name: "s" + end, ID: end, Type: typ, Transition: field.Transition{Plain: long + end, Both: true}})
	}
	table, err := field.NewTable(field.TableConfig{Name: "people", Tenant: field.TenantSource{Column: "tenant"}, Columns: columns})
	must(t, err)
	m.db.exec(t, fmt.Sprintf("CREATE TABLE people (id bigint PRIMARY KEY, tenant text, %[1]sa text, %[1]sb text)", long))
	for _, end := range []string{"a", "b"} {
		move, err := rotate.NewMove(m.config(), table, "s"+end, m.opt)
		must(t, err)
		must(t, move.Prepare(ctx))
	}
	if n := m.text("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people'::regclass"); n != "2" {
		t.Errorf("%s triggers, want 2", n)
	}
}

// TestMoveWriters: triggers that write the column on its way are named, and those that read it do not stop the swap.
func TestMoveWriters(t *testing.T) {
	for body, stops := range map[string]bool{
		"BEGIN NEW.email := lower(NEW.email); RETURN NEW; END":                           true,
		"BEGIN IF NEW.email <> '' THEN NEW.email = 'x'; END IF; RETURN NEW; END":         true,
		"BEGIN SELECT 'x' INTO NEW.email; RETURN NEW; END":                               true,
		"BEGIN NEW := OLD; RETURN NEW; END":                                              true,
		"BEGIN IF NEW.email = OLD.email THEN NEW.tenant := 'x'; END IF; RETURN NEW; END": false,
		"BEGIN -- NEW.email := 'x'\n NEW.tenant := 'NEW.email := 1'; RETURN NEW; END":    false,
		"BEGIN NEW.email_of := NEW.email; RETURN NEW; END":                               false,
	} {
		t.Run(body, func(t *testing.T) {
			m := newMover(t, openPostgres(t))
			m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email_of text, email text)")
			m.db.exec(t, "CREATE FUNCTION set_email() RETURNS trigger LANGUAGE plpgsql AS $$"+body+"$$; CREATE TRIGGER set_email BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION set_email()")
			must(t, m.move("both").Prepare(t.Context()))
			err := m.move("both").Swap(t.Context())
			if stops != (errors.Is(err, rotate.ErrObstacle) && strings.Contains(err.Error(), "trigger set_email calls public.set_email, which writes the column")) || !stops && err != nil {
				t.Fatalf("the swap: %v", err)
			}
			if stops && !strings.Contains(err.Error(), "behind the trigger") {
				t.Errorf("nothing says that it sorts behind: %v", err)
			}
		})
	}
}

// TestMoveUnrelatedIndexes: what has the column's name in it is not the column.
func TestMoveUnrelatedIndexes(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.search.Equality = false
	m.db.exec(t, `CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email text, work_email text UNIQUE, "E" text, state text);
CREATE UNIQUE INDEX verified ON people (lower(work_email)) WHERE state <> 'email';
CREATE UNIQUE INDEX partial ON people (tenant) WHERE email LIKE 'a%'`)
	must(t, m.move("both").Prepare(ctx))
	err := m.move("both").Swap(ctx)
	if !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), "index partial is unique") ||
		strings.Contains(err.Error(), "work_email") || strings.Contains(err.Error(), "verified") {
		t.Fatalf("the swap: %v", err)
	}
	m.db.exec(t, "DROP INDEX partial")
	must(t, m.move("both").Swap(ctx))
}

// TestMoveCarriesIndexBesideNamesake: an index is made anew over terms where its condition only looks like the column.
func TestMoveCarriesIndexBesideNamesake(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email text, email_kind text); CREATE UNIQUE INDEX one ON people (tenant, email) WHERE email_kind <> 'email'")
	must(t, m.move("both").Prepare(t.Context()))
	must(t, m.move("both").Swap(t.Context()))
	if n := m.text("SELECT count(*) FROM pg_index WHERE indrelid = 'people'::regclass AND indisunique AND indpred IS NOT NULL"); n != "2" {
		t.Errorf("%s unique indexes with a condition, want the old one and the new one", n)
	}
}

// TestMoveWithoutPrimaryKey: a table without one is moved, and its values may be too long for an index.
func TestMoveWithoutPrimaryKey(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.search.Equality = false
	m.db.exec(t, "CREATE TABLE people (id bigint, tenant text, email text); INSERT INTO people SELECT i, 'tenant-1', 'user' || i || '@example.com' FROM generate_series(1, 5) i")
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	m.db.exec(t, "INSERT INTO people SELECT 6, 'tenant-1', string_agg(md5(i::text), '') FROM generate_series(1, 500) i")
	long := m.text("SELECT email FROM people WHERE id = 6")
	must(t, m.move("both").Swap(ctx))
	m.want(m.opened("email"), 6, map[int64]string{6: long})
	must(t, m.move("").Drop(ctx))
	must(t, m.move("both").Reopen(ctx))
	m.fill(rotate.Unseal, "both")
	must(t, m.move("both").DropSealed(ctx))
	m.wantClear(6, map[int64]string{6: long})
}

// TestMoveDropTakenBack: a drop of the plain column that was cut off is taken back, and programs write it again.
func TestMoveDropTakenBack(t *testing.T) {
	for name, back := range map[string]func(*rotate.Move, context.Context) error{"reopen": (*rotate.Move).Reopen, "prepare": (*rotate.Move).Prepare} {
		t.Run(name, func(t *testing.T) {
			m := newMover(t, openPostgres(t))
			m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
			must(t, m.move("both").Prepare(t.Context()))
			m.fill(rotate.Seal, "sealed")
			check := strings.Replace(m.text("SELECT conname FROM pg_constraint WHERE conname LIKE 'moving_rowseal_some%'"), "some", "empty", 1)
			m.db.exec(t, "ALTER TABLE people ADD CONSTRAINT "+check+" CHECK (email IS NULL) NOT VALID")
			must(t, back(m.move("both"), t.Context()))
			counted(t, m.fill(rotate.Unseal, "both"), counts{"rows": 5, "values": 5, "unsealed": 5})
			m.db.exec(t, "UPDATE people SET email = 'new@example.com' WHERE id = 2")
			must(t, m.move("both").DropSealed(t.Context()))
			m.wantClear(5, map[int64]string{2: "new@example.com"})
		})
	}
}

// TestMoveIndexWaits: an index that waits for an old snapshot names who has it, and leaves no setting to the session.
func TestMoveIndexWaits(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.opt.LockTimeout = 5 * time.Millisecond
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	m.db.exec(t, "CREATE TABLE others (id int)")
	tx, err := m.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	must(t, err)
	var pid int
	must(t, tx.QueryRow("SELECT pg_backend_pid() FROM (SELECT count(*) FROM others) o").Scan(&pid))
	if err := m.move("both").Prepare(ctx); !errors.Is(err, rotate.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d of role", pid)) {
		t.Errorf("prepare: %v", err)
	}
	must(t, tx.Rollback())
	m.opt.LockTimeout = 200 * time.Millisecond
	must(t, m.move("both").Prepare(ctx))
	m.stage(rotate.StagePrepared)
}

// TestMoveLeavesNoSetting: what a session is set to is what the next client of its connection would get. The one setting is taken back, and
// not made behind a pooler.
func TestMoveLeavesNoSetting(t *testing.T) {
	m := newMover(t, openPostgres(t))
	config, err := pgx.ParseConfig(testpg.DSN(t))
	must(t, err)
	var asked asked
	config.Tracer = &asked
	pool := stdlib.OpenDB(*config)
	t.Cleanup(func() { must(t, pool.Close()) })
	m.db = db{pool, rotate.PostgreSQL, "bytea"}
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	must(t, m.move("both").Prepare(t.Context()))
	all := asked.String()
	if set, reset := strings.Count(all, "SET statement_timeout = 0\n"), strings.Count(all, "RESET statement_timeout\n"); set == 0 || set != reset {
		t.Errorf("statement_timeout is set %d times and taken back %d times", set, reset)
	}
	all = strings.ReplaceAll(all, "SET statement_timeout = 0\n", "")
	if !strings.Contains(all, "CREATE UNIQUE INDEX CONCURRENTLY") || regexp.MustCompile(`(?m)^SET [^L]`).MatchString(all) {
		t.Errorf("a setting of the session among:\n%s", all)
	}
}

// asked notes statements.
type asked struct {
	sync.Mutex
	strings.Builder
}

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	a.Lock()
	defer a.Unlock()
	a.WriteString(q.SQL + "\n")
	return ctx
}

func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestMovePublished: publications that would send the new column are named before it is there.
func TestMovePublished(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.db.exec(t, fmt.Sprintf(peopleSQL, 1))
	m.db.exec(t, "CREATE PUBLICATION whole FOR TABLE people; CREATE PUBLICATION part FOR TABLE people (id)")
	all, err := m.move("both").Obstacles(t.Context())
	must(t, err)
	if len(all) != 1 || all[0].Stops || !strings.Contains(all[0].String(), "publication whole sends all columns") {
		t.Errorf("got %v", all)
	}
}

// TestMoveNameTooLong: a name that the server would cut is refused.
func TestMoveNameTooLong(t *testing.T) {
	m := newMover(t, openPostgres(t))
	typ, err := codec.ParseType("text")
	must(t, err)
	table, err := field.NewTable(field.TableConfig{Name: "people", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{
		{Name: strings.Repeat("x", 64), ID: "email", Type: typ, Transition: field.Transition{Plain: "email", Both: true}},
	}})
	must(t, err)
	m.db.exec(t, fmt.Sprintf(peopleSQL, 1))
	move, err := rotate.NewMove(m.config(), table, "email", m.opt)
	must(t, err)
	if err := move.Prepare(t.Context()); !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), "has 64 bytes") {
		t.Errorf("got %v", err)
	}
}

// TestMoveBackLeavesNoIndex: a plain column that had no index has none after the way there and back.
func TestMoveBackLeavesNoIndex(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email text); INSERT INTO people VALUES (1, 'tenant-1', 'user1@example.com')")
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	must(t, m.move("both").Swap(ctx))
	must(t, m.move("").Drop(ctx))
	must(t, m.move("both").Reopen(ctx))
	m.fill(rotate.Unseal, "both")
	must(t, m.move("both").DropSealed(ctx))
	m.wantClear(1, nil)
	if got := m.text("SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index WHERE indrelid = 'people'::regclass"); got != "people_pkey" {
		t.Errorf("indexes: %s", got)
	}
}
