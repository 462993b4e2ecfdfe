package relay_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

const (
	insertAs = "PREPARE s(int, text) AS INSERT INTO patients (id, ssn) VALUES ($1, $2)"
	insertVV = "PREPARE s(int, text) AS INSERT INTO vv (id, note) VALUES ($1, $2)"
	findAs   = "PREPARE s(text) AS SELECT id FROM patients WHERE ssn = $1"
	executes = "EXECUTE s(500, 'canary-execute')"
	vvPlain  = "CREATE TEMP VIEW vv AS SELECT id, note FROM plain"
	vvSealed = "CREATE TEMP VIEW vv AS SELECT id, ssn AS note FROM patients"
)

// moving are texts by which a prepared statement comes to mean a sealed column; the last executes it.
var moving = []struct {
	name  string
	texts []string
}{
	{"path", []string{"SET search_path = other, public", insertAs, "SET search_path = public", executes}},
	{"path, with others in the text", []string{"SET search_path = other, public", "SELECT 1; " + insertAs, "SET search_path = public", executes}},
	{"temporary", []string{"CREATE TEMP TABLE patients (id int, ssn text)", insertAs, "DROP TABLE patients", executes}},
	{"schema", []string{"CREATE SCHEMA o2", "CREATE TABLE o2.patients (id int, ssn text)", "SET search_path = o2, public", insertAs, "DROP SCHEMA o2 CASCADE", executes}},
	{"explain", []string{"SET search_path = other, public", findAs, "SET search_path = public", "EXPLAIN (COSTS OFF) EXECUTE s('canary-execute')"}},
	{"table", []string{"SET search_path = other, public", findAs, "SET search_path = public", "CREATE TEMP TABLE ctx AS EXECUTE s('canary-execute')"}},
	{"view", []string{vvPlain, insertVV, "DROP VIEW vv", vvSealed, executes}},
	{"view, quoted", []string{vvPlain, `PREPARE "S t"(int, text) AS INSERT INTO vv (id, note) VALUES ($1, $2)`, "DROP VIEW vv", vvSealed, `EXECUTE "S t"(500, 'canary-execute')`}},
	{"view, with others in the text", []string{vvPlain, "SELECT 1;" + insertVV + "; SELECT 2", "DROP VIEW vv", vvSealed, executes}},
	{"view, prepared twice", []string{vvPlain, insertVV, "PREPARE s AS SELECT 1", "DROP VIEW vv", vvSealed, executes}},
	{"view, still there", []string{vvPlain, insertVV, "DEALLOCATE t", "DEALLOCATE s s", "DROP VIEW vv", vvSealed, executes}},
	{"view, seen by name", []string{"PREPARE t AS SELECT ssn FROM patients", vvPlain, insertVV, "DROP VIEW vv", vvSealed, executes}},
}

func TestExecuteIsRefusedWhereAStatementHasComeToMeanSealedColumns(t *testing.T) {
	ctx := context.Background()
	direct, _ := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, raw, "CREATE SCHEMA other; CREATE TABLE other.patients (id int, ssn text)")
	tap, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	for _, f := range moving {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			t.Run(f.name+" "+mode.String(), func(t *testing.T) {
				if mode == pgx.QueryExecModeExec && strings.Contains(f.name, "others in the text") {
					mode = pgx.QueryExecModeSimpleProtocol
				}
				conn := connect(t, through, mode)
				last := len(f.texts) - 1
				for _, sql := range f.texts[:last] {
					_, err := conn.Exec(ctx, sql)
					fails := strings.HasPrefix(sql, "DEALLOCATE") || sql == "PREPARE s AS SELECT 1"
					if (err != nil) != fails {
						t.Fatalf("%s: %v", sql, err)
					}
				}
				for range 2 {
					_, err := conn.Exec(ctx, f.texts[last])
					wantState(t, err, "0A000")
				}
				if strings.HasPrefix(f.texts[last], "EXECUTE s") {
					r := conn.PgConn().ExecPrepared(ctx, "s", [][]byte{[]byte("500"), []byte("canary-bind")}, nil, nil).Read()
					wantState(t, r.Err, "0A000")
				}
				if sent := tap.take(); strings.Contains(sent, "canary") {
					t.Error("a value is in clear on the way to the server")
				}
				mustExec(t, conn, "DEALLOCATE ALL")
			})
		}
	}
}

// What has not come to mean anything else goes on, whatever was changed beside it.
func TestPreparedStatementsGoOnBehindOtherChanges(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		conn := connect(t, through, mode)
		mustExec(t, conn, vvPlain)
		mustExec(t, conn, "PREPARE w(int, text) AS INSERT INTO vv (id, note) VALUES ($1, $2)")
		mustExec(t, conn, insertAs)
		mustExec(t, conn, "PREPARE r(text) AS SELECT ssn FROM patients WHERE ssn = $1")
		mustExec(t, conn, "EXECUTE s(1, 'canary-1')")
		mustExec(t, conn, "CREATE TEMP TABLE beside (id int)")
		mustExec(t, conn, "SET search_path = public, pg_catalog")
		mustExec(t, conn, "EXECUTE s(2, 'canary-2')")
		mustExec(t, conn, "EXECUTE w(1, 'x')")
		var ssn string
		if err := conn.QueryRow(context.Background(), "EXECUTE r('canary-2')").Scan(&ssn); err != nil || ssn != "canary-2" {
			t.Errorf("%v: got %q, %v", mode, ssn, err)
		}
		mustExec(t, conn, "DELETE FROM patients; DELETE FROM plain", pgx.QueryExecModeSimpleProtocol)
	}
}

// What is kept of texts with PREPARE is bounded; nothing that is not kept is trusted once the catalog has changed.
func TestTooManyPreparedStatementsAreNotTrusted(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, vvPlain)
	long := strings.Repeat("-", 400<<10)
	for _, name := range []string{"a", "b", "c"} {
		mustExec(t, conn, "PREPARE "+name+" AS SELECT 1 --"+long)
	}
	mustExec(t, conn, insertVV)
	mustExec(t, conn, "EXECUTE s(1, 'x')")
	mustExec(t, conn, "DROP VIEW vv")
	mustExec(t, conn, vvSealed)
	_, err := conn.Exec(ctx, executes)
	wantState(t, err, "0A000")
	mustExec(t, conn, "DEALLOCATE ALL")
	mustExec(t, conn, "PREPARE s(int) AS SELECT $1")
	mustExec(t, conn, "EXECUTE s(1)")
}

// What was prepared before the policy listed anything, by the client or by code, is known by the server's text of it.
func TestWhatSQLPreparedBeforeAPolicyIsNotExecutedInClear(t *testing.T) {
	ctx := context.Background()
	direct, _ := sealed(t, &relay.Config{})
	tap, recorded := record(t, direct)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		shared := relay.NewShared(nil, nil)
		conn := connect(t, proxy(t, recorded, &relay.Config{Shared: shared}), mode)
		mustExec(t, conn, "PREPARE s(int, text) AS INSERT INTO patients (id, ssn) VALUES ($1, decode($2, 'hex'))")
		mustExec(t, conn, "DO $$ BEGIN EXECUTE 'PREPARE \"S t\"(int, text) AS INSERT INTO patients (id, name) VALUES ($1, decode($2, ''hex''))'; END $$")
		mustExec(t, conn, "PREPARE w(int, text) AS INSERT INTO plain (id, note) VALUES ($1, $2)")
		mustExec(t, conn, "DO $$ BEGIN EXECUTE 'PREPARE v(int) AS DELETE FROM plain WHERE id = $1'; END $$")
		shared.Replace(patients(t), newCipher(t))
		for range 2 {
			for _, sql := range []string{executes, `EXECUTE "S t"(501, 'canary-execute')`} {
				_, err := conn.Exec(ctx, sql)
				wantState(t, err, "0A000")
			}
			for _, name := range []string{"s", "S t"} {
				r := conn.PgConn().ExecPrepared(ctx, name, [][]byte{[]byte("500"), []byte("canary-bind")}, nil, nil).Read()
				wantState(t, r.Err, "0A000")
			}
			mustExec(t, conn, "EXECUTE w(1, 'x')")
			mustExec(t, conn, "EXECUTE v(1)")
			if r := conn.PgConn().ExecPrepared(ctx, "w", [][]byte{[]byte("1"), []byte("x")}, nil, nil).Read(); r.Err != nil {
				t.Error(r.Err)
			}
			if r := conn.PgConn().ExecPrepared(ctx, "v", [][]byte{[]byte("1")}, nil, nil).Read(); r.Err != nil {
				t.Error(r.Err)
			}
		}
		if sent := tap.take(); strings.Contains(sent, "canary") {
			t.Error("a value is in clear on the way to the server")
		}
	}
}

// What the protocol prepares and deallocates is learnt as what Queries do.
func TestANameIsWhatSQLMadeOfItByTheProtocol(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeExec)
	if _, err := conn.PgConn().Prepare(ctx, "s", "SELECT id, ssn FROM patients WHERE ssn = $1", nil); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "DEALLOCATE s")
	mustExec(t, conn, "PREPARE s(int, text) AS INSERT INTO plain (id, note) VALUES ($1, $2)")
	mustExec(t, conn, "EXECUTE s(1, 'x')")
	if r := conn.PgConn().ExecPrepared(ctx, "s", [][]byte{[]byte("2"), []byte("x")}, nil, nil).Read(); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestANameIsWhatSQLMadeOfItInAPipeline(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	messages := of(parsed("s", "SELECT id, ssn FROM patients WHERE ssn = $1"))
	for _, sql := range []string{"DEALLOCATE s", preparePlain, "EXECUTE s(1, 'x')"} {
		messages = append(messages, sent(sql)...)
	}
	got := play(t, hijack(t, through), encode(t, append(messages, syncs)...))
	if said := strings.Join(got, ", "); !strings.Contains(said, `C "INSERT 0 1\x00", Z "I"`) {
		t.Errorf("told %s", said)
	}
}
