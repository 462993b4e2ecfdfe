package rotate_test

import (
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// lateValue is a value under a key of its own that w's table does not have yet.
func (w *world) lateValue(t *testing.T) (sealed []byte, key envelope.KeyID) {
	t.Helper()
	sealed, err := w.cipher(t).Seal(t.Context(), nil, w.table.Column("ssn"), field.Row{Tenant: "late"}, "1")
	must(t, err)
	v, err := envelope.Parse(sealed)
	must(t, err)
	return sealed, v.KeyID()
}

// TestAVerifyWaitsForTransactionsFromBefore, which may commit values of keys that are gone by then.
func TestAVerifyWaitsForTransactionsFromBefore(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 20)
		sealed, key := w.lateValue(t)
		must(t, rotate.InitJournal(t.Context(), d.DB, d.dialect))
		cfg := w.config(d)
		cfg.Cipher = w.cipher(t)
		tx, err := d.Begin()
		must(t, err)
		_, err = tx.Exec(d.sql("INSERT INTO people (id, tenant, ssn) VALUES (0, 'late', $1)"), sealed)
		must(t, err)
		var once sync.Once
		commit := func() { once.Do(func() { must(t, tx.Commit()) }) }
		if d.dialect == rotate.SQLite { // nobody gets as far as to say that it waits
			commit()
		}
		cfg.Progress = func(p rotate.Progress) {
			if rotate.HeldBy(p.Held) == "transactions" {
				commit()
			}
		}
		result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table})
		must(t, err)
		if result.Counts["key/"+key.String()] != 1 || len(result.Warnings) != 0 {
			t.Errorf("counted %v, warned %q", result.Counts, result.Warnings)
		}
		commit()
		jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
		must(t, err)
		if use := rotate.UseOfKey(jobs, []*field.Table{w.table}, key, time.Time{}); use.Values != 1 || len(use.Unverified) != 0 {
			t.Errorf("%+v", use)
		}
	})
}

// TestAVerifyThatCannotWaitForThemIsNoEvidence, and says whom it waited for.
func TestAVerifyThatCannotWaitForThemIsNoEvidence(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	_, key := w.lateValue(t)
	cfg := w.config(d)
	cfg.Cipher, cfg.Patience = w.cipher(t), time.Millisecond
	tx, err := d.Begin()
	must(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("UPDATE people SET tenant = tenant WHERE id = 1")
	must(t, err)
	result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table})
	must(t, err)
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "no evidence") || !strings.Contains(result.Warnings[0], "session ") {
		t.Errorf("warned %q", result.Warnings)
	}
	jobs, err := rotate.Jobs(t.Context(), d.DB, d.dialect, true)
	must(t, err)
	use := rotate.UseOfKey(jobs, []*field.Table{w.table}, key, time.Time{})
	if len(use.Unverified) != 1 || !strings.Contains(use.Unverified[0].Why, "did not wait for the transactions") {
		t.Errorf("%+v", use)
	}
	// One of a tenant or a column is none in any case, and does not wait.
	result, err = rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table, Columns: []string{"ssn"}})
	if err != nil || len(result.Warnings) != 0 {
		t.Errorf("%q, %v", result.Warnings, err)
	}
}

// TestAWalkerOfAVerifyWaitsForTransactionsFromBefore too, without taking the range meanwhile.
func TestAWalkerOfAVerifyWaitsForTransactionsFromBefore(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	other, err := sql.Open("pgx", testpg.DSN(t)) // a transaction of another database is not waited for
	must(t, err)
	defer other.Close()
	elsewhere, err := other.Begin()
	must(t, err)
	defer elsewhere.Rollback()
	_, err = elsewhere.Exec("CREATE TABLE t (a int)")
	must(t, err)
	tx, err := d.Begin()
	must(t, err)
	_, err = tx.Exec("UPDATE people SET tenant = tenant WHERE id = 1")
	must(t, err)
	walker, _ := begin(t, cfg, rotate.Job{Kind: rotate.Verify, Table: w.table}, 1, 1)
	turn, err := walker.Walk(t.Context(), 0, anHour())
	if err != nil || turn.Done || rotate.HeldBy(turn.Held) != "transactions" {
		t.Fatalf("%+v, %v", turn, err)
	}
	if s := d.status(t, walker.ID()); s.Held != turn.Held {
		t.Errorf("the journal shows %q", s.Held)
	}
	must(t, tx.Rollback())
	if turn, err = walker.Walk(t.Context(), 0, anHour()); err != nil || !turn.Done {
		t.Fatalf("%+v, %v", turn, err)
	}
	if done, err := walker.Finish(t.Context()); !done || err != nil || !d.status(t, walker.ID()).Settled {
		t.Errorf("%v, %v", done, err)
	}
}

// TestAnAccountThatSeesNoTransactions makes verifies that are no evidence: MySQL wants a right for it.
func TestAnAccountThatSeesNoTransactions(t *testing.T) {
	d := openMySQL(t)
	w := newWorld(t)
	w.people(t, d, 5)
	cfg := w.config(d)
	cfg.Cipher = w.cipher(t)
	dsn, err := driver.ParseDSN(testmysql.DSN(t))
	must(t, err)
	var name string
	must(t, d.QueryRow("SELECT DATABASE()").Scan(&name))
	user := "blind_" + name
	d.exec(t, "CREATE USER '"+user+"'@'%' IDENTIFIED BY ''")
	t.Cleanup(func() { _, _ = d.Exec("DROP USER '" + user + "'@'%'") })
	d.exec(t, "GRANT ALL ON `"+name+"`.* TO '"+user+"'@'%'")
	dsn.User, dsn.Passwd, dsn.DBName = user, "", name // a password would be sent as SHA-1, which FIPS forbids
	cfg.DB, err = sql.Open("mysql", dsn.FormatDSN())
	must(t, err)
	t.Cleanup(func() { _ = cfg.DB.Close() })
	result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table})
	must(t, err)
	if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0], "GRANT PROCESS") {
		t.Errorf("warned %q", result.Warnings)
	}
}
