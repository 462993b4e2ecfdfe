package gormplugin

import "testing"

func TestMySQLsTextsThatTheAnalysisTellsApart(t *testing.T) {
	lookup := secretTable(t)
	cases := []struct {
		sql    string
		refuse bool
	}{
		{"SELECT secret FROM `vault` WHERE `id` = ?", false},
		{"INSERT INTO `vault` (`id`,`secret`) VALUES (?,?) ON DUPLICATE KEY UPDATE `secret`=VALUES(`secret`)", false},
		{"INSERT IGNORE INTO vault (secret) VALUES (?)", false},
		{"UPDATE `vault` SET `secret`=? WHERE id = ?", false},
		{"SELECT 1 # secret = 1, it's\n FROM vault", false},
		{"SELECT 1 -- secret = 1, it's\n FROM vault", false},
		{"SELECT 1 --", false},
		{"SELECT 1 /*+ NO_INDEX_MERGE(vault) */ FROM vault", false},
		{`SELECT 1 FROM vault WHERE note = 'a\\'`, false},
		{`SELECT 1 FROM vault WHERE note = 'a\nb''c'`, false},
		{"SELECT 1 FROM vault WHERE note = 0x7661 AND other = 1e5 AND x'61' = b'1'", false},
		{"SELECT note FROM vault WHERE note = _utf8'x'", false},
		{"ANALYZE TABLE vault", false},
		{"SELECT secret FROM vault WHERE id = ? FOR UPDATE", false},
		{"ALTER TABLE vault ADD COLUMN x bigint, ADD FOREIGN KEY (x) REFERENCES other (id) ON UPDATE CASCADE", false},
		{"SELECT 1 FROM my$vault$x WHERE secret = 1", false},

		{"SELECT 1 FROM vault # it's\n WHERE secret = 1 # '", true},
		{"SELECT 1 FROM vault WHERE id = 1--(secret = 1)", true},
		{"SELECT 1 FROM vault WHERE id = 1 --\x01 it's \n AND secret = 1 #'", true},
		{"SELECT 1 FROM vault /*! WHERE id = 1 */", true},
		{"SELECT 1 FROM vault /*M!100100 WHERE id = 1 */", true},
		{"/*!50000 UPDATE vault SET secret = 'x' */", true},
		{`SELECT 1 FROM vault WHERE note = '\' AND secret = 1 AND note = '`, true},
		{`SELECT 1 FROM vault WHERE note = "\" AND secret = 1 AND note = "`, true},
		{`SELECT 1 FROM vault WHERE note = n'\' AND secret = 1 AND note = '`, true},
		{"SELECT 1 FROM vault WHERE note = '\xbf\\\\' AND secret = 1 AND note = '", true},
		{`SELECT 1 FROM "vault" WHERE secret = 1`, true},
		{`SELECT 1 FROM vault WHERE "secret" = 1`, true},
		{`UPDATE vault SET secret = "x"`, true},
		{`UPDATE vault SET secret = 0x78`, true},
		{`UPDATE vault SET secret = x'78'`, true},
		{`UPDATE vault SET secret = _utf8'x'`, true},
		{"UPDATE IGNORE vault SET secret = 'x'", true},
		{"UPDATE LOW_PRIORITY vault SET secret = 'x'", true},
		{"UPDATE other, vault SET vault.secret = 'x'", true},
		{"UPDATE other JOIN vault ON true SET vault.secret = 'x'", true},
		{"INSERT vault (secret) VALUES ('x')", true},
		{"INSERT vault (secret) SELECT name FROM other", true},
		{"INSERT HIGH_PRIORITY vault (secret) SELECT name FROM other", true},
		{"INSERT INTO vault SET secret = 'x'", true},
		{"INSERT INTO vault (secret) VALUE ('x')", true},
		{"INSERT INTO vault (secret) VALUES (?) ON DUPLICATE KEY UPDATE secret = 'x'", true},
		{"INSERT INTO vault (secret) VALUES (?) ON DUPLICATE KEY UPDATE note = VALUES(secret)", true},
		{"INSERT INTO vault (secret) VALUES (?) AS new ON DUPLICATE KEY UPDATE secret = CONCAT(new.secret)", true},
		{"REPLACE INTO vault (secret) VALUES ('x')", true},
		{"LOAD DATA INFILE 'x' INTO TABLE vault", true},
		{"SELECT * FROM {OJ vault LEFT JOIN other ON secret = 1}", true},
		{"PREPARE s FROM 'UPDATE vault SET secret = 1'", true},
		{"EXECUTE IMMEDIATE 'UPDATE vault SET secret = 1'", true},
		{"HANDLER vault OPEN", true},
		{"INSERT INTO vault (secret) VALUES ROW('x')", true},
		{"INSERT INTO vault (secret) VALUES (?), ROW('x')", true},
		{"INSERT INTO vault PARTITION (p0) (secret) VALUES ('x')", true},
		{"INSERT INTO vault (secret) TABLE other", true},
		{"ANALYZE UPDATE vault SET secret = 'x'", true},
		{"ANALYZE FORMAT=JSON INSERT INTO vault (secret) VALUES ('x')", true},
		{"SET STATEMENT max_statement_time = 1 FOR UPDATE vault SET secret = 'x'", true},
		{"SET @x = 1; SET STATEMENT max_statement_time = 1 FOR REPLACE INTO vault (secret) VALUES ('x')", true},
		{"BEGIN NOT ATOMIC UPDATE vault SET secret = 'x'; END", true},
		{"IF true THEN UPDATE vault SET secret = 'x'; END IF", true},
		{"UPDATE (vault) SET secret = 'x'", true},
		{"SELECT @x := secret FROM vault", true},
		{"SELECT secret <=> 'x' FROM vault", true},
	}
	for _, c := range cases {
		if a := analyse(c.sql, dialectOf("mysql"), lookup); (a.err != nil) != c.refuse {
			t.Errorf("%s: %v", c.sql, a.err)
		}
	}
}

func TestMySQLsNamesMayBeginWithADigit(t *testing.T) {
	for text, kind := range map[string]tokenKind{
		"2fa": tokenWord, "2024_people": tokenWord, "my$table": tokenWord, "$x": tokenWord, "1e": tokenNumber,
		"15": tokenNumber, "1.5": tokenNumber, "1e5": tokenNumber, "0xff": tokenNumber, "0b01": tokenNumber, "0xfg": tokenWord,
	} {
		tokens, ok := lex(text, dialectOf("mysql"))
		if !ok || len(tokens) != 1 || tokens[0].kind != kind || tokens[0].text != text {
			t.Errorf("%s: %+v", text, tokens)
		}
	}
}

// FuzzAnalyseMySQL looks for texts that make the analysis panic or go on for
// ever, or that it lets pass unread.
func FuzzAnalyseMySQL(f *testing.F) {
	for _, s := range []string{
		"SELECT `secret` FROM vault # x\n", "/*! x */ vault", `INSERT INTO vault (secret) VALUES (?) ON DUPLICATE KEY UPDATE secret=VALUES(secret)`,
		`'\'`, `"\\"`, "'\xbf\\'", "--", "#", "0x", "1e", "2fa", "$", "{oj", "UPDATE IGNORE vault", "INSERT vault", `_utf8'x'`, "@@x @y := ?",
	} {
		f.Add(s)
	}
	lookup := secretTable(f)
	f.Fuzz(func(t *testing.T, sql string) {
		_, ok := lex(sql, dialectOf("mysql"))
		if a := analyse(sql, dialectOf("mysql"), lookup); !ok && a.sealed && a.err == nil {
			t.Error("an unreadable statement passed")
		}
	})
}
