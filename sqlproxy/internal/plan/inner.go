package plan

import pg "github.com/pganalyze/pg_query_go/v6"

type cte struct{}
type pendingOn struct{}

func (a *analyzer) expr(sc *scope, n *pg.Node, w want) origin                 { return origin{} }
func (a *analyzer) query(sc *scope, s *pg.SelectStmt, wants []want) []column  { return nil }
func (a *analyzer) from(sc *scope, items []*pg.Node)                          {}
func (a *analyzer) conditions(sc *scope, n *pg.Node)                          {}
func (a *analyzer) targets(sc *scope, list []*pg.Node, wants []want) []column { return nil }
func (a *analyzer) with(sc *scope, w *pg.WithClause) *scope                   { return sc }
func (a *analyzer) table(sc *scope, rv *pg.RangeVar) *relation                { return nil }
func (a *analyzer) outputs(cols []column) []Output                            { return nil }
func (a *analyzer) resolve(sc *scope, n *pg.Node) (origin, bool)              { return origin{}, false }
func (a *analyzer) statement(n *pg.Node) Stmt                                 { return Stmt{} }
