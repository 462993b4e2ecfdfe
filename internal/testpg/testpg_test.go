package testpg

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestDSNGivesEachTestAnEmptyDatabaseAndDropsIt(t *testing.T) {
	var first string
	t.Run("a test writes", func(t *testing.T) {
		first = DSN(t)
		if err := execute(first, "CREATE TABLE t (x int)"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("another sees nothing of it", func(t *testing.T) {
		second := DSN(t)
		if second == first {
			t.Fatal("two tests share a database")
		}
		if err := execute(second, "SELECT * FROM t"); err == nil || !strings.Contains(err.Error(), "42P01") {
			t.Errorf("the other test's table: %v", err)
		}
	})
	if err := execute(first, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("the first test's database is still there: %v", err)
	}
}

func TestDSNDropsADatabaseInUse(t *testing.T) {
	var dsn string
	t.Run("a test leaves a connection open", func(t *testing.T) {
		dsn = DSN(t)
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE t (x int)"); err != nil {
			t.Fatal(err)
		}
	})
	if err := execute(dsn, "SELECT 1"); err == nil {
		t.Error("the database is still there")
	}
}

func TestDatabasesSortByCodePoint(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var upperFirst bool
	var encoding string
	if err := conn.QueryRow(t.Context(), "SELECT 'Z' < 'a', current_setting('server_encoding')").
		Scan(&upperFirst, &encoding); err != nil {
		t.Fatal(err)
	}
	if !upperFirst || encoding != "UTF8" {
		t.Errorf("code-point order %v, encoding %s", upperFirst, encoding)
	}
}

func TestStartTakesSettings(t *testing.T) {
	server := Start(t, map[string]string{"work_mem": "12MB", "timezone": "Asia/Kolkata"})
	conn, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var got string
	if err := conn.QueryRow(t.Context(), `SELECT concat_ws(' ', current_setting('work_mem'),
		current_setting('timezone'), current_setting('fsync'))`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "12MB Asia/Kolkata off"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplicaFollowsAndIsStoppedFirst(t *testing.T) {
	primary := Start(t, nil)
	replica := Replica(t, primary)
	if err := execute(primary.DSN("postgres"), "CREATE TABLE t AS SELECT 7 AS x"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), replica.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for {
		var there bool
		if err := conn.QueryRow(t.Context(), "SELECT to_regclass('t') IS NOT NULL").Scan(&there); err != nil {
			t.Fatal(err)
		}
		if there {
			break
		}
	}
	var x int
	if err := conn.QueryRow(t.Context(), "SELECT x FROM t").Scan(&x); err != nil || x != 7 {
		t.Errorf("%d, %v", x, err)
	}
	if err := execute(replica.DSN("postgres"), "CREATE TABLE u ()"); err == nil || !strings.Contains(err.Error(), "25006") {
		t.Errorf("writing to the replica: %v", err)
	}
}

func TestWithDatabase(t *testing.T) {
	for _, tt := range []struct{ name, dsn, want string }{
		{"replaces a URL's path", "postgres://u:p@h:1/old?sslmode=disable", "postgres://u:p@h:1/new?sslmode=disable"},
		{"adds a path to a URL", "postgresql://h", "postgresql://h/new"},
		{"overrides a URL's dbname parameter", "postgres://h/?dbname=old&host=/tmp", "postgres://h/new?host=%2Ftmp"},
		{"overrides a keyword string's dbname", "host=h dbname=old", "host=h dbname=old dbname=new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := withDatabase(tt.dsn, "new")
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
			config, err := pgx.ParseConfig(got)
			if err != nil || config.Database != "new" {
				t.Errorf("pgx reads %+v, %v", config, err)
			}
		})
	}
	t.Run("does not quote a password", func(t *testing.T) {
		_, err := withDatabase("postgres://u:secret@h:port/", "new")
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})
}
