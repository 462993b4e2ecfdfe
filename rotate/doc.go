// Package rotate does to sealed data what its keeping asks for: jobs over the key store and over the rows of
// tables, online, beside the application.
//
// After a root key was rotated, [RewrapKeys] brings the key store to its new
// version: one KMS call for each key, and no row of a user's table is read or
// written, however many there are. What has to be done to rows, [Run] does: a [Job] says what
// and to which table, a [Config] with which keys and how fast. [Rewrap] brings the row keys that values carry
// to the keys that are current now: it replaces the wrapped key in the value's
// header and leaves nonce, ciphertext and tag as they were. [Reseal] opens values and seals them again as the
// policy says now, [Verify] opens them and says what is wrong, [Overwrite] ends what outlives a shredded
// tenant's keys.
//
// A job walks its table by the primary key, in pages. What a page writes and what the journal says of it are
// committed together, so that a job may be stopped at any moment, killed too, and goes on where it was when Run
// is called again: by any process, and by several at once, which share its ranges. A value is replaced only
// if its row still holds what was read; a row that was changed meanwhile is read again and never overwritten.
//
// [Move] takes a column from clear to sealed and back, in place: jobs of [Seal] and [Unseal] fill one column from the
// other, and its steps change the schema around them.
//
// A [Walker] is for job queues that hand out the ranges themselves, as package riverjob does; programs that have
// none need only Run.
//
// [Jobs] and [JobByID] say how far jobs are, and [Command] pauses, slows, resumes and cancels them.
// The journal's tables and their columns may change between versions; use these functions.
package rotate
