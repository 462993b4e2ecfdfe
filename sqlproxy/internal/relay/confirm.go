package relay

import (
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// The names of prepared statements and cursors are known to code that the proxy does not read: DO, CALL and functions may
// drop what has a name and make something else under it. Rows of that would be opened as the columns of what was
// there before. So what has a name, and results that are opened, is compared with what the server has under that
// name before it is used again behind such code: whether it is the one that was made then (confirm). What it is must have
// been asked before the code ran (beforeCode).

// stamped is how something with a name is told from what may take its place.
type stamped struct {
	// stamp is the server's mark of it; "" before it was asked.
	stamp string
	// coded is how often code that is not read had been sent when it was last known to be the same.
	coded int64
}

// namesText gives what has a name, with when and of what text it was made.
const namesText = `SELECT 's' || name, pg_catalog.encode(pg_catalog.timestamptz_send(prepare_time), 'hex') || from_sql || pg_catalog.hashtext(statement) ` +
	`FROM pg_catalog.pg_prepared_statements UNION ALL ` +
	`SELECT 'c' || name, pg_catalog.encode(pg_catalog.timestamptz_send(creation_time), 'hex') || pg_catalog.hashtext(statement) FROM pg_catalog.pg_cursors`

// anyCode are the effects of code that is not read; no other statement has all of them.
const anyCode = parse.Settings | parse.SettingsAtEnd | parse.Catalog | parse.TempCatalog

// runsCode reports whether a text may run code that drops or makes names.
func (c *clientSide) runsCode(text string, e parse.Effects) bool {
	if c.snapshot == nil || always(text, e) && rollsBack(text) {
		return false
	}
	const exchanges = parse.TempCatalog | parse.Closes
	if e&anyCode == anyCode || c.snapshot.Code()&exchanges != 0 || c.database.until.Load() == 0 {
		return true
	}
	// Within a transaction block the catalog may be known as it was before another session made a function.
	latest, _ := c.database.get()
	return latest != nil && latest.Code()&exchanges != 0
}

// rollsBack reports whether a text that ends a transaction runs no deferred triggers.
func rollsBack(text string) bool {
	first := strings.ToLower(strings.TrimLeft(text, " \t\r\n"))
	return strings.HasPrefix(first, "rollback") || strings.HasPrefix(first, "abort")
}

// beforeCode sees to it that names are told apart before a text is sent that may run code.
func (c *clientSide) beforeCode(text string, e parse.Effects) error {
	if !c.named || !c.runsCode(text, e) {
		return nil
	}
	if c.unstamped && c.s.status.Load() != 'E' {
		if err := c.confirm(); err != nil {
			return err
		}
	}
	c.coded++
	return nil
}

// eachName gives what has a name that SQL may use and results that are opened, or values that are sealed; drop forgets it.
func (c *clientSide) eachName(do func(key string, s *stamped, drop func())) {
	for name := range c.statements {
		if st := c.statements.get([]byte(name)); name != "" && st != nil && st.touches() {
			do("s"+name, &st.stamped, func() {
				c.unread = true
				settle(c.statements.set([]byte(name), nil, 0))
			})
		}
	}
	for name := range c.portals {
		if po := c.portals.get([]byte(name)); name != "" && po != nil && po.opens() {
			do("c"+name, &po.stamped, func() { settle(c.portals.set([]byte(name), nil, 0)) })
		}
	}
}

// confirm asks the server what it has under the names. What was exchanged is forgotten: its results are not opened.
func (c *clientSide) confirm() error {
	rows, err := c.Query(c.s.ctx, namesText)
	if err != nil {
		return err
	}
	c.unstamped = false
	has := make(map[string]string, len(rows))
	for _, r := range rows {
		if len(r) == 2 {
			has[string(r[0])] = string(r[1])
		}
	}
	c.eachName(func(key string, s *stamped, drop func()) {
		stamp := has[key]
		switch {
		case stamp != "" && (s.stamp == stamp || s.stamp == "" && s.coded == c.coded):
			s.stamp, s.coded = stamp, c.coded
		case s.stamp != "" || s.coded != c.coded:
			drop()
		}
	})
	return nil
}

// made gives the mark of what gets a name now.
func (c *clientSide) made() stamped {
	c.named, c.unstamped = true, true
	return stamped{coded: c.coded}
}

// sure reports whether something with a name is known to be what it was when it was made.
func (c *clientSide) sure(s *stamped) bool { return s.coded == c.coded }

// confirmNames finds out, where the analysis met names that may have been exchanged, whether they were. It reports
// whether the analysis must be made anew.
func (c *clientSide) confirmNames() (again bool, err error) {
	if !c.exchanged {
		return false, nil
	}
	c.exchanged = false
	return true, c.confirm()
}

// codeAmidNames refuses a text that uses or makes sealed names, and runs code that may exchange them before the proxy can ask.
func (c *clientSide) codeAmidNames(text string, e parse.Effects, p *plan.Plan) error {
	if len(p.Stmts) < 2 || !c.usesNames && !makesNames(p) || !c.runsCode(text, e) {
		return nil
	}
	others := 0
	for i := range p.Stmts {
		if k := p.Stmts[i].Kind; k != plan.KindClose && k != plan.KindDeallocate {
			others++
		}
	}
	if others < 2 {
		return nil
	}
	return refusal("0A000", "a text cannot both use names of prepared statements or cursors with sealed columns and run code that may change them",
		"Send the statements one by one.")
}

// makesNames reports whether a text makes statements or cursors with sealed columns that stay behind it.
func makesNames(p *plan.Plan) bool {
	for i := range p.Stmts {
		st := &p.Stmts[i]
		if st.Kind == plan.KindPrepare && st.Inner != nil && st.Inner.Touches {
			return true
		}
		for j := range st.Result {
			if st.Kind == plan.KindDeclare && len(st.Result[j].Possible) > 0 {
				return true
			}
		}
	}
	return false
}
