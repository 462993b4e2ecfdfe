// Package sqlstore keeps wrapped tenant keys in a table of PostgreSQL,
// MySQL, MariaDB or SQLite. Its [Store] is a keyring.Store and a keyring.Admin.
//
// Use [Open] with a connection string; it makes a small pool of its own. Call
// [Store.Init] once, or run `rowseal init`, before the first key is made.
//
// Do not hand [New] the pool that the application works with: a key has to be
// durable before the first value is sealed with it, whatever becomes of the
// transaction that asked for it, and a pool whose last connection is held by
// that transaction would wait for itself. SQLite has one writer per file, so
// there the store needs a file of its own, too.
//
// The table is rowseal.keys in PostgreSQL and rowseal_keys elsewhere. It holds
// nothing secret, but whoever may write to it can make keys unusable: grant
// SELECT, INSERT and UPDATE to the applications and nothing to others. A row
// is never deleted; a destroyed key leaves its row without wraps. PostgreSQL's
// dead rows and log, MySQL's logs, SQLite's write-ahead log and all backups hold a destroyed
// key's wraps until they are overwritten; destroy the root key with them where
// that matters.
//
// A second table, rowseal.key_exports or rowseal_key_exports, remembers who took
// copies of the keys; only those who do need rights on it. On PostgreSQL changes
// of a key's state are told on the channel rowseal_keys, see [Store.Watch].
//
// Tables written by any released version are read by every later one.
package sqlstore
