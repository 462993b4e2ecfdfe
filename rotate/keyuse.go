package rotate

import (
	"time"

	"github.com/rowseal/rowseal/envelope"
)

// KeyUse is what verifies know of the values under a key.
type KeyUse struct {
	// Values is how many there are, in all tables, and Tables names those that have some.
	Values int64
	Tables []string
	// Unverified are tables of which it is not known: no verify of all their rows and columns began after the
	// time asked for and came to its end, or it met more keys than it could tell apart.
	Unverified []string
}

// Unused says that no value is under the key in any of the tables.
func (u *KeyUse) Unused() bool { return u.Values == 0 && len(u.Unverified) == 0 }

// UseOfKey says whether the last verifies of tables still found values under a key. jobs are those of the journal,
// ended ones included; of these, verifies count that began after a time by the database's clock: for a key that
// is to be destroyed, its retirement and the longest time that a cache may hold it. Verifies of a sample count too,
// since they look at the headers of all values.
func UseOfKey(jobs []Status, tables []string, key envelope.KeyID, after time.Time) (use KeyUse) {
	for _, table := range tables {
		s, ok := LastVerify(jobs, table, after)
		if !ok || s.Counts[OtherKeys] > 0 {
			use.Unverified = append(use.Unverified, table)
			continue
		}
		if n := s.Counts["key/"+key.String()]; n > 0 {
			use.Values += n
			use.Tables = append(use.Tables, table)
		}
	}
	return use
}

// LastVerify returns the verify of all rows and columns of table that began last, if it began after the given time and
// has come to its end.
func LastVerify(jobs []Status, table string, after time.Time) (last Status, ok bool) {
	for _, s := range jobs {
		if s.Kind != Verify || s.Table != table || s.Elsewhere || s.State != "done" || !s.Started.After(after) || !s.whole() {
			continue
		}
		if !ok || s.Started.After(last.Started) {
			last, ok = s, true
		}
	}
	return last, ok
}

// whole says that the job is not narrowed to columns or a tenant, and that no row can have moved past it.
func (s *Status) whole() bool {
	spec, err := specOf(s.Spec)
	return err == nil && len(spec.Columns) == 0 && spec.Tenant == "" && spec.Options[byPlace] == ""
}
