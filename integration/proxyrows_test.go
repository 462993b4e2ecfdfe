package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// valuesShapes write several rows from one VALUES.
var valuesShapes = []shape{
	{sql: "UPDATE users SET ssn = v.ssn, name = v.name, note = v.note FROM (VALUES (1, 'canary-v-1', 'canaryVa', 'n1'), (2, 'canary-v-2', NULL, 'n2'), (9, 'canary-v-3', 'canaryVb', 'n3')) AS v(id, ssn, name, note) WHERE users.id = v.id"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES ($1::int, $2::text), ($3, $4)) AS v(id, ssn) WHERE users.id = v.id RETURNING users.id, users.ssn", args: args("1", "canary-v-4", "2", "canary-v-5")},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES ($1::int, $2), ($3::int, $4)) AS v(id, ssn) WHERE users.id = v.id", args: args("1", "canary-v-6", "2", nil)},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES ($1, $2)) AS v(id, ssn) WHERE users.id = v.id::int", args: args("1", "canary-v-7")},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-8')) AS v(id, ssn) WHERE users.id = v.id RETURNING *"},
	{sql: "UPDATE users u SET ssn = v.ssn FROM (VALUES (1, 'canary-ssn-1', 'same'), (2, 'canary-v-9', 'other')) AS v(id, ssn, note) WHERE u.id = v.id AND u.ssn IS DISTINCT FROM v.ssn RETURNING u.id, v.ssn, v.note"},
	{sql: "UPDATE users u SET name = v.name FROM (VALUES ('x', 'canaryAdaTwo')) AS v(old, name) WHERE u.note = 'first'"},
	{sql: "UPDATE users u SET name = COALESCE(v.name, u.name), ssn = CASE WHEN v.id = 1 THEN v.ssn ELSE u.ssn END FROM (VALUES (1, 'canary-v-10', NULL), (2, 'canary-v-11', 'canaryVc')) AS v(id, ssn, name) WHERE u.id = v.id"},
	{sql: "UPDATE users SET dob = v.dob, num = v.num, salary = v.salary, doc = v.doc, tags = v.tags FROM (VALUES (1, '1987-06-10'::date, 42424210, 13579.30, '{\"canary\": 7}'::jsonb, '{canaryT,u}'::text[]), (2, '1987-06-11', 42424211, 13579, NULL, NULL)) AS v(id, dob, num, salary, doc, tags) WHERE users.id = v.id"},
	{sql: "UPDATE users SET dob = v.dob::date, num = v.num::int FROM (VALUES (1, '1987-06-12', '42424212'), (2, $1, $2)) AS v(id, dob, num) WHERE users.id = v.id", args: args("1987-06-13", "42424213")},
	{sql: "UPDATE users SET dob = v.dob FROM (VALUES (1, '1987-06-12')) AS v(id, dob) WHERE users.id = v.id", refused: "42804"},
	{sql: "UPDATE users SET name = v.name FROM (VALUES (1, 'canary name that is far too long for a varchar(45) column')) AS v(id, name) WHERE users.id = v.id"},
	{sql: "UPDATE users SET num = v.num FROM (VALUES (1, 4242424242424242)) AS v(id, num) WHERE users.id = v.id"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-ssn-2')) AS v(id, ssn) WHERE users.id = v.id"}, // 23505
	{sql: "UPDATE users SET bio = v.bio FROM (VALUES (1, 'canary-bio-v1'), (2, 'canary-bio-v2')) AS v(id, bio) WHERE users.id = v.id RETURNING users.bio"},
	{sql: "UPDATE users SET bio = v.bio FROM (VALUES ('first', 'canary-bio-v3')) AS v(note, bio) WHERE users.note = v.note", refused: "0A000", hint: "bio"},
	{sql: "UPDATE users SET bio = v.bio FROM (VALUES (1, 'canary-bio-v3')) AS v(id, bio), (VALUES (1)) AS w(id) WHERE users.id = w.id", refused: "0A000", hint: "bio"},
	{sql: "UPDATE users SET bio = v.bio FROM (VALUES (1, 'canary-bio-v4')) AS v(id, bio), plain p WHERE users.id = v.id"},
	{sql: "UPDATE cards SET number = v.n, label = v.l FROM (VALUES (30, 'canary-6020', 'a'), (31, 'canary-6021', 'b')) AS v(id, n, l) WHERE cards.id = v.id"},
	{sql: "UPDATE cards SET number = v.n FROM (VALUES ($1::int, $2::text), ($3, $4)) AS v(id, n) WHERE cards.id = v.id RETURNING v.n, cards.number", args: args("30", "canary-6022", "31", "canary-6023")},
	{sql: "UPDATE cards SET number = v.n FROM (VALUES ('visa', 'canary-6024')) AS v(label, n) WHERE cards.label = v.label", refused: "0A000", hint: "number"},
	{sql: "UPDATE patients SET ssn = v.ssn, note = v.note FROM (VALUES (20, 'north', 'canary-pat-v1', 'canary-note-v1'), (22, 'south', 'canary-pat-v2', NULL)) AS v(id, clinic, ssn, note) WHERE patients.id = v.id AND patients.clinic = v.clinic"},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES ($1::int, $2, $3), ($4, $5, $6)) AS v(id, clinic, ssn) WHERE p.id = v.id AND p.clinic = v.clinic RETURNING p.id, p.clinic, p.ssn", args: args("20", "north", "canary-pat-v3", "22", "south", "canary-pat-v4")},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (20, $1, $2)) AS v(id, clinic, ssn) WHERE p.id = v.id AND p.clinic = v.clinic", args: args(nil, "canary-pat-v5")},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (20, 'south', 'canary-pat-v6')) AS v(id, clinic, ssn) WHERE p.id = v.id", refused: "0A000", hint: "tenant"},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (20, 'canary-pat-v7')) AS v(id, ssn) WHERE p.id = v.id AND p.clinic = 'north'"},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (20, 'canary-pat-v8')) AS v(id, ssn) WHERE p.id = v.id", setup: []string{"SET LOCAL rowseal.tenant = 'north'"}},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (22, 'canary-pat-v8')) AS v(id, ssn) WHERE p.id = v.id", setup: []string{"SET LOCAL rowseal.tenant = 'north'"}, refused: "42501", hint: "another tenant"},
	{sql: "UPDATE patients p SET ssn = v.ssn FROM (VALUES (22, 'south', 'canary-pat-v8')) AS v(id, clinic, ssn) WHERE p.id = v.id AND p.clinic = v.clinic", setup: []string{"SET LOCAL rowseal.tenant = 'north'"}, refused: "42501"},
	{sql: "UPDATE v_users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-12')) AS v(id, ssn) WHERE v_users.id = v.id"},
	{sql: "UPDATE users SET ssn = v.ssn, note = v.ssn FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn, name = v.ssn FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = upper(v.ssn) FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, upper('canary-v-13'))) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id AND v.ssn LIKE 'canary%'", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id RETURNING length(v.ssn)", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id RETURNING v", refused: "0A000"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-13') ORDER BY 2) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-v-13') UNION ALL VALUES (2, 'canary-v-14')) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET ssn = v.ssn FROM plain p, LATERAL (VALUES (1, 'canary-v-13')) AS v(id, ssn) WHERE users.id = v.id", refused: "0A000", hint: "ssn"},
	{sql: "UPDATE users SET tags = v.t FROM (VALUES (1, ARRAY['canary-v-13'])) AS v(id, t) WHERE users.id = v.id", refused: "0A000", hint: "tags"},

	{sql: "WITH v(id, ssn) AS (VALUES (1, 'canary-w-1'), (2, $1)) UPDATE users SET ssn = v.ssn FROM v WHERE users.id = v.id", args: args("canary-w-2")},
	{sql: "WITH v(id, ssn) AS (VALUES (50, 'canary-w-3'), (51, $1)) INSERT INTO users (id, ssn) SELECT id, ssn FROM v", args: args("canary-w-4")},
	{sql: "WITH v(id, ssn) AS (VALUES (1, 'canary-w-5')), w AS (UPDATE users SET ssn = v.ssn FROM v WHERE users.id = v.id RETURNING users.id) SELECT w.id, v.ssn FROM w, v"},
	{sql: "WITH v(id, ssn) AS (VALUES (1, 'canary-w-6'), (50, $1)), w AS (UPDATE users SET ssn = v.ssn FROM v WHERE users.id = v.id RETURNING users.id) INSERT INTO users (id, ssn) SELECT v.id, v.ssn FROM v WHERE NOT EXISTS (SELECT 1 FROM w WHERE w.id = v.id)", args: args("canary-w-7")},
	{sql: "WITH v(id, bio) AS (VALUES (1, 'canary-w-6'), (50, $1)), w AS (UPDATE users SET bio = v.bio FROM v WHERE users.id = v.id RETURNING users.id) INSERT INTO users (id, bio) SELECT v.id, v.bio FROM v WHERE NOT EXISTS (SELECT 1 FROM w WHERE w.id = v.id)", args: args("canary-w-7"), refused: "0A000", hint: "bio"},
	{sql: "UPDATE users u SET name = v.name, ssn = v.ssn FROM (VALUES (1, 'canaryWa', 'canary-w-8'::varchar)) AS v(id, name, ssn) WHERE u.id = v.id RETURNING v.name, u.name, v.ssn, u.ssn"},
	{sql: "WITH w AS (UPDATE users SET ssn = v.ssn FROM (VALUES (1, 'canary-w-5')) AS v(id, ssn) WHERE users.id = v.id RETURNING users.id, users.ssn) SELECT * FROM w"},
	{sql: "INSERT INTO users (id, ssn, note) SELECT v.id, v.ssn, v.note FROM (VALUES (50, 'canary-i-1', 'a'), (51, $1, 'b')) AS v(id, ssn, note) RETURNING id, ssn", args: args("canary-i-2")},
	{sql: "INSERT INTO users (id, ssn) SELECT * FROM (VALUES (50, 'canary-i-3'), (51, NULL)) AS v"},
	{sql: "INSERT INTO users (id, dob) SELECT v.id, v.d::date FROM (VALUES (50, '1987-07-01'), (51, $1)) AS v(id, d)", args: args("1987-07-02")},
	{sql: "INSERT INTO users (id, bio) SELECT v.id, v.b FROM (VALUES (1, 'canary-i-4'), (50, 'canary-i-5')) AS v(id, b) WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = v.id)"},
	{sql: "INSERT INTO users (id, bio) SELECT v.id + p.id, v.b FROM (VALUES (50, 'canary-i-5')) AS v(id, b), plain p", refused: "0A000", hint: "bio"},
	{sql: "INSERT INTO users (id, ssn) SELECT v.id + p.id, v.s FROM (VALUES (50, 'canary-i-5')) AS v(id, s), plain p WHERE p.id = 1"},
	{sql: "INSERT INTO cards (id, number) SELECT v.id, v.n FROM (VALUES (50, 'canary-6030'), (51, 'canary-6031')) AS v(id, n)"},
	{sql: "INSERT INTO cards (id, number) SELECT v.id + 1, v.n FROM (VALUES (50, 'canary-6030')) AS v(id, n)", refused: "0A000", hint: "id"},
	{sql: "INSERT INTO patients (id, clinic, ssn, note) SELECT v.* FROM (VALUES (50, 'north', 'canary-pat-i1', 'canary-note-i1'), (51, $1, $2, NULL)) AS v(id, clinic, ssn, note)", args: args("south", "canary-pat-i2")},
	{sql: "INSERT INTO patients (id, clinic, ssn) SELECT v.id, 'north', v.ssn FROM (VALUES (50, 'canary-pat-i3')) AS v(id, ssn)"},
	{sql: "INSERT INTO patients (id, ssn) SELECT v.id, v.ssn FROM (VALUES (50, 'canary-pat-i3')) AS v(id, ssn)", refused: "0A000", hint: "tenant"},
	{sql: "INSERT INTO users (id, ssn) SELECT v.id, v.ssn FROM (VALUES (1, 'canary-i-6'), (50, 'canary-i-7')) AS v(id, ssn) ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn RETURNING id, ssn"},
	{sql: "INSERT INTO patients (id, clinic, ssn) SELECT v.id, v.clinic, v.ssn FROM (VALUES (20, 'north', 'canary-pat-i4'), (50, 'south', 'canary-pat-i5')) AS v(id, clinic, ssn) ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn"},
	{sql: "INSERT INTO users (id, ssn) SELECT DISTINCT v.id, v.ssn FROM (VALUES (50, 'canary-i-7')) AS v(id, ssn)", refused: "0A000", hint: "DISTINCT"},

	{sql: "MERGE INTO users t USING (VALUES (1, 'canary-m-1'), (50, 'canary-m-2')) AS s(id, ssn) ON t.id = s.id WHEN MATCHED THEN UPDATE SET ssn = s.ssn WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (s.id, s.ssn)"},
	{sql: "MERGE INTO users t USING (VALUES ($1::int, $2::text), ($3, $4)) AS s(id, ssn) ON t.id = s.id WHEN MATCHED AND t.ssn IS DISTINCT FROM s.ssn THEN UPDATE SET ssn = s.ssn WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (s.id, s.ssn)", args: args("1", "canary-m-3", "50", "canary-m-4")},
	{sql: "MERGE INTO users t USING (VALUES (1, 'canary-m-5'), (50, 'canary-m-6')) AS s(id, bio) ON t.id = s.id WHEN MATCHED THEN UPDATE SET bio = s.bio WHEN NOT MATCHED THEN INSERT (id, bio) VALUES (s.id, s.bio)"},
	{sql: "MERGE INTO users t USING (VALUES ('first', 'canary-m-6')) AS s(note, bio) ON t.note = s.note WHEN MATCHED THEN UPDATE SET bio = s.bio", refused: "0A000", hint: "bio"},
	{sql: "MERGE INTO cards t USING (VALUES (30, 'canary-6040'), (50, 'canary-6041')) AS s(id, n) ON t.id = s.id WHEN MATCHED THEN UPDATE SET number = s.n WHEN NOT MATCHED THEN INSERT (id, number) VALUES (s.id, s.n)"},
	{sql: "MERGE INTO patients t USING (VALUES (20, 'north', 'canary-pat-m1'), (50, 'south', 'canary-pat-m2')) AS s(id, clinic, ssn) ON t.id = s.id AND t.clinic = s.clinic WHEN MATCHED THEN UPDATE SET ssn = s.ssn WHEN NOT MATCHED THEN INSERT (id, clinic, ssn) VALUES (s.id, s.clinic, s.ssn)"},
	{sql: "MERGE INTO patients t USING (VALUES (20, 'north', 'canary-pat-m1')) AS s(id, clinic, ssn) ON t.id = s.id WHEN MATCHED THEN UPDATE SET ssn = s.ssn", refused: "0A000", hint: "tenant"},
	{sql: "WITH s(id, ssn) AS (VALUES (1, 'canary-m-7')) MERGE INTO users t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET ssn = s.ssn"},
	{sql: "MERGE INTO users t USING (VALUES (50, 'canary-m-8')) AS s(id, ssn) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (s.id, upper(s.ssn))", refused: "0A000", hint: "ssn"},
}

// unnestShapes write several rows from arrays.
var unnestShapes = []shape{
	{sql: "INSERT INTO users (id, ssn) SELECT * FROM unnest($1::int[], $2::text[])", args: args("{50,51,52}", `{canary-u-1,NULL,"canary \"u\", 2"}`)},
	{sql: "INSERT INTO users (id, ssn, name, dob, num) SELECT i, s, n, d, x FROM unnest($1::int[], $2::text[], $3::varchar[], $4::date[], $5::bigint[]) AS u(i, s, n, d, x) RETURNING id, ssn", args: args("{50,51}", "{canary-u-3,canary-u-4}", "{canaryUa,canaryUb}", "{1987-08-01,1987-08-02}", "{42424220,42424221}")},
	{sql: "INSERT INTO users (id, dob) SELECT i, d::date FROM unnest($1::int[], $2::text[]) AS u(i, d)", args: args("{50,51}", `{1987-08-03,"1987-08-04"}`)},
	{sql: "INSERT INTO users (id, dob) SELECT i, d FROM unnest($1::int[], $2::text[]) AS u(i, d)", args: args("{50}", "{1987-08-03}"), refused: "42804"},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest('{50,51}'::int[], '{canary-u-5,canary-u-6}'::text[]) AS u(x, y)"},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest('{50,51,52}'::int[], '{canary-u-7}'::text[]) AS u(x, y)"},
	{sql: "INSERT INTO users (id, ssn) SELECT n + 50, y FROM unnest($1::text[]) WITH ORDINALITY AS u(y, n)", args: args("{canary-u-8,canary-u-9}")},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{}", "{}")},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{50}", nil)},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y) ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn", args: args("{1,50}", "{canary-u-10,canary-u-11}")},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y) ON CONFLICT DO NOTHING RETURNING *", args: args("{1,50}", "{canary-u-10,canary-u-11}")},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{50,51}", "{{canary-u-12},{canary-u-13}}"), refused: "0A000", hint: "dimensions"},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{50}", "{canary-u-12")},
	{sql: "INSERT INTO users (id, name) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{50}", "{canary name that is far too long for a varchar(45) column}")},
	{sql: "INSERT INTO users (id, num) SELECT x, y FROM unnest($1::int[], $2::bigint[]) AS u(x, y)", args: args("{50}", "{4242424242424242}")},
	{sql: "INSERT INTO users (id, bio) SELECT x, y FROM unnest($1::int[], $2::text[]) AS u(x, y)", args: args("{50,51}", "{canary-u-14,canary-u-15}")},
	{sql: "INSERT INTO users (id, bio) SELECT x + p.id, y FROM unnest($1::int[], $2::text[]) AS u(x, y), plain p", args: args("{50}", "{canary-u-14}"), refused: "0A000", hint: "bio"},
	{sql: "INSERT INTO cards (id, number) SELECT * FROM unnest($1::int[], $2::text[])", args: args("{50,51}", "{canary-6050,canary-6051}")},
	{sql: "INSERT INTO cards (id, number) SELECT * FROM unnest($1::int[], $2::text[])", args: args("{50,NULL}", "{canary-6050,canary-6051}")}, // 23502
	{sql: "INSERT INTO patients (id, clinic, ssn, note) SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[])", args: args("{50,51}", "{north,south}", "{canary-pat-u1,canary-pat-u2}", "{canary-note-u1,NULL}")},
	{sql: "INSERT INTO patients (id, clinic, ssn) SELECT i, c, s FROM unnest($1::int[], $2::text[], $3::text[]) AS u(i, c, s)", args: args("{50,51}", "{north}", "{canary-pat-u1,canary-pat-u2}"), refused: "0A000", hint: "tenant"},
	{sql: "INSERT INTO patients (id, clinic, ssn) SELECT i, c, s FROM unnest($1::int[], $2::text[], $3::text[]) AS u(i, c, s)", args: args("{50,51}", "{north,south}", "{canary-pat-u1,canary-pat-u2}"), setup: []string{"SET LOCAL rowseal.tenant = 'north'"}, refused: "42501"},
	{sql: "INSERT INTO patients (id, clinic, ssn) SELECT i, $3, s FROM unnest($1::int[], $2::text[]) AS u(i, s)", args: args("{50,51}", "{canary-pat-u1,canary-pat-u2}", "north")},
	{sql: "UPDATE users SET ssn = u.ssn FROM unnest($1::int[], $2::text[]) AS u(id, ssn) WHERE users.id = u.id RETURNING users.id, users.ssn, u.ssn AS given", args: args("{1,2,9}", "{canary-u-16,canary-u-17,canary-u-18}")},
	{sql: "UPDATE users SET bio = u.bio FROM unnest($1::int[], $2::text[]) AS u(id, bio) WHERE users.id = u.id", args: args("{1,2}", "{canary-u-19,NULL}")},
	{sql: "UPDATE users SET bio = u.bio FROM unnest($1::int[], $2::text[]) AS u(id, bio)", args: args("{1}", "{canary-u-19}"), refused: "0A000", hint: "bio"},
	{sql: "UPDATE patients p SET ssn = u.ssn FROM unnest($1::int[], $2::text[], $3::text[]) AS u(id, clinic, ssn) WHERE p.id = u.id AND p.clinic = u.clinic", args: args("{20,21,22}", "{north,NULL,south}", "{canary-pat-u3,canary-pat-u4,canary-pat-u5}")},
	{sql: "UPDATE cards SET number = u.n FROM unnest($1::int[], $2::text[]) AS u(id, n) WHERE cards.id = u.id", args: args("{30,31}", "{canary-6060,canary-6061}")},
	{sql: "UPDATE users SET ssn = u.ssn FROM unnest($1::int[], $2::text[]) AS u(id, ssn) WHERE users.id = u.id AND cardinality($2::text[]) > 0", args: args("{1}", "{canary-u-20}"), refused: "0A000", hint: "ssn"},
	{sql: "MERGE INTO users t USING unnest($1::int[], $2::text[]) AS s(id, ssn) ON t.id = s.id WHEN MATCHED THEN UPDATE SET ssn = s.ssn WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (s.id, s.ssn)", args: args("{1,50}", "{canary-u-21,canary-u-22}")},
	{sql: "MERGE INTO cards t USING unnest($1::int[], $2::text[]) AS s(id, n) ON t.id = s.id WHEN MATCHED THEN UPDATE SET number = s.n WHEN NOT MATCHED THEN INSERT (id, number) VALUES (s.id, s.n)", args: args("{30,50}", "{canary-6070,canary-6071}")},
	{sql: "PREPARE pv (int[], text[]) AS INSERT INTO users (id, ssn) SELECT * FROM unnest($1, $2)", simple: true},
	{sql: "EXECUTE pu ('{50,51}', '{canary-u-23,canary-u-24}')", setup: []string{"PREPARE pu (int[], text[]) AS INSERT INTO users (id, ssn) SELECT * FROM unnest($1, $2)"}, simple: true},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM unnest(ARRAY[50], ARRAY['canary-u-25']) AS u(x, y)", refused: "0A000", hint: "ssn"},
	{sql: "INSERT INTO users (id, ssn) SELECT x, y FROM ROWS FROM (unnest($1::int[]), unnest($2::text[])) AS u(x, y)", args: args("{50}", "{canary-u-26}"), refused: "0A000", hint: "ssn"},
	{sql: "INSERT INTO users (id, ssn) SELECT * FROM json_each_text($1)", args: args(`{"50": "canary-u-27"}`), refused: "0A000"},
	{sql: "INSERT INTO users (id, ssn) SELECT unnest($1::int[]), unnest($2::text[])", args: args("{50}", "{canary-u-26}"), refused: "0A000", hint: "ssn"},
}

// A driver that sends arrays and numbers in binary form writes rows of all kinds of keys.
func TestADriverWritesSeveralRowsInBinaryForm(t *testing.T) {
	r := versions[0].rig(t)
	conn, err := pgx.Connect(t.Context(), r.Through)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, c := range []struct {
		sql  string
		args []any
	}{
		{"INSERT INTO users (id, ssn, bio) SELECT * FROM unnest($1::int[], $2::text[], $3::text[])", []any{[]int32{60, 61, 62}, []*string{ref("canary-b-1"), nil, ref("canary-b-3")}, []string{"canary-b-4", "canary-b-5", "canary-b-6"}}},
		{"UPDATE users u SET ssn = v.ssn, bio = v.bio FROM (VALUES ($1::int, $2::text, $3::text), ($4, $5, $6)) AS v(id, ssn, bio) WHERE u.id = v.id", []any{60, "canary-b-7", "canary-b-8", 61, "canary-b-9", nil}},
		{"INSERT INTO cards (id, number) SELECT * FROM unnest($1::int[], $2::text[])", []any{[]int32{60, 61}, []string{"canary-b-10", "canary-b-11"}}},
		{"UPDATE cards SET number = u.n FROM unnest($1::int[], $2::text[]) AS u(id, n) WHERE cards.id = u.id", []any{[]int32{61}, []string{"canary-b-12"}}},
		{"MERGE INTO cards t USING (VALUES ($1::int, $2::text)) AS s(id, n) ON t.id = s.id WHEN MATCHED THEN UPDATE SET number = s.n", []any{60, "canary-b-13"}},
		{"INSERT INTO patients (id, clinic, ssn) SELECT * FROM unnest($1::int[], $2::text[], $3::text[])", []any{[]int32{60, 61}, []string{"north", "south"}, []string{"canary-b-14", "canary-b-15"}}},
	} {
		if _, err := conn.Exec(t.Context(), c.sql, c.args...); err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
	}
	assertNoCanary(t, "the leg to the server", r.Tap.Take())
	rows, err := conn.Query(t.Context(), `SELECT id, ssn, bio FROM users WHERE id >= 60 UNION ALL SELECT id, ssn, NULL FROM patients WHERE id >= 60`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var id int
		var ssn, bio *string
		err := row.Scan(&id, &ssn, &bio)
		return fmt.Sprintln(id, deref(ssn), deref(bio)), err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := "60 canary-b-14 -\n60 canary-b-7 canary-b-8\n61 canary-b-15 -\n61 canary-b-9 -\n62 canary-b-3 canary-b-6\n"
	if strings.Join(got, "") != want {
		t.Errorf("got\n%swant\n%s", strings.Join(got, ""), want)
	}
	for id, want := range map[int]string{60: "canary-b-13", 61: "canary-b-12"} {
		var number string
		if err := conn.QueryRow(t.Context(), "SELECT number FROM cards WHERE id = $1", id).Scan(&number); err != nil || number != want {
			t.Errorf("card %d is %s, %v", id, number, err)
		}
	}
}

func ref(s string) *string { return &s }

func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}
