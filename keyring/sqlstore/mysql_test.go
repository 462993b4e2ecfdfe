package sqlstore

import (
	"context"
	"crypto/fips140"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/keyring"
)

// withParameter adds a parameter to a URL.
func withParameter(t testing.TB, connection, name, value string) string {
	t.Helper()
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal("the test server's connection string is not a URL")
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestOpenUnderstandsMySQLConnectionStrings(t *testing.T) {
	for _, tt := range []struct{ connection, name, user, password string }{
		{"mysql://u:secret@db.example:6000/app?tls=true", "MySQL db.example:6000, database app", "u", "secret"},
		{"mysql://u:s%2F%40%3A%3F%23%28cret@db.example/app", "MySQL db.example:3306, database app", "u", "s/@:?#(cret"},
		{"mysql://[::1]/a%20b", "MySQL [::1]:3306, database a b", "", ""},
		{"mysql://u@localhost/app?socket=%2Frun%2Fmy.sock", "MySQL /run/my.sock, database app", "u", ""},
	} {
		s := open(t, tt.connection)
		if s.Name() != tt.name {
			t.Errorf("the name is %q, want %q", s.Name(), tt.name)
		}
		config, err := mySQLConfig(tt.connection)
		if err != nil || config.User != tt.user || config.Passwd != tt.password {
			t.Errorf("%s: account %q %q, %v", tt.name, config.User, config.Passwd, err)
		}
		if strings.Contains(tt.connection, "tls") && (config.TLS == nil || config.TLS.ServerName != "db.example") {
			t.Errorf("%s: TLS is %+v", tt.name, config.TLS)
		}
	}
}

func TestAMySQLPasswordIsInNoError(t *testing.T) {
	u, err := url.Parse(testmysql.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("rowseal_nobody", "secret")
	for _, connection := range []string{u.String(), "mysql://u:secret@127.0.0.1:1/d?timeout=5s"} {
		s := open(t, connection)
		for op, call := range calls(s) {
			if err := call(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
}

func TestAMySQLConnectionThatWouldLoseKeysIsRefused(t *testing.T) {
	connection := testmysql.URL(t)
	s := initialized(t, connection)
	for _, tt := range []struct{ parameter, value, says string }{
		{"autocommit", "0", "autocommit=1"},
		{"sql_mode", "''", "STRICT_ALL_TABLES"},
		{"character_set_client", "latin1", "charset=utf8mb4"},
		{"character_set_connection", "latin1", "charset=utf8mb4"},
	} {
		unfit, err := Open(t.Context(), withParameter(t, connection, tt.parameter, tt.value))
		if err != nil {
			t.Fatal(err)
		}
		wantRemedy(t, unfit.Check(t.Context()), tt.says)
		if err := unfit.Close(); err != nil { // it would hold a lock on the table
			t.Error(err)
		}
	}
	mustExec(t, s.db, "SET STATEMENT lock_wait_timeout = 20 FOR ALTER TABLE rowseal_keys ENGINE=Aria")
	wantRemedy(t, s.Check(t.Context()), "ENGINE=InnoDB")
	wantRemedy(t, s.Init(t.Context()), "ENGINE=InnoDB")
}

func TestMySQLWhateverTheConnectionSays(t *testing.T) {
	for _, tt := range []struct{ parameter, value string }{
		{"interpolateParams", "true"},
		{"sql_mode", "'STRICT_ALL_TABLES,ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,TRADITIONAL'"},
		{"tx_isolation", "'READ-UNCOMMITTED'"},
		{"tx_isolation", "'SERIALIZABLE'"},
		{"time_zone", "'+05:30'"},
		{"collation_connection", "utf8mb4_unicode_ci"},
		{"clientFoundRows", "false"},
		{"max_statement_time", "60"},
	} {
		t.Run(tt.parameter+"="+tt.value, func(t *testing.T) {
			connection := testmysql.URL(t)
			plain := initialized(t, connection)
			s := open(t, withParameter(t, connection, tt.parameter, tt.value))
			if err := s.Init(t.Context()); err != nil {
				t.Fatal(err)
			}
			tenant := "t \u00e9 \U0001F511 ' \" \\ "
			stored := create(t, s, key(tenant, 1))[0]
			for _, reader := range []*Store{s, plain} {
				got, err := reader.Latest(t.Context(), keyring.PurposeTenant, []string{tenant, strings.TrimSpace(tenant), strings.ToUpper(tenant)})
				if err != nil || len(got) != 1 {
					t.Fatalf("%d keys, %v", len(got), err)
				}
				sameRecord(t, got[0], stored)
				listed, err := reader.List(t.Context(), keyring.Filter{Tenant: tenant}, envelope.KeyID{}, 10)
				if err != nil || len(listed) != 1 {
					t.Fatalf("%d keys listed, %v", len(listed), err)
				}
			}
			for range 3 { // the same change again is a change
				if done, err := s.Update(t.Context(), stored, stored); !done || err != nil {
					t.Errorf("update: %v, %v", done, err)
				}
			}
			now, err := plain.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if age := now.Sub(stored.CreatedAt); age < 0 || age.Minutes() > 1 {
				t.Errorf("created %v ago", age)
			}
		})
	}
}

func TestMySQLServersErrorsHoldNoValues(t *testing.T) {
	s := initialized(t, testmysql.URL(t))
	create(t, s, key("a", 1))
	_, err := s.db.ExecContext(t.Context(), "INSERT INTO rowseal_keys SELECT * FROM rowseal_keys")
	if err == nil || !strings.Contains(err.Error(), "Duplicate entry '") {
		t.Fatalf("the server says %v", err)
	}
	err = s.fail("create", err)
	failure, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok || failure.Number != 1062 || strings.Contains(err.Error(), "entry") {
		t.Errorf("got %v", err)
	}
}

func TestMySQLsPassingErrorsAreTriedAgain(t *testing.T) {
	for code, want := range map[uint16]bool{1213: true, 1205: true, 1020: true, 1146: false, 1062: false} {
		if got := transientMySQL(fmt.Errorf("x: %w", &mysql.MySQLError{Number: code})); got != want {
			t.Errorf("error %d is transient: %v", code, got)
		}
	}
	if transientMySQL(context.Canceled) {
		t.Error("a cancelled context is transient")
	}
}

// TestCreateOutlastsADeadlock lets a transaction and Create take two places in
// opposite orders, so that the server must end one of them.
func TestCreateOutlastsADeadlock(t *testing.T) {
	s := initialized(t, testmysql.URL(t))
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	write := func(r keyring.Record) error {
		w, err := encodeRecord(&r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(soon(t), s.dialect.create, jsonText(t, []newRow{w}))
		return err
	}
	b := key("b", 1)
	if err := write(b); err != nil {
		t.Fatal(err)
	}
	// More rows make the transaction the dearer one, so that Create is ended.
	for i := range 20 {
		if err := write(key(fmt.Sprintf("z %d", i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Create(soon(t), []keyring.Record{key("a", 1), key("b", 1)})
		ended <- err
	}()
	await(t, "Create to wait", func() bool {
		var name string
		var waits int
		err := s.db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").Scan(&name, &waits)
		return err == nil && waits > 0
	})
	if err := write(key("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	sameRecord(t, one(t, s, b.ID), b)
}

func TestAMySQLAccountWithoutRights(t *testing.T) {
	connection := testmysql.URL(t)
	s := initialized(t, connection)
	account := "rs_" + newID().String()
	mustExec(t, s.db, "CREATE USER "+account+"@'%'")
	t.Cleanup(func() {
		if _, err := s.db.ExecContext(context.Background(), "DROP USER "+account+"@'%'"); err != nil {
			t.Error(err)
		}
	})
	var database string
	if err := s.db.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&database); err != nil {
		t.Fatal(err)
	}
	mustExec(t, s.db, "CREATE TABLE other (x int)")
	mustExec(t, s.db, "GRANT SELECT ON "+database+".other TO "+account+"@'%'")
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(account)
	less := open(t, u.String())
	for op, call := range calls(less) {
		if err := call(t.Context()); err == nil || !strings.Contains(err.Error(), "needs SELECT, INSERT and UPDATE") {
			t.Errorf("%s: %v", op, err)
		}
	}
	mustExec(t, s.db, "GRANT SELECT, INSERT, UPDATE ON "+database+".rowseal_keys TO "+account+"@'%'")
	less = open(t, u.String())
	for op, call := range calls(less) {
		if err := call(t.Context()); err != nil {
			t.Errorf("with the rights that the error names, %s: %v", op, err)
		}
	}
	if err := less.Init(t.Context()); err != nil {
		t.Errorf("Init where nothing is missing: %v", err)
	}
}

func TestAMySQLKeyIsMadeBesideTheApplicationsTransaction(t *testing.T) {
	connection := testmysql.URL(t)
	s := initialized(t, connection)
	config, err := mySQLConfig(connection)
	if err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	app := sql.OpenDB(connector)
	defer app.Close()
	tx, err := app.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	r := key("a", 1)
	if _, err := s.Create(soon(t), []keyring.Record{r}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	sameRecord(t, one(t, s, r.ID), r)
}

// TestAMySQLPasswordWhereSHA1IsForbidden runs in both worlds: where only
// approved cryptography may be used, the driver would panic.
func TestAMySQLPasswordWhereSHA1IsForbidden(t *testing.T) {
	connection := testmysql.URL(t)
	s := initialized(t, connection)
	account := "rs_" + newID().String()
	mustExec(t, s.db, "CREATE USER "+account+"@'%' IDENTIFIED BY 'secret'")
	t.Cleanup(func() {
		if _, err := s.db.ExecContext(context.Background(), "DROP USER "+account+"@'%'"); err != nil {
			t.Error(err)
		}
	})
	mustExec(t, s.db, "GRANT ALL ON *.* TO "+account+"@'%'")
	u, err := url.Parse(connection)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(account, "secret")
	err = open(t, u.String()).Check(t.Context())
	if !fips140.Enforced() {
		if err != nil {
			t.Error(err)
		}
		return
	}
	wantRemedy(t, err, "forbids SHA-1")
}
