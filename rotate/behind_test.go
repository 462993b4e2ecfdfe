package rotate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestRowsThatMoveBehindTheWalkAreWalkedAgain: another primary key, or a program that held older keys.
func TestRowsThatMoveBehindTheWalkAreWalkedAgain(t *testing.T) {
	dsn := testpg.DSN(t)
	plain := (&faulty{}).over(t, dsn)
	w := newWorld(t)
	people := w.people(t, plain, 40)
	old := plain.sealed(t)
	w.rotateTenants(t)
	pages := 0
	f := &faulty{after: func(_ int, statement string) error {
		if strings.HasPrefix(statement, "UPDATE rowseal.job_ranges SET pos") {
			if pages++; pages == 3 {
				plain.exec(t, "UPDATE people SET id = 0 WHERE id = 40")
				plain.exec(t, "UPDATE people SET name = $1, memo = NULL WHERE id = 1", old[1][0])
			}
		}
		return nil
	}}
	cfg := w.config(f.over(t, dsn))
	cfg.Cipher, cfg.PageSize = w.cipher(t), 10
	result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: w.table, Columns: []string{"name", "ssn"}})
	must(t, err)
	if n := result.Counts["resealed"]; n != 2*40+1 {
		t.Errorf("resealed %d values: %v", n, result.Counts)
	}
	plain.exec(t, "UPDATE people SET id = 40 WHERE id = 0")
	plain.exec(t, "UPDATE people SET memo = $1 WHERE id = 1", old[1][2])
	w.run(t, w.config(plain))
	w.destroyRetired(t)
	w.opens(t, plain, people)
}

// TestAProgramThatKeepsWritingWithOlderKeysIsReported.
func TestAProgramThatKeepsWritingWithOlderKeysIsReported(t *testing.T) {
	dsn := testpg.DSN(t)
	plain := (&faulty{}).over(t, dsn)
	w := newWorld(t)
	w.people(t, plain, 20)
	old := plain.sealed(t)
	w.rotateTenants(t)
	f := &faulty{after: func(_ int, statement string) error {
		if strings.HasPrefix(statement, "UPDATE rowseal.jobs SET state = 'done'") {
			plain.exec(t, "UPDATE people SET name = $1 WHERE id = 1", old[1][0])
		}
		return nil
	}}
	_, err := rotate.Run(t.Context(), w.config(f.over(t, dsn)), w.rewrap())
	if !errors.Is(err, rotate.ErrIncomplete) || !strings.Contains(err.Error(), "after 3 walks 1 rows are due still") {
		t.Fatalf("got %v", err)
	}
}

// TestSessionsWithLimitsOfTime: those of a database or a role are not for jobs.
func TestSessionsWithLimitsOfTime(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 20)
	w.rotateTenants(t)
	d.exec(t, "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN new; END'")
	d.exec(t, "CREATE TRIGGER slow BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION slow()")
	var name string
	must(t, d.QueryRow("SELECT quote_ident(current_database())").Scan(&name))
	d.exec(t, "ALTER DATABASE "+name+" SET statement_timeout = 300")
	d.exec(t, "ALTER DATABASE "+name+" SET idle_in_transaction_session_timeout = 300")
	d.SetMaxIdleConns(0)
	counted(t, w.run(t, w.config(d)), counts{"rows": 20, "values": 40, "rewrapped": 20, "current": 20})
}

// TestRefusalsNameTheRemedy.
func TestRefusalsNameTheRemedy(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 5)
	must(t, rotate.InitJournal(t.Context(), d.DB, d.dialect))
	d.SetMaxOpenConns(1)
	d.exec(t, "SET default_transaction_read_only = on")
	_, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
	if err == nil || !strings.Contains(err.Error(), "connect to the primary") {
		t.Errorf("read only: %v", err)
	}
	d.exec(t, "SET default_transaction_read_only = off")
	d.exec(t, "CREATE ROLE rotate_norights")
	t.Cleanup(func() { _, _ = d.Exec("RESET ROLE; DROP OWNED BY rotate_norights; DROP ROLE rotate_norights") })
	d.exec(t, "GRANT USAGE ON SCHEMA rowseal TO rotate_norights")
	d.exec(t, "GRANT ALL ON ALL TABLES IN SCHEMA rowseal TO rotate_norights")
	d.exec(t, "SET ROLE rotate_norights")
	_, err = rotate.Run(t.Context(), w.config(d), w.rewrap())
	if err == nil || !strings.Contains(err.Error(), `GRANT SELECT, UPDATE ON "people"`) {
		t.Errorf("without rights: %v", err)
	}
	d.exec(t, "RESET ROLE")
	d.exec(t, "CREATE TYPE pair AS (a integer, b integer)")
	d.exec(t, "CREATE TABLE pairs (id pair PRIMARY KEY, name bytea)")
	_, err = rotate.Run(t.Context(), w.config(d), rotate.Job{Kind: rotate.Rewrap, Table: namedTable(t, "pairs")})
	if !errors.Is(err, rotate.ErrNoPrimaryKey) || !strings.Contains(err.Error(), "composite type pair") {
		t.Errorf("composite key: %v", err)
	}
}

// TestOrdersAreCheckedAndKeepWhatOthersOrdered.
func TestOrdersAreCheckedAndKeepWhatOthersOrdered(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 20)
		left, _ := begin(t, w.config(d), w.rewrap(), 1, 1)
		for _, l := range []rotate.Limits{{Share: 7}, {Hours: "foo"}, {RowsPerSecond: -5}} {
			if err := rotate.Command(t.Context(), d.DB, d.dialect, left.ID(), rotate.Order{Limits: &l}); err == nil {
				t.Errorf("%+v is taken", l)
			}
			err := rotate.Change(t.Context(), d.DB, d.dialect, left.ID(), func(o *rotate.Order) { o.Limits = &l })
			if err == nil {
				t.Errorf("%+v is taken", l)
			}
		}
		times := 0
		must(t, rotate.Change(t.Context(), d.DB, d.dialect, left.ID(), func(o *rotate.Order) {
			if times++; times == 1 { // somebody else is faster
				must(t, rotate.Command(t.Context(), d.DB, d.dialect, left.ID(), rotate.Order{Pause: true, By: "ann"}))
			}
			o.Limits = &rotate.Limits{RowsPerSecond: 5}
		}))
		if o := d.status(t, left.ID()).Order; times != 2 || !o.Pause || o.By != "ann" || o.Limits == nil || o.Limits.RowsPerSecond != 5 {
			t.Errorf("after %d times: %+v", times, o)
		}
		if err := rotate.Change(t.Context(), d.DB, d.dialect, 99, func(*rotate.Order) {}); !errors.Is(err, rotate.ErrNoJob) {
			t.Errorf("no such job: %v", err)
		}
	})
}
