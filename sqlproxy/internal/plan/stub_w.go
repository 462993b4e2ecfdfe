package plan

import pg "github.com/pganalyze/pg_query_go/v6"

func (a *analyzer) command(n *pg.Node) Stmt {
	a.writing(&scope{}, n)
	return Stmt{Result: a.outputs(nil, n)}
}
