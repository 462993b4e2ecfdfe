package gormplugin

import (
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

func guardedColumn(t *testing.T, table, name string, equality bool) *field.Column {
	t.Helper()
	typ, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	made, err := field.NewTable(field.TableConfig{
		Name: table, RowID: "id", Columns: []field.ColumnConfig{{Name: name, Type: typ, Pad: 16, Mode: envelope.ModeRow, Search: field.Search{Equality: equality}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made.Column(name)
}

func quoted(name string) string { return "`" + name + "`" }

func TestEachDatabaseGetsItsOwnGuard(t *testing.T) {
	c := guardedColumn(t, "users", "email", true)
	gs := guard.Of(c)
	prefix := c.Guard()
	hex := strings.TrimSuffix(guard.Dialect{}.Literal(prefix[:]), "'")
	next := strings.TrimSuffix(guard.Dialect{}.Literal(guard.Successor(prefix[:])), "'")
	base, terms := gs[0].Name("users"), gs[1].Name("users")
	cases := []struct {
		database string
		want     []string
	}{
		{"postgres", []string{
			"ALTER TABLE `users` DROP CONSTRAINT `old`, ADD CONSTRAINT `" + base + "` CHECK (octet_length(`email`) >= 56 AND `email` >= '\\x" + hex + "'::bytea AND `email` < '\\x" + next + "'::bytea), " +
				"ADD CONSTRAINT `" + terms + "` CHECK (octet_length(`email`) >= 56 AND substr(`email`, 8, 1) IN ('\\x39'::bytea, '\\x3b'::bytea))",
		}},
		{"mysql", []string{
			"ALTER TABLE `users` DROP CONSTRAINT `old`, ADD CONSTRAINT `" + base + "` CHECK (octet_length(`email`) >= 56 AND substr(`email`, 1, 6) = x'" + hex + "'), " +
				"ADD CONSTRAINT `" + terms + "` CHECK (octet_length(`email`) >= 56 AND substr(`email`, 8, 1) IN (x'39', x'3b'))",
		}},
		{"sqlite", []string{
			"DROP TRIGGER `old_insert`", "DROP TRIGGER `old_update`",
			"CREATE TRIGGER `" + base + "_insert` BEFORE INSERT ON `users` WHEN NOT (length(NEW.`email`) >= 56 AND substr(NEW.`email`, 1, 6) = x'" + hex +
				"' AND typeof(NEW.`email`) IN ('blob', 'null')) BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: " + base + "'); END",
		}},
	}
	for _, k := range cases {
		got := schemaSQLOf(k.database).replace(quoted, "users", "email", []presentGuard{{Name: "old"}}, gs)
		if len(got) < len(k.want) || !slices.Equal(got[:len(k.want)], k.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", k.database, got, k.want)
		}
		if s := schemaSQLOf(k.database); s.replace(quoted, "users", "email", nil, nil) != nil {
			t.Errorf("%s: statements that change nothing", k.database)
		}
	}
	if schemaSQLOf("sqlserver") != nil {
		t.Error("an unknown database has SQL")
	}
}

func TestTermsAreWhereTheFormatHasThem(t *testing.T) {
	for database, want := range map[string]string{"postgres": "substr(`c`, 9, 16)", "sqlite": "substr(`c`, 9, 16)", "mysql": "`c`(24)"} {
		s := schemaSQLOf(database)
		if got := s.term(quoted("c")); got != want || !strings.HasSuffix(got, s.termMark()) {
			t.Errorf("%s: %s, mark %s", database, got, s.termMark())
		}
	}
}

func TestGuardNamesAreShortStableAndSayWhatIsChecked(t *testing.T) {
	c := guardedColumn(t, "users", "email", true)
	g := guard.Of(c)
	if got, want := g[0].Name("users"), "rowseal_users_email_guard_"; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	long := guardedColumn(t, strings.Repeat("Ünï.code\"", 20), strings.Repeat("colümn", 30), true)
	for _, g := range guard.Of(long) {
		if name := g.Name(long.Table().Name()); len(name) >= 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("%d bytes: %s", len(name), name)
		}
	}
	if n := len(guard.IndexName(strings.Repeat("x", 99), c)); n >= 64 {
		t.Errorf("an index's name has %d bytes", n)
	}
	changed := g[0]
	changed.Prefix = []byte{1, 2, 3}
	if changed.Suffix() == g[0].Suffix() || g[0].Suffix() == g[1].Suffix() {
		t.Error("guards of different content have one name")
	}
	if g[0].Suffix() != guard.Of(guardedColumn(t, "users", "email", false))[0].Suffix() {
		t.Error("search changes the name of the guard that does not look at terms")
	}
}

func TestIndexTextTakesWhatTermsAllow(t *testing.T) {
	cases := []struct {
		idx      schema.Index
		database string
		want     string // "" for refused
	}{
		{schema.Index{}, "postgres", "CREATE INDEX ? ON ? ?"},
		{schema.Index{Class: "UNIQUE", Where: "deleted_at IS NULL"}, "sqlite", "CREATE UNIQUE INDEX ? ON ? ? WHERE deleted_at IS NULL"},
		{schema.Index{Type: "hash"}, "postgres", "CREATE INDEX ? ON ? USING hash ?"},
		{schema.Index{Option: "CONCURRENTLY", Class: "UNIQUE"}, "postgres", "CREATE UNIQUE INDEX CONCURRENTLY ? ON ? ?"},
		{schema.Index{Option: "TABLESPACE fast"}, "postgres", "CREATE INDEX ? ON ? ? TABLESPACE fast"},
		{schema.Index{Class: "FULLTEXT"}, "mysql", ""},
		{schema.Index{Type: "gin"}, "postgres", ""},
		{schema.Index{Type: "btree"}, "sqlite", ""},
	}
	for _, c := range cases {
		if got, err := indexText(&c.idx, c.database); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v", c.idx, got, err)
		}
	}
}
