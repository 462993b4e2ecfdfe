package gormplugin

import "testing"

func TestCommentsEndWhereTheDatabaseEndsThem(t *testing.T) {
	cases := []struct {
		name, sql, database string
		refuse              bool
	}{
		{"SQLite's comments do not nest", `/* /* */ UPDATE vault SET secret = 'x' -- */`, "sqlite", true},
		{"SQLite's comments end at the first end", `/* /* */ UPDATE vault SET secret = $1 -- */`, "sqlite", true},
		{"SQLite reads on behind a flat comment", `/* /* */ SELECT secret FROM vault -- */`, "sqlite", false},
		{"PostgreSQL's comments nest", `SELECT 1 /* /* */ secret = 'x' */ FROM vault`, "postgres", false},
		{"elsewhere a nested comment is not understood", `/* /* */ */ SELECT secret FROM vault`, "sqlserver", true},
		{"a carriage return ends PostgreSQL's line comment", "-- x\rUPDATE vault SET secret = 'x'", "postgres", true},
		{"a carriage return does not end SQLite's line comment", "SELECT 1 FROM vault -- x\rWHERE secret = 1", "sqlite", false},
	}
	for _, c := range cases {
		if a := analyse(c.sql, dialectOf(c.database), secretTable(t)); (a.err != nil) != c.refuse {
			t.Errorf("%s: %v", c.name, a.err)
		}
	}
}
