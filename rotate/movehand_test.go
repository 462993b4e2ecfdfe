package rotate_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// behind marks a statement that is run later.
const behind = "-- behind"

// byHand runs the statements that a step is printed as, and returns those for later.
func (m *mover) byHand(write, step string) (later string) {
	m.t.Helper()
	text, err := m.move(write).Print(m.t.Context(), step)
	must(m.t, err)
	text, later, _ = strings.Cut(text, behind)
	m.script(step, text)
	return behind + later
}

func (m *mover) script(step, text string) {
	m.t.Helper()
	conn, err := m.db.Conn(m.t.Context())
	must(m.t, err)
	defer conn.Close()
	for _, s := range strings.Split(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			if _, err := conn.ExecContext(m.t.Context(), s); err != nil {
				m.t.Fatalf("%s: %s: %v", step, s, err)
			}
		}
	}
}

// TestMoveByHand goes there and back with printed statements and backfills, on databases whose schema is not changed
// from here.
func TestMoveByHand(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		if d.dialect == rotate.PostgreSQL {
			return // has ways of its own
		}
		m := newMover(t, d)
		m.rowID, m.typ = "id", "varchar(100)" // MySQL has no index over all of a text
		d.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant varchar(20), email varchar(100), at int)")
		const n = 60
		for i := int64(1); i <= n; i++ {
			d.exec(t, fmt.Sprintf("INSERT INTO people (id, tenant, email) VALUES (%d, 'tenant-%d', '%s')", i, i%3, mail(i)))
		}
		if err := m.move("both").Prepare(t.Context()); !errors.Is(err, rotate.ErrNotHere) || !strings.Contains(err.Error(), "--print") {
			t.Fatalf("prepare: %v", err)
		}
		m.byHand("both", "prepare")
		counted(t, m.fill(rotate.Seal, "both"), counts{"rows": n, "values": n, "sealed": n})
		d.exec(t, "UPDATE people SET email = 'new@example.com' WHERE id = 1")
		d.exec(t, "UPDATE people SET at = 1 WHERE id = 2")
		if left, err := m.move("both").Left(t.Context()); err != nil || left != (rotate.Left{Unsealed: 1, Plain: n}) {
			t.Fatalf("left: %+v, %v", left, err)
		}
		if _, err := d.Exec("UPDATE people SET email_sealed = 'clear' WHERE id = 3"); err == nil {
			t.Error("the sealed column takes values in clear")
		}
		counted(t, m.fill(rotate.Seal, "sealed"), counts{"rows": n, "values": n, "sealed": 1, "resealed": n - 1, "emptied": n})
		changed := map[int64]string{1: "new@example.com"}
		m.want(m.opened("email_sealed"), n, changed)
		m.byHand("sealed", "swap")
		m.want(m.opened("email"), n, changed)
		m.byHand("", "drop")
		later := m.byHand("both", "reopen")
		counted(t, m.fill(rotate.Unseal, "both"), counts{"rows": n, "values": n, "unsealed": n})
		m.wantClear(n, changed)
		m.script("reopen", later)
		d.exec(t, "UPDATE people SET email = 'plain@example.com' WHERE id = 2")
		if left, err := m.move("both").Left(t.Context()); err != nil || left.Unsealed != 1 {
			t.Fatalf("a sealed value stays that is out of date: %+v, %v", left, err)
		}
		changed[2] = "plain@example.com"
		m.byHand("both", "drop-sealed")
		m.wantClear(n, changed)

		// And there once more, where the sealed column keeps its name.
		m.byHand("both", "prepare")
		counted(t, m.fill(rotate.Seal, "sealed"), counts{"rows": n, "values": n, "sealed": n, "emptied": n})
		m.byHand("sealed", "drop-plain")
		m.want(m.opened("email_sealed"), n, changed)
	})
}

// TestMoveScriptsOfSQLite runs scripts as they are printed, comments and all, there and back with the old column kept, on
// a table without rowids too.
func TestMoveScriptsOfSQLite(t *testing.T) {
	for _, rowids := range []string{"", " WITHOUT ROWID"} {
		t.Run("table"+rowids, func(t *testing.T) {
			d, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db")+"?_pragma=busy_timeout(10000)")
			must(t, err)
			t.Cleanup(func() { must(t, d.Close()) })
			m := newMover(t, db{d, rotate.SQLite, "blob"})
			m.typ = "varchar(100)"
			m.db.exec(t, "CREATE TABLE people (id bigint PRIMARY KEY, tenant varchar(20), email varchar(100))"+rowids)
			m.db.exec(t, "INSERT INTO people VALUES (1, 'tenant-1', 'user1@example.com'), (2, 'tenant-1', 'user2@example.com')")
			run := func(write, step string) {
				t.Helper()
				text, err := m.move(write).Print(t.Context(), step)
				must(t, err)
				m.db.exec(t, text)
			}
			run("both", "prepare")
			m.fill(rotate.Seal, "both")
			m.db.exec(t, "UPDATE people SET email = 'new@example.com' WHERE id = 2")
			if left, err := m.move("both").Left(t.Context()); err != nil || left.Unsealed != 1 {
				t.Fatalf("left: %+v, %v", left, err)
			}
			m.fill(rotate.Seal, "both")
			run("both", "swap")
			sealed := map[int64]string{2: "new@example.com"}
			m.want(m.opened("email"), 2, sealed)
			m.db.exec(t, "UPDATE people SET email = NULL WHERE id = 1")
			sealed[1] = ""
			run("both", "reopen")
			if n := m.text("SELECT count(*) FROM pragma_table_info('people')"); n != "4" {
				t.Errorf("%s columns, want the old one to be the plain one again", n)
			}
			m.fill(rotate.Unseal, "both")
			m.wantClear(2, sealed)
			m.db.exec(t, "UPDATE people SET email = 'newer@example.com' WHERE id = 2")
			sealed[2] = "newer@example.com"
			m.fill(rotate.Unseal, "both")
			m.wantClear(2, sealed)
			run("both", "drop-sealed")
			m.wantClear(2, sealed)
		})
	}
}
