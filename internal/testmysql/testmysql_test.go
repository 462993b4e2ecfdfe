package testmysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func run(t *testing.T, dsn, statement string) error {
	t.Helper()
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return execute(config, statement)
}

func code(err error) uint16 {
	if failure, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return failure.Number
	}
	return 0
}

func TestDSNGivesEachTestAnEmptyDatabaseAndDropsIt(t *testing.T) {
	var first string
	t.Run("a test writes", func(t *testing.T) {
		first = DSN(t)
		if err := run(t, first, "CREATE TABLE t (x int)"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("another sees nothing of it", func(t *testing.T) {
		second := DSN(t)
		if second == first {
			t.Fatal("two tests share a database")
		}
		if err := run(t, second, "SELECT * FROM t"); code(err) != 1146 {
			t.Errorf("the other test's table: %v", err)
		}
	})
	if err := run(t, first, "SELECT 1"); code(err) != 1049 {
		t.Errorf("the first test's database is still there: %v", err)
	}
}

func TestDSNTakesParameters(t *testing.T) {
	db, err := sql.Open("mysql", DSN(t, "parseTime=true", "clientFoundRows=true"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var now time.Time
	if err := db.QueryRowContext(ctx, "SELECT NOW()").Scan(&now); err != nil {
		t.Errorf("a time is not read as one: %v", err)
	}
}

func TestURLNamesTheSameServer(t *testing.T) {
	u := URL(t)
	if !strings.HasPrefix(u, "mysql://") || !strings.Contains(u, "/rowseal_test_") {
		t.Errorf("got %q", u)
	}
}
