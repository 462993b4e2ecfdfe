// Package rotate moves wrapped keys to the keys that are current now.
//
// After a root key was rotated, [RewrapKeys] brings the key store to its new
// version: one KMS call for each key, and no row of a user's table is read or
// written, however many there are. After a tenant's key was rotated, or where
// columns are declared `key: row, wrap: kms`, [RewrapRows] does the same for
// the row keys that values carry: it replaces the wrapped key in the value's
// header and leaves nonce, ciphertext and tag as they were.
//
// Both may be stopped at any time and run again: what is current already is
// skipped, so that a second run goes on where the first one ended. Both may
// run beside the application and beside each other. A record or row that was
// changed meanwhile is read again and never overwritten.
//
// Neither opens a value, so neither can change what it says. They do not
// renew keys: a row keeps its row key, and a tenant its tenant key.
package rotate
