package rotate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// TestMoveTypes takes values of every logical type from clear to sealed and back: the server's binary form of each is
// the same afterwards.
func TestMoveTypes(t *testing.T) {
	m := newMover(t, openPostgres(t))
	m.search = field.Search{}
	m.db.exec(t, "CREATE DOMAIN address AS varchar(40) CHECK (value LIKE '%@%')")
	for _, c := range []struct{ typ, column, values string }{
		{"text", "text", `''|ann|Žofie 🜁|a''b\c`},
		{"varchar(40)", "varchar(40)", `x|1234567890123456789012345678901234567890`},
		{"varchar(40)", "address", "a@b"},
		{"char(5)", "char(5)", "ab|abcde|''"},
		{"bytea", "bytea", `\x00ff|\x`},
		{"bool", "boolean", "t|f"},
		{"int2", "smallint", "-32768|0|32767"},
		{"int4", "integer", "-2147483648|7"},
		{"int8", "bigint", "-9223372036854775808|9223372036854775807"},
		{"float4", "real", "1.1|-0|NaN|Infinity|1e-40"},
		{"float8", "double precision", "0.1|-0|NaN|-Infinity|5e-324"},
		{"numeric", "numeric", "0|1.00|-123456789.000100|1e100|NaN|0.0000"},
		{"numeric(8,2)", "numeric(8,2)", "1|123456.78|-0.5"},
		{"date", "date", "2024-02-29|0044-03-15 BC|infinity|-infinity"},
		{"time", "time", "00:00|23:59:59.999999|24:00"},
		{"timestamp", "timestamp", "2024-01-02 03:04:05.678901|infinity"},
		{"timestamptz", "timestamptz", "2024-01-02 03:04:05.6+05:30|-infinity|4714-11-24 00:00:00+00 BC"},
		{"interval", "interval", "1 year -2 mons 3 days -04:05:06.789|0"},
		{"uuid", "uuid", "11111111-2222-3333-4444-555555555555"},
		{"json", "json", `{"b": 1,  "a":[1, 2]}|null|"x"`},
		{"jsonb", "jsonb", `{"b": 1.0,  "a":[1, 2, {"ž": null}]}|[]|1e3`},
		{"inet", "inet", "10.0.0.1|10.0.0.0/8|::1|2001:db8::/32"},
		{"text[]", "text[]", `{}|{a,NULL,"NULL","x,y"}|{{a,b},{c,d}}|[0:1]={a,b}`},
		{"int4[]", "int[]", "{1,2,NULL}"},
		{"numeric[]", "numeric(8,2)[]", "{1.5,2.25}"},
		{"timestamptz[]", "timestamptz[]", `{"2024-01-02 03:04:05+00"}`},
		{"uuid[]", "uuid[]", "{11111111-2222-3333-4444-555555555555}"},
		{"bytea[]", "bytea[]", `{"\\x00ff",NULL}`},
		{"jsonb[]", "jsonb[]", `{"{\"a\": 1}"}`},
		{"bool[]", "boolean[]", "{t,f}"},
	} {
		t.Run(c.column, func(t *testing.T) {
			m.t, m.typ = t, c.typ
			m.db.exec(t, "DROP TABLE IF EXISTS people; CREATE TABLE people (id bigserial PRIMARY KEY, tenant text DEFAULT 'a', email "+c.column+")")
			values := strings.Split(c.values, "|")
			for _, v := range values {
				m.db.exec(t, "INSERT INTO people (email) VALUES ($1::text::"+c.column+")", strings.ReplaceAll(v, "''", ""))
			}
			m.db.exec(t, "INSERT INTO people (email) VALUES (NULL)")
			send := m.text("SELECT typsend::regproc::text FROM pg_type WHERE oid = (SELECT CASE typtype WHEN 'd' THEN typbasetype ELSE oid END FROM pg_type WHERE oid = (SELECT atttypid FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname = 'email'))")
			sent := "SELECT string_agg(coalesce(encode(" + send + "(email), 'hex'), 'NULL'), ' ' ORDER BY id) FROM people"
			before := m.text(sent)

			must(t, m.move("both").Prepare(t.Context()))
			n := int64(len(values))
			counted(t, m.fill(rotate.Seal, "sealed"), counts{"rows": n + 1, "values": n, "sealed": n, "emptied": n})
			if got := m.text("SELECT count(email)::text || ' ' || count(email_sealed) FROM people"); got != fmt.Sprintf("0 %d", n) {
				t.Fatalf("%s values are clear and sealed, want 0 and %d", got, n)
			}
			counted(t, m.fill(rotate.Seal, "sealed"), counts{"rows": n + 1, "values": n, "current": n})
			counted(t, m.fill(rotate.Unseal, "both"), counts{"rows": n + 1, "values": n, "unsealed": n})
			if after := m.text(sent); after != before {
				t.Errorf("the values became\n%s, were\n%s", after, before)
			}
			counted(t, m.fill(rotate.Seal, "both"), counts{"rows": n + 1, "values": n, "current": n})
		})
	}
}
