// Package keyring is the key hierarchy: a root key in a KMS wraps tenant keys,
// which are kept, wrapped, in a key store; tenant keys yield the keys that
// seal values and that wrap row keys. Records of another purpose yield the keys
// that make search terms.
//
// Make a [Keyring] with [New] and hand it to package field; applications call
// it directly only to manage keys (package rotate, `rowseal keys`). It holds
// unwrapped keys in bounded caches for at most their TTL, and asks the store
// and the KMS for whole pages of keys at a time.
//
// A tenant key is written to the store before the first value is sealed with
// it, and never inside a caller's transaction: the store has a database handle
// of its own. Exactly one key is chosen by its id; nothing is tried in turn.
package keyring
