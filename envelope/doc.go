// Package envelope is the stored format: how a sealed value is laid out, and
// how it is sealed and opened with a key in hand. It uses the standard
// library's cryptography only, fetches no keys and knows no policy.
//
// Most programs want package field, which chooses keys and types. Use this
// package to look into values ([Parse]) or to build another front door.
//
// The way down: a tenant key ([NewTenantKey]) yields a [Key] for one field
// and salt ([TenantKey.FieldKey]), or a wrapping key ([TenantKey.RowWrapKey])
// from which every row gets a fresh [Key] of its own ([NewRowKey]); [Seal]
// writes the value. The way up: [Parse], then the same [Key] from the value's
// key reference, then [Open], which releases nothing before its tag is
// checked.
//
// The format is specified in docs/FORMAT.md, with test vectors in
// testdata/vectors.json. It is a promise: a value written by any released
// version opens in every later one.
package envelope
