package gormplugin

import "testing"

// Statements written by hand that would put something unsealed into a sealed
// column, and their harmless neighbours.
func TestNoStatementWritesWhatIsNotSealed(t *testing.T) {
	cases := []struct {
		name, sql, database string
		refuse              bool
	}{
		{"a plain table's column of the same name", `INSERT INTO vault (id, secret) SELECT id, secret FROM old`, "sqlite", true},
		{"a plain table beside the sealed one", `INSERT INTO vault (id, secret) SELECT vault.id, secret FROM vault JOIN old ON old.id = vault.id`, "sqlite", true},
		{"a plain table qualified", `INSERT INTO vault (id, secret) SELECT o.id, o.secret FROM old o`, "sqlite", true},
		{"a plain table in single quotes", `INSERT INTO vault (id, secret) SELECT id, secret FROM 'old'`, "sqlite", true},
		{"a sub-query's column", `INSERT INTO vault (id, secret) SELECT o.id, o.secret FROM (SELECT * FROM old) o`, "postgres", true},
		{"a CTE with the table's name", `WITH vault AS (SELECT * FROM old) INSERT INTO vault (id, secret) SELECT id, secret FROM vault`, "postgres", true},
		{"a second SELECT", `INSERT INTO vault (id, secret) SELECT id, secret FROM vault UNION ALL SELECT id, word FROM old`, "postgres", true},
		{"the sealed table's own rows", `INSERT INTO vault (id, secret) SELECT id + 1, secret FROM vault`, "sqlite", false},
		{"a table that is rebuilt", "INSERT INTO `vault__temp` (id, secret) SELECT id, secret FROM `vault`", "sqlite", false},

		{"an UPDATE in single quotes", `UPDATE 'vault' SET secret = 'x'`, "sqlite", true},
		{"an INSERT in single quotes", `INSERT INTO 'vault' (id, secret) VALUES (1, 'x')`, "sqlite", true},
		{"a schema's table in single quotes", `UPDATE main.'vault' SET secret = 'x'`, "sqlite", true},
		{"an UPDATE OR … in single quotes", `UPDATE OR IGNORE 'vault' SET secret = 'x'`, "sqlite", true},
		{"a FROM list in single quotes", `SELECT secret FROM old, 'vault'`, "sqlite", true},
		{"a literal that is the table's name", `SELECT id FROM vault WHERE kind IN ('x', 'vault')`, "sqlite", false},

		{"an UPDATE of several tables", `UPDATE old o, vault v SET v.secret = 'x'`, "mysql", true},
		{"an UPDATE of joined tables", `UPDATE old o JOIN vault v ON v.id = o.id SET v.secret = 'x'`, "mysql", true},
		{"an upsert beside a table's name", `INSERT INTO vault (id, kind) VALUES (1, 2) ON DUPLICATE KEY UPDATE kind = 1, secret = 'x'`, "mysql", true},

		{"an INSERT inside WITH", `WITH x AS (INSERT INTO vault VALUES (1, 'x') RETURNING id) SELECT id FROM x`, "postgres", true},
		{"an UPDATE inside WITH", `WITH x AS (UPDATE vault SET secret = 'x' RETURNING id) SELECT id FROM x`, "postgres", true},
		{"a lock", `SELECT id FROM vault FOR NO KEY UPDATE`, "postgres", false},
		{"a foreign key", `ALTER TABLE vault ADD FOREIGN KEY (id) REFERENCES old (id) ON DELETE CASCADE ON UPDATE CASCADE`, "postgres", false},

		{"excluded as an alias", `UPDATE vault SET secret = "excluded".secret FROM old AS "excluded"`, "sqlite", true},
		{"excluded outside of an upsert", `UPDATE vault SET secret = excluded.secret`, "sqlite", true},
		{"excluded in an upsert", `INSERT INTO vault (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET secret = excluded.secret`, "sqlite", false},
	}
	for _, c := range cases {
		if a := analyse(c.sql, dialectOf(c.database), secretTable(t)); (a.err != nil) != c.refuse {
			t.Errorf("%s: %v", c.name, a.err)
		}
	}
}
