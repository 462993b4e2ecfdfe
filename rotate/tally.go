package rotate

import (
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// tally counts the values of a page by what their headers say.
type tally struct {
	columns []*field.Column

	values, opened, destroyed int64

	byColumn []int64
	bySuite  [256]int64
	byMode   [4]int64
	keys     map[envelope.KeyID]int64
	roots    map[string]int64 // of ModeKMS
	others   int64            // keys beyond those of seen
	findings map[string]int64

	seen map[envelope.KeyID]struct{} // since the work began
}

// maxSeen bounds how many keys a worker tells apart, as what a value says of its key may be anything. Values of
// keys beyond them are counted under OtherKeys.
const maxSeen = 1 << 18

// OtherKeys is the name of the count for values whose keys a verify did not tell apart, since there were too many.
const OtherKeys = "key/other"

func newTally(columns []*field.Column) tally {
	return tally{
		columns: columns, byColumn: make([]int64, len(columns)),
		keys: map[envelope.KeyID]int64{}, roots: map[string]int64{}, findings: map[string]int64{},
		seen: map[envelope.KeyID]struct{}{},
	}
}

func (t *tally) reset() {
	t.values, t.opened, t.destroyed, t.others = 0, 0, 0, 0
	clear(t.byColumn)
	clear(t.bySuite[:])
	clear(t.byMode[:])
	clear(t.keys)
	clear(t.roots)
	clear(t.findings)
}

func (t *tally) add(c *sealedCell, column int) {
	t.byColumn[column]++
	t.bySuite[c.value.Suite]++
	t.byMode[c.value.Mode()]++
	if c.value.Mode() == envelope.ModeKMS {
		t.roots[c.value.RootKey()]++
		return
	}
	id := c.value.KeyID()
	if _, known := t.keys[id]; !known && !t.remember(id) {
		t.others++
		return
	}
	t.keys[id]++
}

func (t *tally) remember(id envelope.KeyID) bool {
	if _, ok := t.seen[id]; !ok && len(t.seen) >= maxSeen {
		return false
	}
	t.seen[id] = struct{}{}
	return true
}

// counts names them: "key/ID" with the tenant key's id, or the root key's where that wraps the row keys, "suite/N",
// "mode/N", "column/NAME", "finding/KIND".
func (t *tally) counts() []count {
	list := counted(make([]count, 0, 8), count{"values", t.values}, count{"opened", t.opened}, count{"destroyed", t.destroyed}, count{OtherKeys, t.others})
	for i, n := range t.byColumn {
		list = counted(list, count{"column/" + t.columns[i].Name(), n})
	}
	for i, n := range t.bySuite {
		if n > 0 {
			list = append(list, count{fmt.Sprintf("suite/%d", i), n})
		}
	}
	for i, n := range t.byMode {
		if n > 0 {
			list = append(list, count{fmt.Sprintf("mode/%d", i), n})
		}
	}
	for id, n := range t.keys {
		list = append(list, count{"key/" + id.String(), n})
	}
	for id, n := range t.roots {
		list = append(list, count{"key/" + id, n})
	}
	for kind, n := range t.findings {
		list = append(list, count{"finding/" + kind, n})
	}
	return list
}
