package sqlstore

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
)

func TestAKeyIsMadeBesideTheApplicationsTransactionAndOutlivesItsRollback(t *testing.T) {
	dsn := testpg.DSN(t)
	for _, tt := range []struct{ product, driver, app, store string }{
		{"PostgreSQL, one database", "pgx", dsn, dsn},
		{"SQLite, a file of its own", "sqlite", filepath.Join(t.TempDir(), "app.db"), sqliteURL(t)},
	} {
		t.Run(tt.product, func(t *testing.T) {
			app, err := sql.Open(tt.driver, tt.app)
			if err != nil {
				t.Fatal(err)
			}
			defer app.Close()
			app.SetMaxOpenConns(1)
			mustExec(t, app, "CREATE TABLE people (name text)")
			s := initialized(t, tt.store)

			tx, err := app.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO people VALUES ('x')"); err != nil {
				t.Fatal(err)
			}
			r := key("a", 1)
			if _, err := s.Create(soon(t), []keyring.Record{r}); err != nil {
				t.Fatal(err)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			var people int
			if err := app.QueryRowContext(t.Context(), "SELECT count(*) FROM people").Scan(&people); err != nil || people != 0 {
				t.Fatalf("the application's rollback left %d rows, %v", people, err)
			}
			sameRecord(t, one(t, s, r.ID), r)
		})
	}
}

// TestWritesWaitForTheDisk runs where commits wait for nothing by default and
// the log's writer sleeps, so that only what waited has left the buffers.
func TestWritesWaitForTheDisk(t *testing.T) {
	server := testpg.Start(t, map[string]string{"synchronous_commit": "off", "wal_writer_delay": "10s", "autovacuum": "off"})
	s := initialized(t, server.DSN("postgres"))
	behind := func() bool {
		var is bool
		if err := s.db.QueryRowContext(t.Context(),
			"SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()").Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	r := create(t, s, key("warm", 1))[0]
	mustExec(t, s.db, "CREATE TABLE other (x int)")
	for _, tt := range []struct {
		name  string
		write func()
		left  bool
	}{
		{"a write of somebody else does not", func() { mustExec(t, s.db, "INSERT INTO other VALUES (1)") }, true},
		{"Create does", func() { create(t, s, key("a", 1)) }, false},
		{"Update does", func() {
			if done, err := s.Update(t.Context(), r, with(keyring.Retired, r)); !done || err != nil {
				t.Fatal(done, err)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The server writes a record of its own now and then; one such
			// moment must not decide.
			var got bool
			for range 3 {
				mustExec(t, s.db, "CHECKPOINT") // empties the buffers
				tt.write()
				if got = behind(); got == tt.left {
					return
				}
				r = one(t, s, r.ID)
			}
			t.Errorf("left in the buffers: %v, want %v", got, tt.left)
		})
	}
	var setting string
	if err := s.db.QueryRowContext(t.Context(), "SHOW synchronous_commit").Scan(&setting); err != nil || setting != "off" {
		t.Errorf("the connection's synchronous_commit is %s afterwards, %v", setting, err)
	}
}

func TestTheClockIsTheDatabases(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		before := time.Now().Add(-time.Minute)
		now, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Both run on this machine; a wrong unit or epoch is off by far more.
		if now.Before(before) || now.After(time.Now().Add(time.Minute)) || now.Location() != time.UTC {
			t.Errorf("the database's clock says %v", now)
		}
	})
}

func TestAReadOnlyServerIsNamed(t *testing.T) {
	dsn := testpg.DSN(t)
	initialized(t, dsn)
	s := open(t, withOption(t, dsn, "default_transaction_read_only=on"))
	_, err := s.Create(t.Context(), []keyring.Record{key("a", 1)})
	wantRemedy(t, err, "connect to that one")
	if _, err := s.ByID(t.Context(), []envelope.KeyID{newID()}); err != nil {
		t.Errorf("reading: %v", err)
	}
}

// TestCreateTakesPlacesInOneOrder lets a writer of place a and then b meet a
// Create of b and a. It waits for a and must not hold b meanwhile.
func TestCreateTakesPlacesInOneOrder(t *testing.T) {
	s := initialized(t, testpg.DSN(t))
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	write := func(r keyring.Record) {
		w, err := encodeRecord(&r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(soon(t), s.dialect.create, jsonText(t, []newRow{w})); err != nil {
			t.Fatalf("%v: %v", &r, err)
		}
	}
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL lock_timeout = '500ms'"); err != nil { // half of deadlock_timeout
		t.Fatal(err)
	}
	a, b := key("a", 1), key("b", 1)
	write(a)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Create(soon(t), []keyring.Record{key("b", 1), key("a", 1)})
		ended <- err
	}()
	await(t, "Create to wait", func() bool {
		var waits bool
		err := s.db.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
		return err == nil && waits
	})
	write(b)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, r := range []keyring.Record{a, b} {
		sameRecord(t, one(t, s, r.ID), r)
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for ctx := soon(t); !is(); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
