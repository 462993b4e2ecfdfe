package rotate_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/rotate"
)

func rowOf(p person) field.Row { return field.Row{Tenant: p.tenant} }

func TestRowKeysMoveToTheNewTenantKeyAndEverythingOpensWithoutTheOldOne(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 700)
		before := d.sealed(t)
		w.rotateTenants(t)

		cfg := w.config(d)
		cfg.PageSize = 100
		counted(t, w.run(t, cfg), counts{"rows": 700, "values": 1400, "rewrapped": 700, "current": 700})
		after := d.sealed(t)
		for id, old := range before {
			sameButKey(t, old[0], after[id][0])
			if !bytes.Equal(old[1], after[id][1]) || !bytes.Equal(old[2], after[id][2]) {
				t.Fatalf("row %d: a value that was not due was changed", id)
			}
		}
		// Values under tenant keys stay with the key that sealed them, so for
		// these the old keys are needed: take them away from the check.
		d.exec(t, "UPDATE people SET ssn = name")
		if n := w.destroyRetired(t); n != 3 {
			t.Fatalf("%d keys destroyed, want 3", n)
		}
		w.ring = w.newRing(t)
		for id, v := range d.sealed(t) {
			var got string
			must(t, w.cipher(t).Open(t.Context(), &got, w.table.Column("name"), rowOf(people[id-1]), v[0]))
			if got != people[id-1].name {
				t.Fatalf("row %d opens to %q", id, got)
			}
		}
	})
}

// sameButKey checks that a value was given another key reference and that
// nothing else of it changed.
func sameButKey(t *testing.T, old, new []byte) {
	t.Helper()
	a, err := envelope.Parse(old)
	must(t, err)
	b, err := envelope.Parse(new)
	must(t, err)
	const fixed, tail = 8, 12 + 16 // header before the key reference; nonce and tag
	n := a.Len() + tail
	switch {
	case !bytes.Equal(old[:fixed], new[:fixed]):
		t.Fatal("the header before the key reference changed")
	case !bytes.Equal(old[len(old)-n:], new[len(new)-n:]):
		t.Fatal("nonce, ciphertext or tag changed")
	case bytes.Equal(a.Wrapped(), b.Wrapped()):
		t.Fatal("the wrapped key is the old one")
	}
}

func TestKMSWrappedRowKeysMoveToTheNewRootKeyWithOneCallForEachDistinctKey(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 300)
		before := d.sealed(t)
		distinct := map[string]bool{}
		for _, v := range before {
			p, err := envelope.Parse(v[2])
			must(t, err)
			distinct[string(p.Wrapped())] = true
		}
		if len(distinct) < 3 || len(distinct) >= 300 {
			t.Fatalf("%d distinct wrapped keys in 300 values: the test needs shared keys", len(distinct))
		}
		root := w.rotateRoot(t)
		calls := w.calls.Calls()
		cfg := w.config(d)
		cfg.PageSize = 7 // shared keys cross pages
		cfg.Workers = 3  // and workers
		counted(t, w.run(t, cfg), counts{"rows": 300, "values": 600, "rewrapped": 300, "current": 300})
		if c := w.calls.Calls().Sub(calls); c.Rewrap != int64(len(distinct)) || c.Wrap+c.Generate != 0 {
			t.Fatalf("calls %+v for %d distinct keys", c, len(distinct))
		}
		for id, v := range d.sealed(t) {
			sameButKey(t, before[id][2], v[2])
			p, err := envelope.Parse(v[2])
			must(t, err)
			if string(p.RootKey()) != root {
				t.Fatalf("row %d names root key %s, want %s", id, p.RootKey(), root)
			}
		}
		w.opens(t, d, people)
	})
}

func TestAJobThatWasStoppedGoesOnWhereItEnded(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 500)
		w.rotateRoot(t)
		ctx, cancel := ctxOf(t)
		rewraps := 0
		w.calls.Fail = func(op string) error {
			if op == "rewrap" {
				if rewraps++; rewraps == 30 {
					cancel() // far from the beginning, and from the end
				}
			}
			return nil
		}
		cfg := w.config(d)
		cfg.PageSize, cfg.Concurrency = 50, 1
		first, err := rotate.Run(ctx, cfg, w.rewrap())
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got error %v, want context.Canceled", err)
		}
		done := first.Counts["rows"]
		if done == 0 || done >= 500 || done%50 != 0 || first.Counts["rewrapped"] != done || first.Joined {
			t.Fatalf("stopped: %+v", first)
		}
		w.opens(t, d, people)
		w.calls.Fail = nil
		second, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
		must(t, err)
		if !second.Joined || second.ID != first.ID || second.Ended.IsZero() {
			t.Fatalf("the second run did not join the first: %+v", second)
		}
		counted(t, second.Counts, counts{"rows": 500, "values": 1000, "rewrapped": 500, "current": 500})
		w.opens(t, d, people)
		third, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
		must(t, err)
		if third.Joined || third.ID == second.ID {
			t.Fatalf("a job that was done was joined: %+v", third)
		}
		counted(t, third.Counts, counts{"rows": 500, "values": 1000, "current": 1000})
	})
}

func TestRowsThatAreWrittenMeanwhileKeepWhatWasWritten(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 400)
		w.rotateTenants(t)
		stop := make(chan struct{})
		var writer sync.WaitGroup
		var writes atomic.Int64
		writing := make(chan struct{})
		writer.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := 1 + rand.IntN(400)
				people[id-1].name = fmt.Sprintf("Written %d", n)
				sealed := w.seal(t, people[id-1:id])[0][0]
				if _, err := d.Exec(d.sql("UPDATE people SET name = $1 WHERE id = $2"), sealed, id); err != nil {
					t.Error(err)
					return
				}
				if writes.Add(1) == 5 {
					close(writing)
				}
			}
		})
		<-writing
		cfg := w.config(d)
		cfg.PageSize = 20
		cfg.Keyring = w.newRing(t)
		for range 3 {
			if _, err := rotate.Run(t.Context(), cfg, w.rewrap()); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		writer.Wait()
		w.opens(t, d, people)
	})
}

func TestARowChangedBetweenReadingAndWritingIsReadAgainAndNotOverwritten(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		people := w.people(t, d, 10)
		root := w.rotateRoot(t)
		people[4] = person{tenant: people[4].tenant, name: "New", ssn: people[4].ssn, memo: "changed meanwhile"}
		old := w.ring
		var once sync.Once
		w.calls.Fail = func(op string) error {
			if op == "rewrap" { // the page is read, and not yet written
				once.Do(func() {
					sealed := w.seal(t, people[4:5])[0]
					d.exec(t, "UPDATE people SET name = $1, memo = $2 WHERE id = 5", sealed[0], sealed[2])
					d.exec(t, "DELETE FROM people WHERE id = 10")
				})
			}
			return nil
		}
		cfg := w.config(d)
		cfg.Keyring = old
		// The changed and the deleted row are read again; the changed one's memo is under the new root key already.
		counted(t, w.run(t, cfg), counts{"rows": 10, "reread": 2, "values": 18, "rewrapped": 8, "current": 10})
		w.opens(t, d, people[:9])
		for id, v := range d.sealed(t) {
			p, err := envelope.Parse(v[2])
			must(t, err)
			if string(p.RootKey()) != root {
				t.Fatalf("row %d was left under %s", id, p.RootKey())
			}
		}
	})
}

func TestTablesWithTenantKeysAreNeverWritten(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	text, err := codec.ParseType("text")
	must(t, err)
	table, err := field.NewTable(field.TableConfig{Name: "accounts", Columns: []field.ColumnConfig{{Name: "iban", Type: text}}})
	must(t, err)
	d.exec(t, "CREATE TABLE accounts (id int PRIMARY KEY, iban bytea)")
	for i := range 100 {
		sealed, err := w.cipher(t).Seal(t.Context(), nil, table.Column("iban"), field.Row{Tenant: fmt.Sprint("t", i%9)}, fmt.Sprint("IBAN ", i))
		must(t, err)
		d.exec(t, "INSERT INTO accounts VALUES ($1, $2)", i, sealed)
	}
	versions := func() (s string) {
		must(t, d.QueryRow("SELECT string_agg(format('%s %s %s', xmin, ctid, md5(iban)), ',' ORDER BY id) FROM accounts").Scan(&s))
		return s
	}
	before := versions()
	w.rotateRoot(t)
	w.rotateTenants(t)
	keys, err := rotate.RewrapKeys(t.Context(), rotate.KeysConfig{Keyring: w.ring})
	must(t, err)
	w.table = table
	counted(t, w.run(t, w.config(d)), counts{})
	if keys.Rewrapped != 9 || keys.Current != 9 {
		t.Fatalf("keys %+v", keys)
	}
	if versions() != before {
		t.Fatal("rows of a table with tenant keys were written")
	}
}

func TestOnlyTheRowKeyColumnsOfATableAreWritten(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	w.people(t, d, 50)
	d.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.ssn IS DISTINCT FROM OLD.ssn OR NEW.memo IS DISTINCT FROM OLD.memo THEN RAISE 'written'; END IF;
			RETURN NEW;
		END $$`)
	d.exec(t, "CREATE TRIGGER refuse BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION refuse()")
	w.rotateTenants(t)
	counted(t, w.run(t, w.config(d)), counts{"rows": 50, "values": 100, "rewrapped": 50, "current": 50})
}

func TestValuesThatCannotBeRewrappedAreReportedAndTheRestIsDone(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 20)
		all := d.sealed(t)
		flipped := bytes.Clone(all[3][0])
		flipped[8+8+12+12] ^= 1 // within the wrapped row key
		unknown := bytes.Clone(all[4][0])
		unknown[8] ^= 1 // within the key id
		d.exec(t, "UPDATE people SET name = $1 WHERE id = 2", []byte("in clear"))
		d.exec(t, "UPDATE people SET name = $1 WHERE id = 3", flipped)
		d.exec(t, "UPDATE people SET name = $1 WHERE id = 4", unknown)
		d.exec(t, "UPDATE people SET name = memo WHERE id = 5")
		d.exec(t, "UPDATE people SET name = NULL WHERE id = 6")
		w.rotateTenants(t)
		before := d.sealed(t)

		result, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
		if !errors.Is(err, rotate.ErrIncomplete) {
			t.Fatalf("got error %v", err)
		}
		counted(t, result.Counts, counts{"rows": 20, "values": 39, "rewrapped": 15, "current": 20, "failed": 4})
		if len(result.Findings) != 4 {
			t.Fatalf("got %+v", result)
		}
		for i, want := range []string{rotate.FindingUnsealed, rotate.FindingUndecryptable, rotate.FindingUnknownKey, rotate.FindingForeign} {
			f := result.Findings[i]
			if f.Kind != want || !strings.HasPrefix(f.String(), fmt.Sprintf("people.name, row id=%d: ", i+2)) {
				t.Errorf("finding %d is %+v, want %v", i, f, want)
			}
			if strings.Contains(f.String(), "in clear") || strings.Contains(err.Error(), "in clear") {
				t.Errorf("the finding shows the value: %v", f)
			}
			if after := d.sealed(t); !bytes.Equal(before[i+2][0], after[i+2][0]) {
				t.Errorf("row %d was changed", i+2)
			}
		}
	})
}

func TestRowsOfADestroyedTenantAreCountedAndDoNotStopTheWalk(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 600) // tenant-0 has more rows than failures in a row are borne
		d.exec(t, "UPDATE people SET id = -id WHERE tenant = 'tenant-0'")
		for _, r := range w.records(t) {
			if r.Tenant == "tenant-0" {
				w.store.Edit(r.ID, func(r *keyring.Record) { r.State, r.Wraps = keyring.Destroyed, nil })
			}
		}
		w.rotateTenants(t)
		counted(t, w.run(t, w.config(d)), counts{"rows": 600, "values": 1200, "destroyed": 200, "rewrapped": 400, "current": 600})
	})
}

func TestAnOutageThatOutlastsThePatienceEndsTheRun(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	people := make([]person, 300)
	for i := range people {
		people[i] = personNumber(i)
		people[i].tenant = fmt.Sprint("own-", i) // so that no key is shared
	}
	d.exec(t, "CREATE TABLE people (id int PRIMARY KEY, name bytea, memo bytea)")
	for i, s := range w.seal(t, people) {
		d.exec(t, "INSERT INTO people VALUES ($1, $2, $3)", i, s[0], s[2])
	}
	w.rotateRoot(t)
	w.calls.Fail = func(op string) error {
		if op == "rewrap" {
			return &kms.Error{Provider: "test", Op: op, Kind: kms.ErrUnavailable}
		}
		return nil
	}
	before := w.calls.Calls()
	cfg := w.config(d)
	cfg.Patience = time.Nanosecond
	result, err := rotate.Run(t.Context(), cfg, w.rewrap())
	if !errors.Is(err, kms.ErrUnavailable) || result.Counts["rewrapped"] != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	if c := w.calls.Calls().Sub(before); c.Rewrap > 80 {
		t.Fatalf("%d calls during an outage", c.Rewrap)
	}
}

func TestRunRefusesWhatItCannotDo(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		for name, c := range map[string]struct {
			schema string
			want   error
			text   string
		}{
			"no such table":       {"SELECT 1", rotate.ErrNoTable, "people"},
			"no such column":      {"CREATE TABLE people (id int PRIMARY KEY, name " + d.bytea + ")", rotate.ErrNoColumn, "people.memo"},
			"a view has no key":   {"CREATE VIEW people AS SELECT 1 AS id, " + nullOf(d) + " AS name, " + nullOf(d) + " AS memo", rotate.ErrNoPrimaryKey, "PRIMARY KEY"},
			"a sealed key column": {"CREATE TABLE people (name " + d.keyBytes() + " NOT NULL PRIMARY KEY, memo " + d.bytea + ")", rotate.ErrNoPrimaryKey, "people.name is sealed"},
		} {
			t.Run(name, func(t *testing.T) {
				d.exec(t, c.schema)
				defer dropPeople(d.DB)
				_, err := rotate.Run(t.Context(), w.config(d), w.rewrap())
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Fatalf("got %v, want %v with %q", err, c.want, c.text)
				}
			})
		}
	})
}

// keyBytes is a type of bytes that may be a key.
func (d db) keyBytes() string {
	if d.dialect == rotate.MySQL {
		return "varbinary(500)"
	}
	return d.bytea
}

func nullOf(d db) string {
	if d.dialect == rotate.MySQL {
		return "CAST(NULL AS binary(10))"
	}
	return "CAST(NULL AS " + d.bytea + ")"
}

func dropPeople(d *sql.DB) {
	_, _ = d.Exec("DROP TABLE people")
	_, _ = d.Exec("DROP VIEW people")
}

func TestPostgreSQLRefusesColumnsAndKeysOfOtherTypes(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	for schema, want := range map[string]error{
		"CREATE TABLE people (id int PRIMARY KEY, name text, memo bytea)":              rotate.ErrNoColumn,
		"CREATE TABLE people (id int, name bytea, memo bytea) PARTITION BY RANGE (id)": rotate.ErrNoPrimaryKey,
		"CREATE TABLE people (id int[] PRIMARY KEY, name bytea, memo bytea)":           rotate.ErrNoPrimaryKey,
	} {
		d.exec(t, schema)
		if _, err := rotate.Run(t.Context(), w.config(d), w.rewrap()); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", schema, err, want)
		}
		dropPeople(d.DB)
	}
}

func TestConfigIsChecked(t *testing.T) {
	d := openPostgres(t)
	w := newWorld(t)
	for want, change := range map[string]func(*rotate.Config){
		"needs DB and Keyring":           func(c *rotate.Config) { c.Keyring = nil },
		"PageSize is 5001":               func(c *rotate.Config) { c.PageSize = 5001 },
		"Workers is 65":                  func(c *rotate.Config) { c.Workers = 65 },
		"Lease is 1s":                    func(c *rotate.Config) { c.Lease = time.Second },
		"Patience is -1s":                func(c *rotate.Config) { c.Patience = -time.Second },
		"Concurrency is 5000":            func(c *rotate.Config) { c.Concurrency = 5000 },
		"SkipTriggers is for PostgreSQL": func(c *rotate.Config) { c.Dialect, c.SkipTriggers = rotate.SQLite, true },
		"unknown dialect 0":              func(c *rotate.Config) { c.Dialect = 0 },
	} {
		cfg := w.config(d)
		change(&cfg)
		if _, err := rotate.Run(t.Context(), cfg, w.rewrap()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
