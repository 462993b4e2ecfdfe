package relay

import (
	"encoding/hex"
	"reflect"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// The server analyses a prepared statement again when search_path or the catalog has changed. What named nothing
// sealed when it was prepared may write to a sealed column then, and its arguments would be in clear. So a statement
// is looked at again before it is executed: by the protocol (recheck), and by EXECUTE (stands). Texts with PREPARE that
// name nothing sealed are not analysed, nor is what code prepares, or what was prepared before the policy listed anything.
// The server has their texts: it is asked when such a statement is first executed (askKept), and the
// text is read again when the catalog has changed (names).

const (
	// maxKept and maxKeptBytes bound what is kept of texts with PREPARE.
	maxKept      = 1000
	maxKeptBytes = 1 << 20
)

// kept are texts of statements that SQL prepared and the proxy did not analyse, by their names.
type kept struct {
	texts map[string]*keptText
	bytes int
}

// keptText is a text with what it meant when it was last looked at.
type keptText struct {
	text string
	// sealed is set where it names something sealed in the catalog seen.
	sealed bool
	seen   *catalog.Snapshot
}

// put takes note of the text of a statement. Where there is no room the others are forgotten: the server has them.
func (k *kept) put(name, text string) {
	if len(k.texts) >= maxKept || k.bytes+len(text) > maxKeptBytes || k.texts == nil {
		*k = kept{texts: map[string]*keptText{}}
	}
	k.texts[name] = &keptText{text: text}
	k.bytes += len(text)
}

// dropNames drops the names that a text prepares or deallocates.
func (k *kept) dropNames(text string) {
	if len(k.texts) == 0 {
		return
	}
	for _, name := range append(behind(text, "prepare"), behind(text, "deallocate")...) {
		if name == "all" {
			*k = kept{}
			return
		}
		k.drop(name)
	}
}

func (k *kept) drop(name string) {
	if known := k.texts[name]; known != nil {
		delete(k.texts, name)
		k.bytes -= len(known.text)
	}
}

// behind gives the words of a text that stand behind a word.
func behind(text, word string) (words []string) {
	last := ""
	scanner := parse.Scanner{Kind: func(w []byte) parse.Kind {
		if last == word {
			words = append(words, string(key(w)))
		}
		last = string(w)
		return 0
	}}
	scanner.Scan(text)
	return words
}

// names reports whether a text that was kept names something sealed now.
func (c *clientSide) names(k *keptText) bool {
	if k.seen != c.snapshot {
		k.seen, k.sealed = c.snapshot, c.engine().scan(c.snapshot, k.text, codingAgain(k.text)).Sensitive
	}
	return k.sealed
}

// accounted reports whether all that a text executes is known to name nothing sealed.
func (c *clientSide) accounted(text string) bool {
	for _, name := range behind(text, "execute") {
		if k := c.kept.texts[name]; k == nil || c.names(k) {
			return false
		}
	}
	return true
}

// deallocates reports whether a text deallocates what was prepared by Parse. What was kept of others is dropped.
func (c *clientSide) deallocates(text string) bool {
	for _, name := range append(behind(text, "prepare"), behind(text, "deallocate")...) {
		if c.statements.get([]byte(name), c.pipeline) != nil {
			return true
		}
	}
	c.kept.dropNames(text)
	return false
}

// askKept asks the server for the texts of statements that were prepared by SQL, and keeps them. Names for which it
// has none stay unknown.
func (c *clientSide) askKept(names ...string) error {
	for _, name := range names {
		if c.kept.texts[name] != nil {
			continue
		}
		rows, err := c.Query(c.s.ctx, "SELECT statement FROM pg_catalog.pg_prepared_statements WHERE from_sql AND "+
			"pg_catalog.convert_to(name, pg_catalog.current_setting('client_encoding')) = pg_catalog.decode('"+hex.EncodeToString([]byte(name))+"', 'hex')")
		if err != nil {
			return err
		}
		if len(rows) == 1 && len(rows[0]) == 1 {
			c.kept.put(name, string(rows[0][0]))
		}
	}
	return nil
}

// standsUnread sees to it that a statement which the server has and statements does not names nothing sealed.
func (c *clientSide) standsUnread(name string) error {
	if err := c.revalidate(); err != nil {
		return err
	}
	if err := c.askKept(name); err != nil {
		return err
	}
	if k := c.kept.texts[name]; k == nil || c.names(k) {
		return errMoved()
	}
	return nil
}

// prepared gives the plan of a prepared statement, for EXECUTE.
func (c *clientSide) prepared(name string) *plan.Plan {
	c.unsure = c.unsure || c.statements.unsure([]byte(name), c.pipeline)
	st, skip := c.statements.use([]byte(name), c.pipeline)
	c.skips = c.skips || skip
	if st == nil {
		return c.preparedUnread(name)
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

// preparedUnread is prepared for what was not analysed.
func (c *clientSide) preparedUnread(name string) *plan.Plan {
	k := c.kept.texts[name]
	if k == nil {
		c.unknown = append(c.unknown, name)
		return nil
	}
	c.moved = c.moved || c.names(k)
	return &plan.Plan{}
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
