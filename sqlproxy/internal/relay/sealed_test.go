package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

func typ(t testing.TB, s string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// patients is a policy of one table.
func patients(t testing.TB) *field.Policy {
	t.Helper()
	table, err := field.NewTable(field.TableConfig{
		Name: "patients", Tenant: field.TenantSource{Default: "default"},
		Columns: []field.ColumnConfig{
			{Name: "ssn", Type: typ(t, "text"), Search: field.Search{Equality: true}},
			{Name: "age", Type: typ(t, "int4"), Search: field.Search{Equality: true}},
			{Name: "name", Type: typ(t, "varchar(45)")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := field.NewPolicy(table)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func newCipher(t testing.TB) *field.Cipher {
	t.Helper()
	k, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const patientsDDL = `CREATE TABLE patients (id int PRIMARY KEY, ssn bytea, age bytea, name bytea, note text);
CREATE TABLE plain (id int PRIMARY KEY, note text)`

// sealed gives a database with the table, and connection strings direct and through a proxy.
func sealed(t testing.TB, cfg *relay.Config) (direct, through string) {
	t.Helper()
	direct = testpg.DSN(t)
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), patientsDDL)
	if cfg.Shared == nil {
		cfg.Shared = relay.NewShared(patients(t), newCipher(t))
	}
	return direct, proxy(t, direct, cfg)
}

func mustExec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func wantState(t testing.TB, err error, state string) {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != state {
		t.Errorf("error is %v, want SQLSTATE %s", err, state)
	}
}

func TestSealedValuesGoBothWaysInEveryMode(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeExec)
	for i, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			conn := connect(t, through, mode)
			ssn := fmt.Sprintf("canary-%04d", i)
			mustExec(t, conn, "INSERT INTO patients (id, ssn, age, name, note) VALUES ($1, $2, $3, $4, $5)", i, ssn, 40+i, "Nora", "plain")
			var gotSSN, name, note string
			var age int
			for range 3 {
				if err := conn.QueryRow(ctx, "SELECT ssn, age, name, note FROM patients WHERE ssn = $1", ssn).
					Scan(&gotSSN, &age, &name, &note); err != nil {
					t.Fatal(err)
				}
				if gotSSN != ssn || age != 40+i || name != "Nora" || note != "plain" {
					t.Fatalf("got %q, %d, %q, %q", gotSSN, age, name, note)
				}
			}
			var stored []byte
			if err := raw.QueryRow(ctx, "SELECT ssn FROM patients WHERE id = $1", i).Scan(&stored); err != nil {
				t.Fatal(err)
			}
			if len(stored) < 40 || stored[0] < 0x80 {
				t.Fatalf("the table holds %x", stored)
			}
			_, err := conn.Exec(ctx, "SELECT * FROM patients ORDER BY ssn")
			wantState(t, err, "0A000")
			mustExec(t, conn, "SELECT 1")
		})
	}
}
