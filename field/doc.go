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
// A value opens only where it belongs. Column and namespace are always bound;
// the tenant and, where the table declares one, the row id are checked
// wherever the caller knows them, by what [Row] says.
package field
