// Package gormplugin seals tagged fields of GORM models before they reach the
// database, and opens them on the way back. Application code stays as it is.
//
//	type User struct {
//		ID    uint
//		OrgID string `rowseal:"tenant"`
//		SSN   string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
//	}
//
//	plugin := gormplugin.New(cipher) // a *field.Cipher
//	plugin.Models = []any{&User{}}
//	err := db.Use(plugin)
//
// Start with [New] and list all models with sealed fields in Plugin.Models.
// [WithTenant] says whose data a context is about. docs/GORM.md has the table
// of operations.
//
// # Conditions
//
// A column whose rowseal tag says search=equality is compared, joined and
// grouped by as a plain one, with values as parameters:
//
//	db.WithContext(ctx).Where("ssn = ?", ssn).First(&user)
//
// The database sees terms in place of column and value, which a keyed hash
// makes of them (docs/SEARCH.md says what they reveal), and can have an index
// on them. Unless the column says scope=global, a condition needs a tenant:
// from a condition on the tenant column beside it, from Model, or from
// [WithTenant]. The latter two are no filter: only a condition keeps rows of
// other tenants out of a count. On columns without search only IS NULL, IS NOT
// NULL and COUNT work, and on none does order, LIKE or any function.
//
// # What it promises
//
// Each way that GORM has to write, read, filter or migrate either works on
// sealed columns or fails with an error of type [*Error] that names the column
// and the remedy. Three things see to that:
//
//   - The serializer in the gorm tag carries a field's value as something that
//     no driver can encode. A database without the plugin fails.
//   - Clause builders for VALUES, SET and ON CONFLICT put sealed bytes into a
//     copy of what GORM is about to send, all cells of a statement in one call
//     of the cipher.
//   - In front of the driver stands a check of the statement's text. It knows
//     the places in which a sealed column is harmless, and those in which its
//     term can stand for it; in any other place, and with any parameter that
//     the cipher did not make, the statement is refused, whoever wrote it.
//     Results are opened there too, a window of rows at a time, so that a
//     page's keys are fetched at once.
//
// Statements that do not go through GORM, such as those of db.DB(), are not
// seen. Nor are statements inside of functions and triggers of the database.
//
// # Transition
//
// A column with `transition=COL` in its tag takes over from the plain column
// COL of the same table: it is read where the sealed one is NULL, conditions
// ask for both, and [Plugin.Remaining] counts what is left.
//
// # Compatibility
//
// Values are those of package field with the table's and columns' names as
// their ids: what GORM wrote, every other way of reading opens, and the other
// way round. A model that implements [Identified], and id= in a tag, keep the
// ids when a name changes.
package gormplugin
