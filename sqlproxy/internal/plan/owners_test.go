package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// ownerTypes are definitions of the column that says whose a row is; ok where its text stays what a statement writes.
var ownerTypes = []struct {
	name, definition string
	ok               bool
}{
	{"t_text", "text", true},
	{"t_varchar", "varchar", true},
	{"t_short", "varchar(3)", true}, // sealing looks at the length
	{"t_char", "char(5)", true},
	{"t_int", "int", true},
	{"t_uuid", "uuid", true},
	{"t_same", "text COLLATE \"C\"", true},
	{"t_domain", "owner_text", true},
	{"t_bpchar", "bpchar", false},
	{"t_fixed", "owner_char", false},
	{"t_bool", "bool", false},
	{"t_date", "date", false},
	{"t_numeric", "numeric", false},
	{"t_loose", "text COLLATE loose", false},
	{"t_generated", "text GENERATED ALWAYS AS (note) STORED", false},
}

// TestOwnersAreTextsThatStayAsWritten wants writes and look-ups refused where the row may hold another text than the statement has.
func TestOwnersAreTextsThatStayAsWritten(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	schema := `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN owner_text AS text; CREATE DOMAIN owner_char AS char(4);`
	var tables []*field.Table
	for _, o := range ownerTypes {
		schema += fmt.Sprintf("CREATE TABLE %s (id int PRIMARY KEY, note text, c %s, v bytea);", o.name, o.definition)
		table, err := field.NewTable(field.TableConfig{
			Name: o.name, Tenant: field.TenantSource{Column: "c"}, Columns: []field.ColumnConfig{wColumn(t, "v", "text", wEqual)},
		})
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	policy, err := field.NewPolicy(tables...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	snapshot, err := catalog.Load(t.Context(), wQuerier{conn}, policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range ownerTypes {
		for _, sql := range []string{
			"UPDATE %s SET v = 'x' WHERE id = 1 AND c = '1'", "INSERT INTO %s (id, c, v) VALUES (1, '1', 'x')", "COPY %s (id, c, v) FROM STDIN",
			"UPDATE %s SET c = '1' WHERE c = '1'", "SELECT id FROM %s WHERE c = '1' AND v = 'x'",
			"INSERT INTO %s (id, c, v) SELECT * FROM (VALUES (1, '1', 'x')) AS x (i, c, v)",
		} {
			sql = fmt.Sprintf(sql, o.name)
			if o.definition == "int" || o.definition == "uuid" || strings.HasPrefix(o.name, "t_char") || o.name == "t_domain" {
				if strings.Contains(sql, "SELECT *") {
					continue // a source of VALUES has a type of its own
				}
			}
			c := Context{Catalog: snapshot, Policy: policy, Path: []string{"pg_catalog", "public"}}
			_, err := Analyze(&c, sql)
			var r *Refusal
			if o.ok == (err != nil) || err != nil && !errors.As(err, &r) {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	c := Context{Catalog: snapshot, Policy: policy, Path: []string{"pg_catalog", "public"}}
	if _, err := Analyze(&c, "UPDATE t_generated SET note = 'x' WHERE id = 1"); err == nil {
		t.Error("a row gets another tenant by what that is computed from")
	}
}
