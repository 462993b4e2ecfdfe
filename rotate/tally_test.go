package rotate

import (
	"fmt"
	"testing"
)

// TestKeysBeyondABoundAreCountedAsOne: values may name any number of keys, and root keys, that nobody has.
func TestKeysBeyondABoundAreCountedAsOne(t *testing.T) {
	s := newShop(t)
	table := s.people(of("email", kmsKeys))
	rows := s.rows(table, 20)
	for full, want := range map[int]int64{maxNames: 20 + 18, maxNames - 1: 18 + 10} { // one tenant's key, the other's and the root key
		job := Job{Kind: Verify, Table: table}
		w, err := newVerify(t.Context(), s.config(), &job)
		s.must(err)
		v := w.(*verify)
		for i := range full {
			v.tally.seen.take(fmt.Sprint(i))
		}
		verdicts, err := v.fork().plan(t.Context(), rows)
		s.must(err)
		counts := map[string]int64{}
		for _, c := range verdicts[0].counts {
			counts[c.name] = c.n
		}
		if counts["values"] != 38 || counts[OtherKeys] != want {
			t.Errorf("with %d names: %v", full, counts)
		}
		if len(v.tally.seen.all) > maxNames {
			t.Errorf("%d names are held", len(v.tally.seen.all))
		}
	}
}
