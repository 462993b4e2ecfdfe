package rotate

import (
	"fmt"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// KeyUse is what verifies know of the values under a key.
type KeyUse struct {
	// Values is how many there are, in all tables, and Tables names those that have some.
	Values int64
	Tables []string
	// Unverified are tables of which it is not known.
	Unverified []Unverified
	// Crowded are tables that have values of so many keys that the verify did not tell all apart, and where it counted none
	// of the key's. [CountKey] says of them what the verify does not.
	Crowded []string
}

// Unverified is a table of which verifies do not say how many values are under a key.
type Unverified struct {
	// Table is its name in the policy.
	Table string
	// Why says what is wrong with the last verify, or that there is none.
	Why string
}

// Unused says that no value is under the key in any of the tables.
func (u *KeyUse) Unused() bool { return u.Values == 0 && len(u.Unverified) == 0 && len(u.Crowded) == 0 }

// UseOfKey says whether the last verifies of tables still found values under a key. tables are all of the policy: old values
// of one whose columns say `wrap: kms` today may be under a key of the store. jobs are those of the journal,
// ended ones included; of these, verifies count that began after a time by the database's clock: for a key that
// is to be destroyed, its retirement and the longest time that a cache may hold it. Verifies of a sample count too,
// since they look at the headers of all values; those that found faults too, unless a fault may hide a key.
func UseOfKey(jobs []Status, tables []*field.Table, key envelope.KeyID, after time.Time) (use KeyUse) {
	for _, table := range tables {
		s, why := LastVerify(jobs, table, after)
		if why == "" {
			why = s.hides()
		}
		n := s.Counts["key/"+key.String()]
		switch {
		case why != "":
			use.Unverified = append(use.Unverified, Unverified{table.Name(), why})
		case n > 0:
			use.Values += n
			use.Tables = append(use.Tables, table.Name())
		case s.Counts[OtherKeys] > 0:
			use.Crowded = append(use.Crowded, table.Name())
		}
	}
	return use
}

// LastVerify returns the verify of all rows and columns of table, as the policy has them now, that began last, if it began
// after the given time and has come to its end. Else why says what there is instead.
func LastVerify(jobs []Status, table *field.Table, after time.Time) (last Status, why string) {
	var unfit Status // the last that is none
	why = "there is no verify of all its rows and columns"
	policy := declared(table.Columns())
	for _, s := range jobs {
		if s.Kind != Verify || s.Table != table.Name() || s.Elsewhere || s.State != StateDone || !s.whole() {
			continue
		}
		reason := ""
		switch {
		case s.policy() != policy:
			reason = fmt.Sprintf("job %d, a verify, was done with another policy", s.ID)
		case !s.Started.After(after):
			reason = fmt.Sprintf("job %d, a verify, began at %s, and one after %s is needed", s.ID, s.Started.UTC().Format(time.RFC3339), after.UTC().Format(time.RFC3339))
		}
		switch {
		case reason == "" && !s.Started.Before(last.Started):
			last = s
		case reason != "" && !s.Started.Before(unfit.Started):
			unfit, why = s, reason
		}
	}
	if last.Kind != "" {
		why = ""
	}
	return last, why
}

// whole says that the job is not narrowed to columns or a tenant, and that no row can have moved past it.
func (s *Status) whole() bool {
	spec, err := specOf(s.Spec)
	return err == nil && len(spec.Columns) == 0 && spec.Tenant == "" && spec.Options[byPlace] == ""
}

// policy stands for the columns as the job took them.
func (s *Status) policy() string {
	spec, _ := specOf(s.Spec) // whole has read it
	return spec.Options[policyOption]
}

// hides says why a verify, although done, does not know all keys of the values that it met; "" where it does.
func (s *Status) hides() string {
	if !s.Settled {
		return fmt.Sprintf("job %d, its last verify, did not wait for the transactions that were open when it began, or not long enough", s.ID)
	}
	if n := s.Counts["finding/"+FindingMalformed]; n > 0 {
		return fmt.Sprintf("job %d, its last verify, found %d malformed values, whose keys cannot be read; mend or delete them", s.ID, n)
	}
	return ""
}
