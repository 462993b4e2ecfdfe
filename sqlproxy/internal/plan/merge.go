package plan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func (a *analyzer) mergeStmt(sc *scope, s *pg.MergeStmt) ([]column, bool) {
	a.aheadOfWith(sc, s.WithClause)
	a.ahead(func() { a.aheadOfMerge(sc, s) })
	sc = a.with(sc, s.WithClause)
	in := &scope{parent: sc}
	w := a.writeTarget(in, s.Relation)
	if w == nil {
		return nil, true
	}
	kinds := func(kinds ...pg.MergeMatchKind) bool {
		return slices.ContainsFunc(s.MergeWhenClauses, func(n *pg.Node) bool {
			return slices.Contains(kinds, n.GetMergeWhenClause().GetMatchKind())
		})
	}
	unsourced := kinds(pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
	a.absently(unsourced, func() { a.from(in, []*pg.Node{s.SourceRelation}) })
	// Rows to insert are those for which the condition does not hold, so that
	// nothing that it says of tenants is true of the source by itself.
	source := &scope{parent: sc, oldest: in.oldest, rels: in.rels[1:], visible: in.visible[len(w.rel.cols):]}
	untargeted := kinds(pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET)
	a.absently(unsourced || untargeted, func() { a.conditions(in, s.JoinCondition) })
	for _, n := range s.MergeWhenClauses {
		if a.refusal != nil {
			return nil, true
		}
		when := n.GetMergeWhenClause()
		unmatched := when.MatchKind != pg.MergeMatchKind_MERGE_WHEN_MATCHED
		if unmatched {
			in.unpin()
		}
		joined := len(in.undo)
		a.mergeWhen(in, source, w, s, when)
		source.unpin()
		in.unpinTo(joined) // what one WHEN says is not so for the next one
		if unmatched {
			in.undo = append(in.undo, a.pin(in, conjuncts(s.JoinCondition, nil), nil))
		}
	}
	in.unpin()
	// For the server the source comes first.
	result := &scope{
		parent: sc, oldest: in.oldest, rels: append(slices.Clone(source.rels), in.rels[0]),
		visible: append(slices.Clone(source.visible), in.visible[:len(w.rel.cols)]...),
	}
	return a.targetList(result, s.ReturningList, nil)
}

// aheadOfMerge looks for what of the source flows into sealed columns.
func (a *analyzer) aheadOfMerge(sc *scope, s *pg.MergeStmt) {
	in := &scope{parent: a.with(sc, s.WithClause)}
	w := a.writeTarget(in, s.Relation)
	if w == nil || w.table == nil {
		return
	}
	a.from(in, []*pg.Node{s.SourceRelation})
	for _, n := range s.MergeWhenClauses {
		when := n.GetMergeWhenClause()
		switch when.CommandType {
		case pg.CmdType_CMD_UPDATE:
			a.aheadOfSet(in, w, when.TargetList)
		case pg.CmdType_CMD_INSERT:
			ins := &insertion{writing: w}
			if !a.insertColumns(ins, when.TargetList) {
				return
			}
			for j, i := range ins.columns[:min(len(ins.columns), len(when.Values))] {
				if c := w.sealed(i); c != nil {
					a.flow(in, c, when.Values[j])
				}
			}
		}
	}
}

func (a *analyzer) mergeWhen(in, source *scope, w *writing, s *pg.MergeStmt, when *pg.MergeWhenClause) {
	at := int(s.Relation.Location)
	if when.CommandType == pg.CmdType_CMD_INSERT {
		a.conditions(source, when.Condition)
		ins := &insertion{writing: w}
		if !a.insertColumns(ins, when.TargetList) {
			return
		}
		a.overriding(w, when.Override, at)
		a.omitted(ins, at)
		if len(when.Values) > 0 {
			if len(when.TargetList) == 0 && len(w.rel.hidden) > 0 {
				a.refuse(hiddenColumns(w.rel.table, "INSERT of MERGE without a list of columns", at))
			}
			a.listMoving(ins, when.TargetList, s.Relation, len(when.Values))
			mark := a.mark()
			a.insertRow(source, ins, when.Values, at)
			a.mergedRows(ins, mark, at)
		}
		return
	}
	a.conditions(in, when.Condition)
	if when.CommandType != pg.CmdType_CMD_UPDATE {
		return
	}
	where := s.JoinCondition
	if when.MatchKind == pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE {
		where = nil
	}
	set := a.settingOf(in, w, where)
	a.setColumns(in, set, when.TargetList)
}

// mergedRows refuses values that only one row may have: MERGE inserts as many as its source has.
func (a *analyzer) mergedRows(ins *insertion, mark, at int) {
	n := len(ins.tenants) - 1
	a.written(mark, a.edits.rows, at, ins.tenants[n], ins.rowIDs[n],
		"the source may have several rows, and each needs a value of its own")
}
