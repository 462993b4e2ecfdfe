package plan

import pg "github.com/pganalyze/pg_query_go/v6"

type edits struct{}

func (a *analyzer) replace(from, to int, text string) {}
func (a *analyzer) insert(at int, text string)        {}
func (a *analyzer) cell(c Cell) int                   { return 0 }
func (a *analyzer) useCell(from, to, cell int)        {}
func (a *analyzer) newRow() int                       { return 0 }
func (a *analyzer) mark() int                         { return 0 }
func (a *analyzer) reset(m int)                       {}
func (a *analyzer) changed(m int) bool                { return false }
func (a *analyzer) constant(n *pg.Node) (s Source, from, to int, oid uint32, ok bool) {
	return Source{}, 0, 0, 0, false
}
