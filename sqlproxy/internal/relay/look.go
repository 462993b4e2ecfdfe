package relay

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// looked is what is known of a text that is about to be sent.
type looked struct {
	effects parse.Effects
	names   bool
	// plan is nil where the text names nothing sealed; view is what it was made with.
	plan *plan.Plan
	view *view
	// nature is the text's.
	nature nature
	// text is what a PREPARE is known by, where it is the only statement; prepared is set where it came with Parse.
	text     string
	prepared bool
}

// look reads a text's words, and analyses it where it names something sealed.
//
// prepared is set for a text that may run several times.
func (c *clientSide) look(text string, oids []uint32, prepared bool) (l looked, err error) {
	if c.follow(); !c.looks {
		return l, nil
	}
	words, err := c.words(text)
	if err != nil {
		return l, err
	}
	l.effects, l.names = words.Effects, words.Names
	if words.Names && reserved(text) {
		return l, refusal("42939", "names that begin with "+reservedPrefix+" are the proxy's own", "Take another name.")
	}
	if words.Effects&parse.Settings != 0 && c.s.cfg.Tenant != "" && setsTenant(text) {
		return l, refusal("42501", "the tenant of this session is fixed and cannot be set",
			"The proxy's configuration gives this user or database its tenant.")
	}
	if !words.Sensitive && !(words.Names && c.looksUp(text)) {
		return l, nil
	}
	c.s.stats.Analysed.Add(1)
	if l.view, l.plan, err = c.analyse(text, oids, words, prepared); err == nil {
		l.effects |= l.plan.Effects
		l.keepText(text, prepared)
		l.nature = natureOf(text, l.plan, l.view)
	} else if words.Names {
		c.kept.dropNames(text) // the client takes them for what this would have prepared
	}
	return l, err
}

// keepText keeps the text of what prepares a statement, to analyse it again.
func (l *looked) keepText(text string, prepared bool) {
	if len(l.plan.Stmts) == 1 && l.plan.Stmts[0].Kind == plan.KindPrepare {
		l.text, l.prepared = strings.Clone(text), prepared
	}
}

// looksUp reports whether a text that names nothing sealed, but uses names of statements or
// cursors, has to be analysed: where one of them may be sealed, and where it executes
// what is not known to name nothing sealed. It notes the names for which
// the server has to be asked again.
func (c *clientSide) looksUp(text string) bool {
	lower := strings.ToLower(text)
	if c.sealedNames || strings.Contains(lower, "execute") && !c.accounted(text) {
		return true
	}
	if strings.Contains(lower, "deallocate") && c.deallocates(text) {
		return true
	}
	if strings.Contains(lower, "prepare") {
		c.kept.dropNames(text)
	}
	return false
}

// words reads a text's words, by a snapshot that is not out of date.
func (c *clientSide) words(text string) (words parse.Words, err error) {
	if c.snapshot == nil {
		if err = c.revalidate(); err != nil {
			return words, err
		}
	}
	coding, err := c.coding(text)
	if err != nil {
		return words, err
	}
	seen := c.snapshot
	words = c.engine().scan(seen, text, coding)
	if !words.Sensitive && always(text, words.Effects) {
		return words, nil
	}
	if err = c.revalidate(); err != nil || c.snapshot == seen {
		return words, err
	}
	return c.engine().scan(c.snapshot, text, coding), nil
}

// always reports whether a text is one that the server takes in a transaction that has failed:
// a single statement that ends it, or none. No query may come before it.
func always(text string, e parse.Effects) bool {
	text = strings.TrimRight(text, "; \t\r\n")
	return text == "" || e&parse.Ends != 0 && !strings.Contains(text, ";")
}

// reserved reports whether a text prepares or declares something under a name of the proxy's own.
func reserved(text string) bool {
	if !strings.Contains(strings.ToLower(text), reservedPrefix) {
		return false
	}
	for _, name := range append(behind(text, "prepare"), behind(text, "declare")...) {
		if strings.HasPrefix(name, reservedPrefix) {
			return true
		}
	}
	return false
}

// setsTenant reports whether a text names the setting rowseal.tenant.
func setsTenant(text string) bool {
	lower := strings.ToLower(strings.ReplaceAll(text, `"`, ""))
	return strings.Contains(lower, "rowseal.tenant")
}

// revalidate sees to it that the snapshot which decides what is looked at is what
// this session made of the catalog, and not much older than what others did.
func (c *clientSide) revalidate() error {
	changed := c.snapshot == nil || !c.catalog.holds(c)
	if !changed && c.database.fresh() {
		return c.currentCatalog()
	}
	idle := !c.piped && c.s.status.Load() == 'I'
	if changed && !c.inFailed() || idle && c.s.queue.quiet() {
		return c.currentCatalog()
	}
	if c.snapshot == nil {
		return errFailed()
	}
	return nil
}

// inFailed reports whether the transaction is known to have failed.
func (c *clientSide) inFailed() bool {
	return c.s.status.Load() == 'E' && c.s.queue.quiet()
}

func errFailed() error {
	return refusal(stateFailed, "current transaction is aborted, commands ignored until end of transaction block", "")
}

// analyse makes the plan of a text, or finds it in the cache.
func (c *clientSide) analyse(text string, oids []uint32, words parse.Words, prepared bool) (*view, *plan.Plan, error) {
	if c.inFailed() {
		return nil, nil, errFailed()
	}
	v, err := c.current()
	if err != nil {
		return nil, nil, err
	}
	if v.encoding != "" {
		return nil, nil, refusal("0A000", "sealed columns cannot be used with client_encoding "+v.encoding,
			"SET client_encoding TO 'UTF8'.")
	}
	k := planKey{
		text: text, oids: oidKey(oids), path: v.pathKey, snapshot: v.snapshot,
		tenant: v.values.Tenant != "", noBackslash: v.noBackslash, nullEquals: v.nullEquals, prepared: prepared,
	}
	cached := !words.Names && len(text) <= maxPlanText
	if cached {
		if p, ok := c.rules.plans.Get(k); ok {
			return v, p, nil
		}
	}
	k.text = strings.Clone(text)
	c.unsure, c.moved, c.exchanged, c.usesNames, c.skips, c.unknown = false, false, false, false, false, nil
	p, err := c.makePlan(v, k.text, oids, prepared)
	if c.unsure {
		// What a name stands for is not known before the server's answers are.
		if err := c.makeSure(true); err != nil {
			return nil, nil, err
		}
		p, err = c.makePlan(v, k.text, oids, prepared)
	}
	if c.skips {
		return nil, nil, errSkipping
	}
	if len(c.unknown) > 0 {
		if err := c.askKept(c.unknown...); err != nil {
			return nil, nil, err
		}
		p, err = c.makePlan(v, k.text, oids, prepared)
	}
	if again, failed := c.confirmNames(); failed != nil {
		return nil, nil, failed
	} else if again {
		c.moved = false
		p, err = c.makePlan(v, k.text, oids, prepared)
	}
	if err == nil && c.moved {
		err = errMoved()
	}
	if err == nil {
		err = c.codeAmidNames(k.text, words.Effects, p)
	}
	if err != nil {
		return nil, nil, err
	}
	if cached && !p.OfTenant && !hasConstants(p) {
		c.rules.plans.Add(k, p)
	}
	return v, p, nil
}

// makePlan analyses a text. Whatever goes wrong in there, the text is refused.
func (c *clientSide) makePlan(v *view, text string, oids []uint32, prepared bool) (p *plan.Plan, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.s.log.Error("analysis of a statement failed", "panic", fmt.Sprintf("%T", r))
			p, err = nil, refusal("XX000", "the statement could not be analysed", "This is a defect of the proxy.")
		}
	}()
	p, err = c.engine().analyze(&plan.Context{
		Catalog: v.snapshot, Policy: c.rules.policy, Path: v.path, ParamTypes: oids, Tenant: v.values.Tenant,
		Prepared: c.prepared, Cursor: c.cursor, NoBackslash: v.noBackslash, NullEquals: v.nullEquals, Repeats: prepared,
	}, text)
	if err == nil {
		return p, nil
	}
	if _, ok := refusalOf(err); ok {
		return nil, err
	}
	c.s.log.Error("analysis of a statement failed", "error", err)
	return nil, refusal("XX000", "the statement could not be analysed", "This is a defect of the proxy.")
}

// cursor gives the columns of a cursor or portal, for FETCH.
func (c *clientSide) cursor(name string) []plan.Output {
	c.unsure = c.unsure || c.portals.unsure([]byte(name), c.pipeline)
	po := c.portals.get([]byte(name), c.pipeline)
	if po == nil {
		return nil
	}
	if po.opens() {
		c.usesNames, c.exchanged = true, c.exchanged || !po.sure(c)
	}
	return po.result()
}

// oidKey gives declared types as a key.
func oidKey(oids []uint32) string {
	if len(oids) == 0 {
		return ""
	}
	b := make([]byte, 0, 4*len(oids))
	for _, oid := range oids {
		b = binary.BigEndian.AppendUint32(b, oid)
	}
	return string(b)
}

// hasConstants reports whether a plan holds values of its text: such texts hardly come again.
func hasConstants(p *plan.Plan) bool {
	for i := range p.Cells {
		if p.Cells[i].From.Const != nil {
			return true
		}
	}
	for i := range p.Stmts {
		if inner := p.Stmts[i].Inner; inner != nil && hasConstants(inner) {
			return true
		}
	}
	return false
}
