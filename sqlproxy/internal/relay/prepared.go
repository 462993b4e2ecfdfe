package relay

import (
	"reflect"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// The server analyses a prepared statement again when search_path or the catalog has changed. What named nothing
// sealed when it was prepared may write to a sealed column then, and its arguments would be in clear. So a statement
// is looked at again before it is executed: by the protocol (recheck), and by EXECUTE (stands). Texts with PREPARE that
// name nothing sealed are not analysed; they are kept, and read again when the catalog has changed (kept).

const (
	// maxKept and maxKeptBytes bound what is kept of texts with PREPARE.
	maxKept      = 1000
	maxKeptBytes = 1 << 20
)

// kept are texts with PREPARE that named nothing sealed, with the names that they prepare.
type kept struct {
	texts map[string][]string
	bytes int
	// lost is the catalog as it was when a text was not kept, because there are too many; nil for none.
	lost *catalog.Snapshot
	// seen is the catalog that risky is about, which is set where one of the texts names something sealed now.
	seen  *catalog.Snapshot
	risky bool
}

// keep takes note of a text.
func (k *kept) keep(text string, snapshot *catalog.Snapshot) {
	if _, known := k.texts[text]; known {
		return
	}
	if len(k.texts) >= maxKept || k.bytes+len(text) > maxKeptBytes {
		if k.lost == nil {
			k.lost = snapshot
		}
		return
	}
	if k.texts == nil {
		k.texts = map[string][]string{}
	}
	text = strings.Clone(text)
	k.texts[text] = behind(text, "prepare")
	k.bytes += len(text)
}

// drop takes note that the statements of a name are gone.
func (k *kept) drop(name string) {
	for text, names := range k.texts {
		if len(names) == 1 && names[0] == name {
			delete(k.texts, text)
			k.bytes -= len(text)
		}
	}
}

// behind gives the words of a text that stand behind a word.
func behind(text, word string) (words []string) {
	last := ""
	scanner := parse.Scanner{Kind: func(w []byte) parse.Kind {
		if last == word {
			words = append(words, string(w))
		}
		last = string(w)
		return 0
	}}
	scanner.Scan(text)
	return words
}

// risky reports whether one of the texts that were kept names something sealed now.
func (c *clientSide) risky() bool {
	k := &c.kept
	if k.seen == c.snapshot {
		return k.risky
	}
	k.seen, k.risky = c.snapshot, k.lost != nil && k.lost != c.snapshot
	for text := range k.texts {
		k.risky = k.risky || c.engine().scan(c.snapshot, text, codingAgain(text)).Sensitive
	}
	return k.risky
}

// unreadMoved reports whether a statement that was prepared without being analysed names something sealed now.
func (c *clientSide) unreadMoved(name string) bool {
	k := &c.kept
	if k.lost != nil && k.lost != c.snapshot {
		return true
	}
	for text, names := range k.texts {
		if slices.Contains(names, name) && c.engine().scan(c.snapshot, text, codingAgain(text)).Sensitive {
			return true
		}
	}
	return false
}

// deallocated takes note of a text that drops one of the statements that were kept, where it cannot fail but for
// want of such a statement.
func (c *clientSide) deallocated(text string) {
	if len(c.kept.texts) == 0 || c.piped || c.s.status.Load() != 'I' || !c.s.queue.quiet() {
		return
	}
	words := strings.Fields(strings.ToLower(strings.TrimRight(text, "; \t\r\n")))
	if len(words) == 3 && words[1] == "prepare" {
		words = append(words[:1], words[2])
	}
	if len(words) == 2 && words[0] == "deallocate" {
		if names := behind(words[0]+" "+words[1], "deallocate"); len(names) == 1 {
			c.kept.drop(names[0])
		}
	}
}

// prepared gives the plan of a prepared statement, for EXECUTE.
func (c *clientSide) prepared(name string) *plan.Plan {
	c.unsure = c.unsure || c.statements.unsure([]byte(name))
	st := c.statements.get([]byte(name))
	if st == nil {
		c.moved = c.moved || c.unreadMoved(name)
		return nil
	}
	if st.touches() {
		c.usesNames, c.exchanged = true, c.exchanged || !st.sure(c)
	}
	c.moved = c.moved || st.exchanged || !c.stands(st)
	if st.plan == nil {
		return &plan.Plan{}
	}
	return st.plan
}

// stands reports whether a statement means under the view at hand what it was prepared as.
func (c *clientSide) stands(st *statement) bool {
	if c.again {
		return false // EXECUTE of what executes
	}
	c.again = true
	unsure, moved := c.unsure, c.moved
	defer func() { c.again, c.unsure, c.moved = false, unsure, moved }()
	if !st.sensitive {
		if !c.engine().scan(c.view.snapshot, st.text, codingAgain(st.text)).Sensitive {
			return true
		}
		st.sensitive = true
	}
	if c.meant(st, c.view) {
		return true
	}
	p, err := c.makePlan(c.view, st.text, st.oids, st.repeats)
	return err == nil && !c.moved && c.unmoved(st, c.view, p)
}

// meant reports whether a statement was analysed with a view that gives the same plan.
func (c *clientSide) meant(st *statement, v *view) bool {
	return st.seen != nil && v.same(st.seen) && (st.plan == nil || !st.plan.OfTenant || v.values.Tenant == st.seen.values.Tenant)
}

// unmoved takes over the view that a statement was analysed anew with, if the plan is the same.
func (c *clientSide) unmoved(st *statement, v *view, p *plan.Plan) bool {
	if st.inner {
		if len(p.Stmts) != 1 || p.Stmts[0].Inner == nil {
			return false
		}
		p = p.Stmts[0].Inner
	}
	was := st.plan
	if was == nil {
		was = &plan.Plan{}
	}
	if (p.Touches || was.Touches) && !reflect.DeepEqual(p, was) {
		return false
	}
	st.seen, st.snapshot = v, c.snapshot
	return true
}

// errMoved says that a prepared statement would mean something else now. Drivers
// know it, and prepare again.
func errMoved() error { return refusal("0A000", "cached plan must not change result type", "") }

// recheck sees to it that a prepared statement still means what it was prepared as.
func (c *clientSide) recheck(st *statement) error {
	if !st.sensitive && st.snapshot != nil && always(st.text, st.effects) {
		return nil
	}
	if err := c.revalidate(); err != nil {
		return err
	}
	if !st.sensitive {
		if st.snapshot == c.snapshot {
			return nil
		}
		if st.snapshot = c.snapshot; !c.engine().scan(c.snapshot, st.text, codingAgain(st.text)).Sensitive {
			return nil
		}
		st.sensitive = true
	}
	if c.inFailed() {
		return errFailed()
	}
	v, err := c.current()
	if err != nil {
		return err
	}
	if c.meant(st, v) {
		return nil
	}
	words := c.engine().scan(c.snapshot, st.text, codingAgain(st.text))
	v, p, err := c.analyse(st.text, st.oids, words, st.repeats)
	if err != nil {
		return err
	}
	if !c.unmoved(st, v, p) {
		return errMoved()
	}
	return nil
}
