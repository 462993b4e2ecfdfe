package relay_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// tagged is a policy of one table with an array.
func tagged(t testing.TB) *field.Policy {
	t.Helper()
	table, err := field.NewTable(field.TableConfig{
		Name: "patients", Tenant: field.TenantSource{Default: "default"},
		Columns: []field.ColumnConfig{
			{Name: "ssn", Type: typ(t, "text"), Search: field.Search{Equality: true}},
			{Name: "name", Type: typ(t, "text[]")},
			{Name: "age", Type: typ(t, "date[]")},
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

func TestNullIsWhatTheSessionsSettingsSay(t *testing.T) {
	direct, through := sealed(t, &relay.Config{Shared: relay.NewShared(tagged(t), newCipher(t))})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
	for _, c := range []struct{ text, value, state string }{
		{`INSERT INTO patients (id, name) VALUES (1, '{a,NULL}') RETURNING name`, "{a,NULL}", ""},
		{`SELECT count(*) FROM patients WHERE ssn = NULL`, "0", ""},
		{`SET array_nulls TO off`, "", ""},
		{`INSERT INTO patients (id, name) VALUES (2, '{a,NULL}')`, "", "0A000"},
		{`INSERT INTO patients (id, age) VALUES (2, '{NULL}')`, "", "0A000"},
		{`SELECT id FROM patients WHERE ssn = ANY ('{a,NULL}')`, "", "0A000"},
		{`INSERT INTO patients (id, name) VALUES (2, '{a,"NULL"}') RETURNING name`, `{a,"NULL"}`, ""},
		{`INSERT INTO patients (id, ssn) VALUES (3, NULL) RETURNING id`, "3", ""},
		{`SET transform_null_equals TO on`, "", ""},
		{`SELECT count(*) FROM patients WHERE ssn = NULL`, "", "0A000"},
		{`SELECT ssn FROM patients WHERE NULL = id`, "", "0A000"},
		{`SELECT count(*) FROM patients WHERE ssn IS NULL`, "3", ""},
		{`SELECT count(*) FROM plain WHERE id = NULL`, "0", ""},
		{`RESET transform_null_equals`, "", ""},
		{`SELECT count(*) FROM patients WHERE ssn = NULL`, "0", ""},
	} {
		if value, state := tryText(t, conn, c.text); value != c.value || state != c.state {
			t.Errorf("%s gives %q and SQLSTATE %q", c.text, value, state)
		}
	}
	owner := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, owner, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET array_nulls TO off', current_database()); END $$")
	conn = connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
	if _, state := tryText(t, conn, "INSERT INTO patients (id, name) VALUES (4, '{NULL}')"); state != "0A000" {
		t.Errorf("a setting of the database: SQLSTATE %q", state)
	}
}

func TestAPlanDoesNotOutliveTheMeaningOfNull(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol).PgConn()
	if _, err := conn.Prepare(ctx, "st", "SELECT ssn FROM patients WHERE ssn = NULL AND id = $1", nil); err != nil {
		t.Fatal(err)
	}
	if _, state := tryText(t, conn, "SET transform_null_equals TO on"); state != "" {
		t.Fatal(state)
	}
	r := conn.ExecPrepared(ctx, "st", [][]byte{[]byte("1")}, nil, nil).Read()
	if state := stateOf(r.Err); state != "0A000" {
		t.Errorf("SQLSTATE %q", state)
	}
}
