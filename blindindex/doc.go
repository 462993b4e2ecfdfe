// Package blindindex makes the search terms of sealed values: short
// pseudorandom strings by which a database finds values that it cannot read.
// It is pure functions over a [Key]; it fetches no keys and knows no policy.
//
// Most programs want package field, whose Cipher writes the terms that a
// policy declares and gives those of a condition. Package keyring makes the
// keys, one for each tenant (or one for all) and column (or domain).
//
// # What equality terms reveal
//
// [Key.Equality] is deterministic: that is what makes a database find it. So
// whoever reads the stored values learns, without any key, which rows of a
// column hold equal values under one index key, how often each value occurs,
// and when a value comes back. He sees the same of the operands of queries.
// Where he can guess the distribution of the values (names, postal codes,
// yes and no), counting gives many of them away. He does not learn a value
// that is unlike all others, and cannot test a guess without the index key.
//
// Keys of different tenants, columns or domains give unrelated terms, so that
// nothing is learned across them.
//
// A term depends on nothing but the key and the canonical bytes, and its
// definition does not change: docs/FORMAT.md has it, with test vectors.
package blindindex
