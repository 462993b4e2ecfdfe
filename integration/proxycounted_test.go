package integration

// countedShapes write or compare what only the server can count: columns of (…).* and of functions.
var countedShapes = []shape{
	{sql: "INSERT INTO users (id, ssn) VALUES ((ROW(60, 'canary-star')::ct).*)", setup: []string{pairType}, refused: "0A000"},
	{sql: "INSERT INTO users (id, ssn) VALUES (59, 'canary-one'), ((ROW(60, 'canary-star')::ct).*)", setup: []string{pairType}, refused: "0A000"},
	{sql: "INSERT INTO users (id, ssn) SELECT (ROW(60, 'canary-star')::ct).*", setup: []string{pairType}, refused: "0A000"},
	{sql: "INSERT INTO users SELECT ('(60,canary-star,,,,,,,)'::users).*", refused: "0A000"},
	{sql: "INSERT INTO users SELECT ($1::users).*", args: args("(60,canary-star,,,,,,,)"), refused: "0A000"},
	{sql: "INSERT INTO users SELECT * FROM json_populate_recordset(NULL::users, $1)", args: args(`[{"id": 60, "ssn": "canary-json"}]`), refused: "0A000"},
	{sql: "INSERT INTO users SELECT x.* FROM jsonb_populate_recordset(NULL::users, $1) AS x", args: args(`[{"id": 60, "ssn": "canary-json"}]`), refused: "0A000"},
	{sql: `INSERT INTO users (note, ssn) SELECT * FROM jsonb_each_text('{"a": "canary-json"}')`, refused: "0A000"},
	{sql: `WITH c AS (SELECT * FROM jsonb_each_text('{"a": "canary-json"}')) INSERT INTO users (note, ssn) TABLE c`, refused: "0A000"},
	{sql: "UPDATE users SET (id, ssn) = (SELECT (ROW(1, 'canary-star')::ct).*) WHERE id = 1", setup: []string{pairType}, refused: "0A000"},
	{sql: "SELECT id FROM users WHERE (id, ssn) IN (SELECT (ROW(1, 'canary-ssn-1')::ct).*)", setup: []string{pairType}, refused: "0A000"},
	{sql: "SELECT ssn, (ROW(1, 'x')::ct).* FROM users WHERE id = 1", setup: []string{pairType}, refused: "0A000"},
	{sql: "SELECT (ROW(1, note)::ct).*, CASE WHEN true THEN ssn END AS z FROM users", setup: []string{pairType}, refused: "0A000"},
	{sql: "SELECT (ROW(id, note)::ct).* FROM users WHERE id = 1", setup: []string{pairType}},
	// PostgreSQL 17 and 18; older ones know neither.
	{sql: "MERGE INTO users t USING plain s ON t.id = s.id WHEN MATCHED THEN UPDATE SET note = 'x' RETURNING *"},
	{sql: "WITH m AS (MERGE INTO users t USING plain s ON t.id = s.id WHEN MATCHED THEN UPDATE SET note = 'x' RETURNING *) SELECT * FROM m"},
	{sql: "WITH m AS (MERGE INTO users t USING plain s ON t.id = s.id WHEN MATCHED THEN UPDATE SET note = 'x' RETURNING *) SELECT body FROM m WHERE ssn = 'canary-ssn-1'"},
	{sql: "WITH u AS (UPDATE users SET note = 'x' WHERE id < 3 RETURNING old.*) SELECT id FROM u WHERE ssn = 'canary-ssn-1'", refused: "0A000", hint: "FOR UPDATE"},
	{sql: "WITH u AS (DELETE FROM users WHERE id = 3 RETURNING new.*) SELECT count(*) FROM u WHERE ssn <> $1", args: args("canary-zzz"), refused: "0A000", hint: "FOR UPDATE"},
	{sql: "SELECT id FROM users WHERE ssn = $2147483647", simple: true, refused: "42P02"},
}

const pairType = "CREATE TYPE ct AS (id int, ssn text)"
