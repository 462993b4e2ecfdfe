package rotate

import (
	"fmt"
	"sync"

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
	others   int64            // values of keys beyond those of seen
	findings map[string]int64

	seen *names // shared by the workers of a process
}

// maxNames bounds how many keys and root keys a process tells apart, as what a value says of its key may be anything, and each is
// a row of the journal. Values of keys beyond them are counted under OtherKeys.
const maxNames = 10_000

// OtherKeys is the name of the count for values whose keys a verify did not tell apart, since there were too many.
const OtherKeys = "key/other"

func newTally(columns []*field.Column, seen *names) tally {
	return tally{
		columns: columns, byColumn: make([]int64, len(columns)),
		keys: map[envelope.KeyID]int64{}, roots: map[string]int64{}, findings: map[string]int64{},
		seen: seen,
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
		if root := c.value.RootKey(); t.seen.take(root) {
			t.roots[root]++
		} else {
			t.others++
		}
		return
	}
	id := c.value.KeyID()
	if _, known := t.keys[id]; !known && !t.seen.take(string(id[:])) {
		t.others++
		return
	}
	t.keys[id]++
}

// names are the keys that a process has told apart since its work began.
type names struct {
	mu  sync.Mutex
	all map[string]struct{}
}

// take says whether a name may be counted by itself.
func (n *names) take(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[name]; ok {
		return true
	}
	if len(n.all) >= maxNames {
		return false
	}
	n.all[name] = struct{}{}
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
