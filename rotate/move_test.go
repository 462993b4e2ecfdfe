package rotate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// mover is a table people with a column email, which is sealed in place.
type mover struct {
	*world
	t      testing.TB
	db     db
	jobs   *sql.DB // for backfills, where db is one that breaks
	typ    string
	search field.Search
	scope  field.Scope
	rowID  string
	opt    rotate.MoveOptions
}

func newMover(t testing.TB, d db) *mover {
	t.Helper()
	return &mover{
		world: newWorld(t), t: t, db: d, typ: "text", search: field.Search{Equality: true},
		opt: rotate.MoveOptions{LockTimeout: 200 * time.Millisecond, Attempts: 3, AcceptOrder: true},
	}
}

// policy is the table's, with the column in transition, or with its own name.
func (m *mover) policy(write string) *field.Table {
	m.t.Helper()
	typ, err := codec.ParseType(m.typ)
	must(m.t, err)
	c := field.ColumnConfig{Name: "email_sealed", ID: "email", Type: typ, Search: m.search, Scope: m.scope}
	switch write {
	case "":
		c.Name = "email"
	default:
		c.Transition = field.Transition{Plain: "email", Both: write == "both"}
	}
	table, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"}, RowID: m.rowID, Columns: []field.ColumnConfig{c},
	})
	must(m.t, err)
	return table
}

func (m *mover) config() rotate.Config {
	cfg := m.world.config(m.db)
	cfg.Cipher = m.cipher(m.t)
	return cfg
}

func (m *mover) move(write string) *rotate.Move {
	m.t.Helper()
	move, err := rotate.NewMove(m.config(), m.policy(write), "email", m.opt)
	must(m.t, err)
	return move
}

// fill runs a backfill.
func (m *mover) fill(kind rotate.Kind, write string) map[string]int64 {
	m.t.Helper()
	result, err := rotate.Run(m.t.Context(), m.config(), rotate.Job{Kind: kind, Table: m.policy(write)})
	must(m.t, err)
	return result.Counts
}

// stage wants the column to be at a stage.
func (m *mover) stage(want rotate.Stage) {
	m.t.Helper()
	got, err := m.move("both").Stage(m.t.Context())
	must(m.t, err)
	if got != want {
		m.t.Fatalf("the column is %s, want %s", got, want)
	}
}

// opened reads the sealed values of a column by id, with keys that nobody holds yet.
func (m *mover) opened(column string) map[int64]string {
	m.t.Helper()
	m.ring = m.newRing(m.t)
	c := m.cipher(m.t)
	table := m.policy("")
	rows, err := m.db.Query("SELECT id, tenant, " + column + " FROM people")
	must(m.t, err)
	defer rows.Close()
	all := map[int64]string{}
	for rows.Next() {
		var id int64
		var tenant string
		var sealed []byte
		must(m.t, rows.Scan(&id, &tenant, &sealed))
		if sealed == nil {
			continue
		}
		row := field.Row{Tenant: tenant}
		if m.rowID != "" {
			row.ID = id
		}
		var got string
		must(m.t, c.Open(m.t.Context(), &got, table.Columns()[0], row, sealed))
		all[id] = got
	}
	must(m.t, rows.Err())
	return all
}

// text is the only value of a query.
func (m *mover) text(query string, args ...any) (text string) {
	m.t.Helper()
	must(m.t, m.db.QueryRow(query, args...).Scan(&text))
	return text
}

func (m *mover) seal(tenant, value string) []byte {
	m.t.Helper()
	sealed, err := m.cipher(m.t).Seal(m.t.Context(), nil, m.policy("").Columns()[0], field.Row{Tenant: tenant}, value)
	must(m.t, err)
	return sealed
}

const peopleSQL = `CREATE TABLE people (id bigint PRIMARY KEY, tenant text NOT NULL, email text NOT NULL, UNIQUE (tenant, email));
COMMENT ON COLUMN people.email IS 'it''s where to write';
INSERT INTO people SELECT i, 'tenant-' || i %% 3, 'user' || i || '@example.com' FROM generate_series(1, %d) i`

func mail(id int64) string { return fmt.Sprintf("user%d@example.com", id) }

func (m *mover) want(got map[int64]string, n int64, except map[int64]string) {
	m.t.Helper()
	for id := int64(1); id <= n; id++ {
		want, ok := except[id]
		if !ok {
			want = mail(id)
		}
		if got[id] != want {
			m.t.Fatalf("row %d is %q, want %q", id, got[id], want)
		}
	}
}

// TestMoveThereAndBack takes a column the whole way, and the whole way back.
func TestMoveThereAndBack(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 300))
	m.db.exec(t, "CREATE ROLE reader_of_mail; GRANT SELECT (id, email), UPDATE (email) ON people TO reader_of_mail")
	t.Cleanup(func() { m.db.exec(t, "DROP OWNED BY reader_of_mail; DROP ROLE reader_of_mail") })
	m.stage(rotate.StageClear)
	must(t, m.move("both").Prepare(ctx))
	m.stage(rotate.StagePrepared)

	counted(t, m.fill(rotate.Seal, "both"), counts{"rows": 300, "values": 300, "sealed": 300})
	left, err := m.move("both").Left(ctx)
	must(t, err)
	if left != (rotate.Left{Plain: 300}) {
		t.Fatalf("left: %+v", left)
	}
	// Who knows the plain column only makes the sealed value NULL, without any right to what does that, and the next
	// backfill seals it again.
	m.db.exec(t, "BEGIN; SET LOCAL ROLE reader_of_mail; UPDATE people SET email = 'new@example.com' WHERE id = 7; COMMIT")
	counted(t, m.fill(rotate.Seal, "both"), counts{"rows": 300, "values": 300, "current": 299, "sealed": 1})
	m.db.exec(t, "UPDATE people SET email = 'newer@example.com' WHERE id = 8; INSERT INTO people VALUES (301, 'tenant-1', 'late@example.com')")
	changed := map[int64]string{7: "new@example.com", 8: "newer@example.com", 301: "late@example.com"}

	must(t, m.move("both").Swap(ctx))
	m.stage(rotate.StageFinished)
	must(t, m.move("both").Swap(ctx)) // nothing is left to do
	m.want(m.opened("email"), 301, changed)
	if got := m.text("SELECT col_description('people'::regclass, attnum) || attnotnull FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'email'"); got != "it's where to writetrue" {
		t.Errorf("comment and NOT NULL are %q", got)
	}
	if got := m.text("SELECT has_column_privilege('reader_of_mail', 'people', 'email', 'SELECT')"); got != "true" {
		t.Error("the right to the column is gone")
	}
	if got := m.text("SELECT count(*) FROM pg_constraint WHERE conrelid = 'people'::regclass AND NOT convalidated OR conname LIKE 'moving_rowseal%'"); got != "0" {
		t.Errorf("%s constraints are left of the move", got)
	}
	_, err = m.db.Exec("INSERT INTO people (id, tenant, email) VALUES (400, 'tenant-1', $1)", m.seal("tenant-1", mail(1)))
	if err == nil || !strings.Contains(err.Error(), "23505") {
		t.Errorf("a second row of one tenant with one value: %v", err)
	}
	_, err = m.db.Exec("INSERT INTO people VALUES (400, 'tenant-1', 'clear@example.com', $1)", m.seal("tenant-1", "x"))
	if err == nil || !strings.Contains(err.Error(), "takes no values any more") {
		t.Errorf("a clear value in the old column: %v", err)
	}
	m.db.exec(t, "UPDATE people SET email = $1 WHERE id = 9", m.seal("tenant-0", "nine@example.com"))
	changed[9] = "nine@example.com"
	if got := m.text("SELECT (email_rowseal_old IS NULL)::text FROM people WHERE id = 9"); got != "true" {
		t.Error("the old column keeps a value that was replaced")
	}

	must(t, m.move("").Drop(ctx))
	m.stage(rotate.StageSealed)
	if got := m.text("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 AND NOT attisdropped"); got != "id tenant email" {
		t.Errorf("the columns are %s", got)
	}

	must(t, m.move("both").Reopen(ctx))
	m.stage(rotate.StagePrepared)
	for _, output := range []string{"hex", "escape"} { // as who does not know of it would write
		_, err = m.db.Exec(fmt.Sprintf("BEGIN; SET LOCAL bytea_output = %s; UPDATE people SET email = decode('%x', 'hex') WHERE id = 1; COMMIT", output, m.seal("tenant-1", "x")))
		if err == nil || !strings.Contains(err.Error(), "23514") {
			t.Errorf("a sealed value in the plain column: %v", err)
		}
		m.db.exec(t, "ROLLBACK")
	}
	counted(t, m.fill(rotate.Unseal, "both"), counts{"rows": 301, "values": 301, "unsealed": 301})
	if got := m.text("SELECT count(email_sealed) FROM people"); got != "301" {
		t.Errorf("%s sealed values are left, want all", got)
	}
	m.db.exec(t, "INSERT INTO people (id, tenant, email_sealed) VALUES (302, 'tenant-1', $1)", m.seal("tenant-1", mail(302)))
	must(t, m.move("both").DropSealed(ctx))
	m.stage(rotate.StageClear)
	m.wantClear(302, changed)
	_, err = m.db.Exec("INSERT INTO people (id, tenant) VALUES (500, 'x')")
	if err == nil || !strings.Contains(err.Error(), "23502") {
		t.Errorf("NULL in the column that was NOT NULL: %v", err)
	}
	_, err = m.db.Exec("INSERT INTO people VALUES (500, 'tenant-1', $1)", mail(1))
	if err == nil || !strings.Contains(err.Error(), "23505") {
		t.Errorf("a value twice: %v", err)
	}
	if got := m.text("SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'rowseal' AND proname LIKE '%moving%'"); got != "0" {
		t.Errorf("%s functions are left", got)
	}
}

func (m *mover) wantClear(n int64, except map[int64]string) {
	m.t.Helper()
	rows, err := m.db.Query("SELECT id, email FROM people")
	must(m.t, err)
	defer rows.Close()
	all := map[int64]string{}
	for rows.Next() {
		var id int64
		var text sql.NullString
		must(m.t, rows.Scan(&id, &text))
		all[id] = text.String
	}
	must(m.t, rows.Err())
	m.want(all, n, except)
}

// TestMoveBackBeforeDrop goes back after the swap, while the old column is there.
func TestMoveBackBeforeDrop(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 20))
	m.db.exec(t, "ALTER TABLE people ALTER email DROP NOT NULL; UPDATE people SET email = NULL WHERE id = 3")
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	must(t, m.move("both").Swap(ctx))
	m.db.exec(t, "UPDATE people SET email = NULL WHERE id = 4")
	m.db.exec(t, "UPDATE people SET email = $1 WHERE id = 5", m.seal("tenant-2", "five@example.com"))
	must(t, m.move("both").Reopen(ctx))
	counted(t, m.fill(rotate.Unseal, "both"), counts{"rows": 20, "values": 18, "unsealed": 1, "current": 17})
	must(t, m.move("both").DropSealed(ctx))
	m.wantClear(20, map[int64]string{3: "", 4: "", 5: "five@example.com"})
}

// TestMoveKeepsName ends a move without a swap, as models of GORM do.
func TestMoveKeepsName(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 50))
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	if err := m.move("sealed").DropPlain(ctx); !errors.Is(err, rotate.ErrStage) {
		t.Fatalf("dropping values in clear: %v", err)
	}
	counted(t, m.fill(rotate.Seal, "sealed"), counts{"rows": 50, "values": 50, "current": 50, "emptied": 50})
	must(t, m.move("sealed").DropPlain(ctx))
	must(t, m.move("sealed").DropPlain(ctx))
	m.want(m.opened("email_sealed"), 50, nil)
	if got := m.text("SELECT string_agg(attname || attnotnull, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0 AND NOT attisdropped"); got != "idtrue tenanttrue email_sealedtrue" {
		t.Errorf("the columns are %s", got)
	}
}

// TestMoveDifferingValues: what was written past the sealed column before the trigger was there is sealed again.
func TestMoveDifferingValues(t *testing.T) {
	for _, write := range []string{"both", "sealed"} {
		t.Run(write, func(t *testing.T) {
			m := newMover(t, openPostgres(t))
			m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
			m.db.exec(t, "ALTER TABLE people ADD email_sealed bytea, ALTER email DROP NOT NULL")
			m.db.exec(t, "UPDATE people SET email_sealed = $1 WHERE id = 1", m.seal("tenant-1", "stale@example.com"))
			m.db.exec(t, "UPDATE people SET email_sealed = $1 WHERE id = 2", m.seal("tenant-2", mail(2)))
			must(t, m.move(write).Prepare(t.Context()))
			want := counts{"rows": 5, "values": 5, "sealed": 3, "resealed": 1, "current": 1}
			if write == "sealed" {
				want["emptied"] = 5
			}
			counted(t, m.fill(rotate.Seal, write), want)
			m.want(m.opened("email_sealed"), 5, nil)
		})
	}
}

// TestMoveFindings: what cannot be sealed stays, and stops the swap.
func TestMoveFindings(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.typ, m.rowID = "varchar(10)", "ref"
	m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text, ref bigint, email varchar(20))")
	m.db.exec(t, "INSERT INTO people VALUES (1, 'a', 1, 'short'), (2, 'a', 2, 'much too long'), (3, NULL, 3, 'whose'), (4, 'a', NULL, 'which')")
	must(t, m.move("both").Prepare(ctx))
	result, err := rotate.Run(ctx, m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy("sealed")})
	if !errors.Is(err, rotate.ErrIncomplete) {
		t.Fatalf("got %v, want ErrIncomplete", err)
	}
	kinds := []string{}
	for _, f := range result.Findings {
		kinds = append(kinds, f.Row+" "+f.Kind)
		if strings.Contains(f.Detail, "much") {
			t.Errorf("the finding quotes the value: %s", f.Detail)
		}
	}
	slices.Sort(kinds)
	if want := []string{"id=2 wrong-type", "id=3 wrong-tenant", "id=4 wrong-row"}; !slices.Equal(kinds, want) {
		t.Errorf("found %v, want %v", kinds, want)
	}
	if got := m.text("SELECT string_agg(id::text, ' ' ORDER BY id) FROM people WHERE email IS NOT NULL"); got != "2 3 4" {
		t.Errorf("rows %s have plain values, want 2 3 4", got)
	}
	if err := m.move("both").Swap(ctx); !errors.Is(err, rotate.ErrIncomplete) {
		t.Errorf("the swap: %v", err)
	}
	m.stage(rotate.StagePrepared)
}

// TestMoveOrder: a column that would stand elsewhere is accepted first, one that stands last anyway is not asked about.
func TestMoveOrder(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.opt.AcceptOrder = false
	m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text, email text, age int)")
	must(t, m.move("both").Prepare(ctx))
	if err := m.move("both").Swap(ctx); !errors.Is(err, rotate.ErrObstacle) || !strings.Contains(err.Error(), "--accept-order") {
		t.Fatalf("got %v", err)
	}
	m.db.exec(t, "ALTER TABLE people DROP COLUMN age")
	must(t, m.move("both").Swap(ctx))
}

// TestMoveSteps: steps out of order are refused and change nothing.
func TestMoveSteps(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	for name, step := range map[string]func(context.Context) error{
		"swap": m.move("both").Swap, "drop": m.move("").Drop, "drop plain": m.move("sealed").DropPlain,
		"reopen": m.move("both").Reopen, "reopen without both": m.move("sealed").Reopen, "reopen without transition": m.move("").Reopen,
		"prepare without transition": m.move("").Prepare, "drop sealed without both": m.move("sealed").DropSealed,
	} {
		if err := step(ctx); !errors.Is(err, rotate.ErrStage) {
			t.Errorf("%s: got %v, want ErrStage", name, err)
		}
	}
	m.stage(rotate.StageClear)
	must(t, m.move("both").Prepare(ctx))
	if err := m.move("").Drop(ctx); !errors.Is(err, rotate.ErrStage) {
		t.Errorf("drop before the swap: %v", err)
	}
	cfg := m.config()
	cfg.PageSize = 2
	small, err := rotate.NewMove(cfg, m.policy("both"), "email", m.opt)
	must(t, err)
	if err := small.Swap(ctx); !errors.Is(err, rotate.ErrStage) || !strings.Contains(err.Error(), "backfill") {
		t.Errorf("a swap with more than a page left: %v", err)
	}
	if _, err := rotate.Run(ctx, m.config(), rotate.Job{Kind: rotate.Unseal, Table: m.policy("sealed")}); err == nil {
		t.Error("an unseal while programs empty the plain column is begun")
	}
	if _, err := rotate.Run(ctx, m.config(), rotate.Job{Kind: rotate.Seal, Table: m.policy("")}); err == nil {
		t.Error("a seal without a transition is begun")
	}
	for _, opt := range []rotate.MoveOptions{{LockTimeout: time.Microsecond}, {LockTimeout: -1}, {Attempts: -1}} {
		if _, err := rotate.NewMove(m.config(), m.policy("both"), "email", opt); err == nil {
			t.Errorf("%+v is taken", opt)
		}
	}
	if _, err := rotate.NewMove(m.config(), m.policy("both"), "phone", m.opt); !errors.Is(err, rotate.ErrNoColumn) {
		t.Errorf("a column that the policy does not have: %v", err)
	}
}

// TestMoveDropVerifies: the plain column stays where a sealed value does not open.
func TestMoveDropVerifies(t *testing.T) {
	m := newMover(t, openPostgres(t))
	ctx := t.Context()
	m.db.exec(t, fmt.Sprintf(peopleSQL, 5))
	must(t, m.move("both").Prepare(ctx))
	m.fill(rotate.Seal, "both")
	must(t, m.move("both").Swap(ctx))
	m.db.exec(t, "UPDATE people SET email = set_byte(email, length(email) - 1, (get_byte(email, length(email) - 1) + 1) % 256) WHERE id = 2")
	if err := m.move("both").Drop(ctx); !errors.Is(err, rotate.ErrFindings) {
		t.Fatalf("got %v, want ErrFindings", err)
	}
	m.stage(rotate.StageFinished)
}
