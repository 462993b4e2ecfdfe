package plan

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
)

func TestIndexNamesAreTheServers(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	long, wide := strings.Repeat("abcdefghij", 6), strings.Repeat("ünïcödé", 6)
	for _, tt := range []struct {
		table   string
		columns []string
	}{
		{"t", []string{"ssn"}},
		{"t", []string{"org", "ssn"}},
		{"t", []string{"ssn", "ssn", "ssn"}},
		{"Mixed Case", []string{`a"b`, "C"}},
		{long, []string{"ssn"}},
		{"t", []string{long}},
		{long, []string{long, "x"}},
		{long[:40], []string{long[:29], "y"}},
		{wide[:60], []string{"ssn"}},
		{"ü" + wide[:30], []string{wide[:61]}},
		{"t", []string{long, long}},
	} {
		sql := "CREATE TABLE " + quoted(tt.table) + " ("
		var list []string
		for _, c := range tt.columns {
			list = append(list, quoted(c))
		}
		for i, c := range distinctOnly(list) {
			if i > 0 {
				sql += ", "
			}
			sql += c + " text"
		}
		sql += "); CREATE INDEX ON " + quoted(tt.table) + " (" + strings.Join(list, ", ") + ")"
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var want string
		if err := conn.QueryRow(t.Context(), "SELECT relname FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace").Scan(&want); err != nil {
			t.Fatal(err)
		}
		if got := objectName(tt.table, strings.Join(distinct(tt.columns), "_"), "idx"); got != want {
			t.Errorf("%s: %q, the server says %q", sql, got, want)
		}
		if _, err := conn.Exec(t.Context(), "DROP TABLE "+quoted(tt.table)); err != nil {
			t.Fatal(err)
		}
	}
}

func distinctOnly(names []string) (out []string) {
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			out = append(out, n)
		}
		seen[n] = true
	}
	return out
}
