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
	// coded is how often code that may exchange it had been sent when it was last known to be the same.
	coded int64
}

// coded counts texts that were sent which may run code that exchanges what has a name: cursors, and statements
// among them.
type coded struct{ cursors, statements int64 }

// namesText gives what has a name, with when and of what text it was made.
const namesText = `SELECT 's' || name AS k, pg_catalog.encode(pg_catalog.timestamptz_send(prepare_time), 'hex') || from_sql || pg_catalog.hashtext(statement) AS v ` +
	`FROM pg_catalog.pg_prepared_statements UNION ALL ` +
	`SELECT 'c' || name, pg_catalog.encode(pg_catalog.timestamptz_send(creation_time), 'hex') || pg_catalog.hashtext(statement) FROM pg_catalog.pg_cursors`

// anyCode are the effects of code that is not read; no other statement has all of them.
const anyCode = parse.Settings | parse.SettingsAtEnd | parse.Catalog | parse.TempCatalog

// runsCode reports whether a text may run code that drops cursors and makes others, or statements too.
func (c *clientSide) runsCode(text string, e parse.Effects) (cursors, statements bool) {
	if c.snapshot == nil || always(text, e) && rollsBack(text) {
		return false, false
	}
	code := c.snapshot.Code()
	// Within a transaction block the catalog may be known as it was before another session made a function.
	if latest, _ := c.database.get(); latest != nil {
		code |= latest.Code()
	}
	// A text may make a function and call it.
	unread := e&anyCode == anyCode || e&parse.Catalog != 0 || !c.catalog.holds(c) || c.database.until.Load() == 0
	statements = unread || code&parse.TempCatalog != 0
	return statements || code&parse.Closes != 0, statements
}

// rollsBack reports whether a text that ends a transaction runs no deferred triggers.
func rollsBack(text string) bool {
	first := strings.ToLower(strings.TrimLeft(text, " \t\r\n"))
	return strings.HasPrefix(first, "rollback") || strings.HasPrefix(first, "abort")
}

// beforeCode sees to it that names are told apart before a text is sent that may run code.
func (c *clientSide) beforeCode(text string, e parse.Effects) error {
	if !c.named {
		return nil
	}
	cursors, statements := c.runsCode(text, e)
	if !cursors {
		return nil
	}
	if c.unstamped && c.s.status.Load() != 'E' {
		if err := c.confirm(); err != nil {
			return err
		}
	}
	c.coded.cursors++
	if statements {
		c.coded.statements++
	}
	return nil
}

// eachName gives what has a name that SQL may use and results that are opened, or values that are sealed; coded is what
// its own is compared with, and drop forgets it.
func (c *clientSide) eachName(do func(key string, s *stamped, coded int64, drop func())) {
	for name := range c.statements {
		if st := c.statements.get([]byte(name), c.pipeline); name != "" && st != nil && st.touches() && !st.exchanged {
			do("s"+name, &st.stamped, c.coded.statements, func() {
				st.exchanged = true // its values must not be sent, whatever is there now
			})
		}
	}
	for name := range c.portals {
		if po := c.portals.get([]byte(name), c.pipeline); name != "" && po != nil && po.opens() {
			do("c"+name, &po.stamped, c.coded.cursors, func() { settle(c.portals.set([]byte(name), nil, 0)) })
		}
	}
}

// confirm asks the server what it has under the names. Cursors that were exchanged are forgotten: their results are not
// opened. Statements are not executed any more.
func (c *clientSide) confirm() error {
	rows, err := c.Query(c.s.ctx, namesText)
	if err != nil {
		return err
	}
	has := make(map[string]string, len(rows))
	for _, r := range rows {
		if len(r) == 2 {
			has[string(r[0])] = string(r[1])
		}
	}
	c.confirmBy(has)
	return nil
}

// confirmBy compares what has a name with what the server has.
func (c *clientSide) confirmBy(has map[string]string) {
	c.unstamped, c.confirmed = false, c.coded.cursors
	c.eachName(func(key string, s *stamped, coded int64, drop func()) {
		stamp := has[key]
		switch {
		case stamp != "" && (s.stamp == stamp || s.stamp == "" && s.coded == coded):
			s.stamp, s.coded = stamp, coded
		case s.stamp != "" || s.coded != coded:
			drop()
		}
	})
}

// confirmWith is what the query for the settings asks besides, where the names are to be confirmed too; "" for nothing.
func (c *clientSide) confirmWith() string {
	if !c.named || c.confirmed == c.coded.cursors {
		return ""
	}
	return ", (SELECT pg_catalog.json_object_agg(n.k, n.v) FROM (" + namesText + ") AS n)"
}

// madeStatement and madeCursor give the mark of what gets a name now.
func (c *clientSide) madeStatement() stamped {
	c.named, c.unstamped = true, true
	return stamped{coded: c.coded.statements}
}

func (c *clientSide) madeCursor() stamped {
	c.named, c.unstamped = true, true
	return stamped{coded: c.coded.cursors}
}

// sure reports whether a statement is known to be the one that was made under its name.
func (s *statement) sure(c *clientSide) bool { return s.stamped.coded == c.coded.statements }

// sure reports it of a portal.
func (p *portal) sure(c *clientSide) bool { return p.stamped.coded == c.coded.cursors }

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
	if len(p.Stmts) < 2 || !c.usesNames && !makesNames(p) {
		return nil
	}
	if cursors, _ := c.runsCode(text, e); !cursors {
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
