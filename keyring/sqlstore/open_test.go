package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
)

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		says string
	}{
		{"no pool", Config{Dialect: SQLite}, "Config.DB is nil"},
		{"no dialect", Config{DB: new(sql.DB)}, "use Postgres, SQLite or MySQL"},
		{"an unknown dialect", Config{DB: new(sql.DB), Dialect: 9}, "Config.Dialect is 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCloseLeavesACallersPoolOpen(t *testing.T) {
	for _, own := range []bool{false, true} {
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "keys.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		s, err := New(Config{DB: db, Dialect: SQLite, CloseDB: own})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Name() != "SQLite table rowseal_keys" {
			t.Errorf("the name is %q", s.Name())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.PingContext(t.Context()); (err != nil) != own {
			t.Errorf("CloseDB %v: the pool says %v", own, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct{ name, connection, says string }{
		{"nothing", "", "names no known product"},
		{"a product that it does not know", "mssql://u:secret@h/d", "names no known product"},
		{"a path alone", "/var/lib/keys.db", "sqlite:///absolute/path"},
		{"a host in place of a path", "sqlite://keys.db", `"keys.db" is taken for a host`},
		{"a SQLite parameter", "sqlite:///x?mode=ro", "takes no parameters"},
		{"a fragment", "sqlite:///x#y", "takes no parameters"},
		{"a directory's name", "sqlite:///tmp/", "names no file"},
		{"no file", "sqlite:", "names no file"},
		{"NUL in a path", "sqlite:///a%00b", "names no file"},
		{"a broken escape", "sqlite:%zz", "escape"},
		{"a broken PostgreSQL URL", "postgres://u:secret@h:port/d", "cannot parse"},
		{"a broken keyword string", "host=h password=secret port=x", "cannot parse"},
		{"a password with a slash", "postgres://u:se/cret@h/d", "cannot parse"},
		{"a broken MySQL URL", "mysql://u:secret@h:port/d", "not a URL"},
		{"a MySQL URL without a host", "mysql://u:secret@/d", "no host"},
		{"a MySQL URL without a database", "mysql://u:secret@h", "no database"},
		{"a MySQL URL with a path", "mysql://u:secret@h/a/b", "no database"},
		{"a MySQL password with a hash", "mysql://u:se#cret@h/d", ""},
		{"a MySQL parameter that is not one", "mysql://u:secret@h/d?timeout=secret", "does not understand"},
		{"a MySQL character set", "mysql://u:secret@h/d?charset=gbk", "the store's to choose"},
		{"a MySQL certificate that is not there", "mysql://u:secret@h/d?tls=secret", "does not understand"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(t.Context(), tt.connection)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, which does not say %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "cret") {
				t.Errorf("%q holds the password", err)
			}
		})
	}
}

func TestOpenUnderstandsPostgreSQLConnectionStrings(t *testing.T) {
	for _, tt := range []struct{ connection, name string }{
		{"postgres://u:secret@db.example:6000/app?sslmode=require", "PostgreSQL db.example:6000, database app"},
		{"postgresql://db.example/app", "PostgreSQL db.example:5432, database app"},
		{"host=db.example port=6000 dbname=app password=secret", "PostgreSQL db.example:6000, database app"},
	} {
		s, err := Open(t.Context(), tt.connection)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name() != tt.name {
			t.Errorf("the name is %q, want %q", s.Name(), tt.name)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASQLiteFile(t *testing.T) {
	t.Run("is made for its owner only, and so are its companions", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a b?#%ü")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		s := initialized(t, "sqlite:my%20keys.db")
		create(t, s, key("a", 1))
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, e := range entries {
			names += e.Name() + " "
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
			}
		}
		if names != "my keys.db my keys.db-shm my keys.db-wal " {
			t.Errorf("the files are %s", names)
		}
	})
	t.Run("is opened as its connections are promised", func(t *testing.T) {
		s := initialized(t, sqliteURL(t))
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000", "secure_delete": "1",
		} {
			var got string
			if err := s.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
			}
		}
	})
}

func TestOpenRefusesASQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	for _, tt := range []struct {
		name    string
		prepare func() error
		says    string
	}{
		{"that others may read", func() error { return os.WriteFile(path, nil, 0o640) }, "chmod 600"},
		{"that is a directory", func() error { return os.Mkdir(path, 0o700) }, "name a file"},
		{"that is no database", func() error { return os.WriteFile(path, []byte(strings.Repeat("x", 4096)), 0o600) }, "from a backup"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.prepare(); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path)
			s, err := Open(t.Context(), "sqlite://"+path)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("in a directory that does not exist", func(t *testing.T) {
		if _, err := Open(t.Context(), "sqlite:///does/not/exist.db"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOpenWaitsForWhoHoldsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(soon(t), "sqlite://"+path)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("it opened, or gave up, at once: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// calls are all methods that need the table.
func calls(s *Store) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"byid": func(ctx context.Context) error { _, err := s.ByID(ctx, []envelope.KeyID{newID()}); return err },
		"latest": func(ctx context.Context) error {
			_, err := s.Latest(ctx, keyring.PurposeTenant, []string{"a"})
			return err
		},
		"create": func(ctx context.Context) error { _, err := s.Create(ctx, []keyring.Record{key("a", 1)}); return err },
		"list": func(ctx context.Context) error {
			_, err := s.List(ctx, keyring.Filter{}, envelope.KeyID{}, 1)
			return err
		},
		"update": func(ctx context.Context) error { _, err := s.Update(ctx, key("a", 1), key("a", 1)); return err },
		"check":  s.Check,
	}
}

func TestAMissingTableSaysWhatToRun(t *testing.T) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			s := open(t, connection(t))
			for op, call := range calls(s) {
				err := call(t.Context())
				var e *Error
				if !errors.Is(err, ErrNoTable) || !errors.As(err, &e) || e.Op != op || !strings.Contains(err.Error(), s.Name()) {
					t.Errorf("%s: %v", op, err)
				}
				wantRemedy(t, err, "run `rowseal init`, or call Store.Init")
			}
		})
	}
}

func TestACancelledContextIsTheError(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for op, call := range calls(s) {
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", op, err)
			}
		}
		if err := s.Init(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("init: %v", err)
		}
		if _, err := s.Now(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("now: %v", err)
		}
	})
}

func TestInitRefusesAStrangersTable(t *testing.T) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			s := open(t, connection(t))
			if product == "PostgreSQL" {
				mustExec(t, s.db, "CREATE SCHEMA rowseal")
			}
			mustExec(t, s.db, "CREATE TABLE "+s.dialect.table+" (id text, parent text, state text)")
			if err := s.Init(t.Context()); err == nil || !strings.Contains(err.Error(), "not a table that Rowseal made") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSchemaMakesTheTable(t *testing.T) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			s := open(t, connection(t))
			dialect := map[string]Dialect{"PostgreSQL": Postgres, "SQLite": SQLite, "MySQL": MySQL}[product]
			for range 2 {
				for _, statement := range dialect.Schema() {
					mustExec(t, s.db, statement)
				}
			}
			create(t, s, key("a", 1))
			if dialect.String() != product {
				t.Errorf("%v is called %v", product, dialect)
			}
		})
	}
	if list, name := Dialect(0).Schema(), Dialect(0).String(); list != nil || name != "Dialect(0)" {
		t.Errorf("the zero Dialect has schema %v and name %s", list, name)
	}
}

func TestAnUnreachablePostgreSQLSaysSo(t *testing.T) {
	s := open(t, "postgres://u:secret@127.0.0.1:1/d?sslmode=disable&connect_timeout=5")
	err := s.Init(t.Context())
	if err == nil || !strings.Contains(err.Error(), "check that the server is up") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestARoleWithoutRights(t *testing.T) {
	s := initialized(t, testpg.DSN(t))
	s.db.SetMaxOpenConns(1) // SET ROLE is the connection's
	role := "rowseal_test_" + newID().String()
	mustExec(t, s.db, "CREATE ROLE "+role)
	t.Cleanup(func() {
		for _, statement := range []string{"RESET ROLE", "DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := s.db.ExecContext(context.Background(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	mustExec(t, s.db, "SET ROLE "+role)
	for op, call := range calls(s) {
		if err := call(t.Context()); err == nil || !strings.Contains(err.Error(), "needs USAGE on schema rowseal") {
			t.Errorf("%s: %v", op, err)
		}
	}
	for _, statement := range []string{
		"RESET ROLE", "GRANT USAGE ON SCHEMA rowseal TO " + role,
		"GRANT SELECT, INSERT, UPDATE ON rowseal.keys TO " + role, "SET ROLE " + role,
	} {
		mustExec(t, s.db, statement)
	}
	for op, call := range calls(s) {
		if err := call(t.Context()); err != nil {
			t.Errorf("with the rights that the error names, %s: %v", op, err)
		}
	}
	if err := s.Init(t.Context()); err != nil {
		t.Errorf("Init where nothing is missing: %v", err)
	}
}

func wantRemedy(t *testing.T, err error, remedy string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Remedy, remedy) {
		t.Errorf("got %v, whose remedy is not %q", err, remedy)
	}
}
