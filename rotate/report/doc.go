// Package report writes what verify jobs found and counted, for those who have to prove it: as text, as JSON, and
// as one HTML page that needs nothing beside it.
//
// A report holds names, ids, counts and places. It holds no value and no key.
package report
