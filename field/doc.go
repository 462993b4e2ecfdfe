// Package field seals and opens single columns: it knows the policy (which
// column, of which type, with which key) and brings values, keys and the
// stored format together.
//
// Build a [Policy] from rowseal.yaml with [ParseFile] or [LoadFile], or from
// tagged structs with [TableOf], make a [Cipher] with [New], and seal and open
// with it: [Cipher.SealRows] and [Cipher.OpenRows] for pages, which fetch all
// keys at once, [Cipher.Seal] and [Cipher.Open] for single values. GORM users
// want package gormplugin, which does this for them.
//
// A column that declares search is found by the database: its values carry
// terms, and [Cipher.EqualityTerms] makes those of a condition. docs/SEARCH.md
// says what terms reveal.
//
// # Structs
//
// Users of pgx and database/sql write structs with [Cipher.SealStruct], which
// gives the arguments of a statement and leaves the struct alone, and read them
// with [Cipher.OpenStruct]; [Cipher.SealStructs] and [Cipher.OpenStructs] do
// that for pages. Tags say what is sealed, as for [TableOf]:
//
//	type Patient struct {
//		ID     int64                `rowseal:"rowid"`
//		Clinic string               `rowseal:"tenant"`
//		SSN    field.Secret[string] `db:"ssn" rowseal:"seal"`
//	}
//
//	row, err := cipher.SealStruct(ctx, table, patient)
//	…
//	conn.Exec(ctx, "INSERT INTO patients (id, clinic, ssn) VALUES ($1, $2, $3)", row.Args("id", "clinic", "ssn")...)
//
//	rows, _ := conn.Query(ctx, "SELECT id, clinic, ssn FROM patients")
//	err = cipher.OpenStructs(ctx, table, &patients, rows)
//
// Make sealed fields a [Secret]: it cannot be sent, read, logged or marshalled
// by mistake, while a plain string that is passed to a statement by itself is
// written in clear, unless the column has its CHECK constraint (docs/FORMAT.md).
//
// # What opens
//
// A value opens only where it belongs. Column and namespace are always bound;
// the tenant and, where the table declares one, the row id are checked
// wherever the caller knows them, by what [Row] says.
package field
