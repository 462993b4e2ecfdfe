package plan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// ddl analyses statements that make or change objects, and all the rest.
func (a *analyzer) ddl(raw *pg.RawStmt, n *pg.Node) {
	a.changesMoving(n)
	switch {
	case n.GetCreateStmt() != nil:
		a.createTable(n.GetCreateStmt())
	case n.GetAlterTableStmt() != nil:
		a.alterTable(raw, n.GetAlterTableStmt())
	case n.GetIndexStmt() != nil:
		a.createIndex(n.GetIndexStmt())
	case n.GetViewStmt() != nil:
		a.createView(n.GetViewStmt())
	case n.GetRenameStmt() != nil:
		a.rename(n.GetRenameStmt())
	case n.GetAlterObjectSchemaStmt() != nil:
		s := n.GetAlterObjectSchemaStmt()
		if t := a.sealedTable(s.Relation); t != nil {
			a.refuseDDL(t.Name(), "the policy finds the table by its schema, which would change", "Change the policy and the table together, without the proxy.", s.Relation)
		}
	case n.GetCreateStatsStmt() != nil:
		a.createStatistics(n.GetCreateStatsStmt())
	case n.GetCreateFunctionStmt() != nil:
		a.code(raw, "a function")
	case n.GetCreateTrigStmt() != nil:
		s := n.GetCreateTrigStmt()
		a.noColumn(a.sealedTable(s.Relation), s.WhenClause, "the condition of a trigger", s.Relation)
	case n.GetCreatePolicyStmt() != nil:
		s := n.GetCreatePolicyStmt()
		a.noColumn(a.sealedTable(s.Table), s.Qual, "a row security policy", s.Table)
		a.noColumn(a.sealedTable(s.Table), s.WithCheck, "a row security policy", s.Table)
	case n.GetAlterPolicyStmt() != nil:
		s := n.GetAlterPolicyStmt()
		a.noColumn(a.sealedTable(s.Table), s.Qual, "a row security policy", s.Table)
		a.noColumn(a.sealedTable(s.Table), s.WithCheck, "a row security policy", s.Table)
	case n.GetCreatePublicationStmt() != nil:
		a.publication(n.GetCreatePublicationStmt().Pubobjects)
	case n.GetAlterPublicationStmt() != nil:
		a.publication(n.GetAlterPublicationStmt().Pubobjects)
	case goesOn(n):
	case a.namesSensitive(n):
		a.refuse(&Refusal{
			SQLState: "0A000", Position: -1,
			Message: "this kind of statement, naming a sealed table, is not understood by the proxy",
			Hint:    "Connect to the server without the proxy for it.",
		})
	}
}

// goesOn reports whether a kind of statement may name sealed tables and go on
// as it is: it neither holds values nor lets any out.
func goesOn(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_TransactionStmt, *pg.Node_VariableSetStmt, *pg.Node_VariableShowStmt, *pg.Node_DiscardStmt,
		*pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt, *pg.Node_ConstraintsSetStmt, *pg.Node_CheckPointStmt,
		*pg.Node_LockStmt, *pg.Node_TruncateStmt, *pg.Node_VacuumStmt, *pg.Node_ClusterStmt, *pg.Node_ReindexStmt,
		*pg.Node_GrantStmt, *pg.Node_CommentStmt, *pg.Node_SecLabelStmt, *pg.Node_DropStmt, *pg.Node_AlterOwnerStmt,
		*pg.Node_CreateSeqStmt, *pg.Node_AlterSeqStmt,
		*pg.Node_RefreshMatViewStmt, *pg.Node_AlterFunctionStmt, *pg.Node_AlterObjectDependsStmt:
		return true
	}
	return false
}

// namesSensitive reports whether something sealed, or made of it, is named in a statement.
func (a *analyzer) namesSensitive(n proto.Message) bool {
	return contains(n, func(m proto.Message) bool {
		rv, ok := m.(*pg.RangeVar)
		return ok && a.c.Catalog.Sensitive(rv.Relname)
	})
}

// sealedTable returns the policy's table that a name stands for; nil where nothing of it is sealed.
func (a *analyzer) sealedTable(rv *pg.RangeVar) *field.Table {
	if rv == nil {
		return nil
	}
	if r := a.lookup(rv); r != nil && r.Table != nil {
		return r.Table
	} else if r != nil && r.Temporary {
		return nil
	}
	return a.listed(rv)
}

// listed returns the policy's table of a name, whether there is one in the database or not.
func (a *analyzer) listed(rv *pg.RangeVar) *field.Table {
	if a.c.Policy == nil || rv == nil || rv.Relpersistence == "t" {
		return nil
	}
	schema := rv.Schemaname
	for _, s := range a.c.Path {
		if schema == "" && s != "pg_catalog" && !strings.HasPrefix(s, "pg_temp") {
			schema = s
		}
	}
	if schema == "pg_temp" {
		return nil
	}
	return a.c.Policy.Table(schema + "." + rv.Relname)
}

// namesColumn reports whether an expression names a sealed column of a table, other than to ask whether it is NULL.
func namesColumn(t *field.Table, n proto.Message) bool {
	return contains(n, func(m proto.Message) bool {
		ref, ok := m.(*pg.ColumnRef)
		return ok && len(ref.Fields) > 0 && t.Column(lastName(ref.Fields)) != nil
	})
}

// noColumn refuses an expression that the server evaluates by itself, where it looks into sealed columns.
func (a *analyzer) noColumn(t *field.Table, n *pg.Node, what string, rv *pg.RangeVar) {
	if t != nil && n != nil && !onlyNullTests(t, n) {
		a.refuseDDL(t.Name(), what+" cannot look into sealed columns", "Check the value in the application, or declare `search: [equality]` and compare there.", rv)
	}
	if n != nil && a.namesSensitive(n) {
		a.refuseDDL(rv.GetRelname(), what+" cannot read sealed tables", "Keep what it needs in a plain table.", rv)
	}
}

// onlyNullTests reports whether all that an expression asks of sealed columns is whether they are NULL.
func onlyNullTests(t *field.Table, n proto.Message) bool {
	if test, ok := n.(*pg.NullTest); ok && test.GetArg().GetColumnRef() != nil {
		return true
	}
	if ref, ok := n.(*pg.ColumnRef); ok {
		return t.Column(lastName(ref.Fields)) == nil
	}
	good := true
	children(n, func(m proto.Message) { good = good && onlyNullTests(t, m) })
	return good
}

// publication refuses row filters of sealed tables, in which the server would find
// constants in clear, and compare them with what is sealed. Publications of whole tables and lists of columns pass.
func (a *analyzer) publication(objects []*pg.Node) {
	for _, n := range objects {
		t := n.GetPublicationObjSpec().GetPubtable()
		if t.GetWhereClause() == nil {
			continue
		}
		if sealed := a.sealedTable(t.Relation); sealed != nil {
			a.refuseDDL(sealed.Name(), "a publication of a sealed table cannot have a row filter", "Publish the whole table, or filter where it is subscribed to.", t.Relation)
		}
	}
}

// createView lets a view of sealed columns pass: its values stay sealed in it, and are opened when they are read.
func (a *analyzer) createView(s *pg.ViewStmt) {
	if t := a.listed(s.View); t != nil {
		a.refuseDDL(t.Name(), "the policy lists a table of this name", "Give the view another name.", s.View)
	}
	mark := a.mark()
	a.query(&scope{}, s.Query.GetSelectStmt(), nil)
	if a.changed(mark) {
		a.refuseDDL(s.View.Relname, "a view cannot compare or group by sealed columns", "Let the view pass them on, and compare in the query that reads it.", s.View)
	}
}

func (a *analyzer) rename(s *pg.RenameStmt) {
	t := a.sealedTable(s.Relation)
	switch {
	case s.RenameType == pg.ObjectType_OBJECT_COLUMN && t != nil &&
		(t.Column(s.Subname) != nil || t.Column(s.Newname) != nil || t.Tenant().Column == s.Subname || t.RowID() == s.Subname):
		a.refuseDDL(t.Name(), "the policy knows the column by its name", "Change the policy and the column together, without the proxy.", s.Relation)
	case s.RenameType == pg.ObjectType_OBJECT_TABLE:
		to := &pg.RangeVar{Schemaname: s.Relation.GetSchemaname(), Relname: s.Newname}
		if a.listed(s.Relation) != nil || a.listed(to) != nil {
			a.refuseDDL(s.Relation.GetRelname(), "the policy knows the table by its name", "Change the policy and the table together, without the proxy.", s.Relation)
		}
	case s.RenameType == pg.ObjectType_OBJECT_SCHEMA && a.c.Policy != nil:
		for _, t := range a.c.Policy.Tables() {
			if schema, _ := catalog.NameOf(t); schema == s.Subname || schema == s.Newname {
				a.refuseDDL(t.Name(), "the policy knows the table by its schema", "Change the policy and the schema together, without the proxy.", nil)
			}
		}
	}
}

// createIndex makes an index over a sealed column one over its term.
func (a *analyzer) createIndex(s *pg.IndexStmt) {
	t := a.sealedTable(s.Relation)
	if t == nil {
		a.indexOfView(s)
		return
	}
	open := a.indexList(s)
	parts := a.list(open)
	if len(parts) != len(s.IndexParams) {
		a.refuseDDL(t.Name(), "the index's list of columns is not understood", "", s.Relation)
		return
	}
	mark := a.mark()
	for i, n := range s.IndexParams {
		e := n.GetIndexElem()
		c := t.Column(e.Name)
		switch {
		case e.Expr != nil && namesColumn(t, e.Expr):
			a.refuseDDL(t.Name(), "an index over an expression of a sealed column finds nothing", "Index the column itself: the proxy makes it an index over its term.", s.Relation)
		case c == nil:
		case s.AccessMethod != "btree" && s.AccessMethod != "hash" && s.AccessMethod != "":
			a.refuseColumn(c, int(s.Relation.Location), "terms are compared for equality only", "Use a btree or hash index.")
		default:
			a.indexed(c, parts[i], e)
		}
	}
	if a.changed(mark) {
		a.nameIndex(s)
	}
	for _, n := range s.IndexIncludingParams {
		if c := t.Column(n.GetIndexElem().GetName()); c != nil {
			a.refuseColumn(c, int(s.Relation.Location), "an index that includes it would hold a second copy", "Leave it out of INCLUDE.")
		}
	}
	a.noColumn(t, s.WhereClause, "the condition of an index", s.Relation)
}

// indexOfView lets indexes over columns of a materialized view of sealed tables pass, and no expression.
func (a *analyzer) indexOfView(s *pg.IndexStmt) {
	r := a.lookup(s.Relation)
	if r == nil || !r.Sensitive {
		return
	}
	if s.WhereClause != nil || slices.ContainsFunc(s.IndexParams, func(n *pg.Node) bool { return n.GetIndexElem().GetExpr() != nil }) {
		a.refuseDDL(r.Name, "an expression cannot look into sealed columns", "Index plain columns of the view, without a condition.", s.Relation)
	}
}

// indexList returns the token that opens CREATE INDEX's list of columns.
func (a *analyzer) indexList(s *pg.IndexStmt) int {
	i := a.tree.At(int(s.Relation.Location)) + 1
	for a.isWord(i, ".") {
		i += 2
	}
	if a.kindAt(i) == pg.Token_USING {
		i += 2
	}
	return i
}

func (a *analyzer) createStatistics(s *pg.CreateStatsStmt) {
	for _, n := range s.Relations {
		r := a.lookup(n.GetRangeVar())
		if r == nil || !r.Sensitive {
			continue
		}
		for _, e := range s.Exprs {
			x := e.GetStatsElem()
			if r.Table == nil {
				if x.GetExpr() != nil {
					a.refuseDDL(r.Name, "statistics of expressions cannot look into sealed columns", "Leave the expression out.", n.GetRangeVar())
				}
				continue
			}
			if r.Table.Column(x.GetName()) != nil || x.GetExpr() != nil && namesColumn(r.Table, x.GetExpr()) {
				a.refuseDDL(r.Name, "statistics of sealed columns say nothing", "Leave the column out.", n.GetRangeVar())
			}
		}
	}
}

// sealedOf returns the sealed columns among names.
func sealedOf(t *field.Table, keys []*pg.Node) *field.Column {
	i := slices.IndexFunc(keys, func(n *pg.Node) bool { return t.Column(n.GetString_().GetSval()) != nil })
	if i < 0 {
		return nil
	}
	return t.Column(keys[i].GetString_().GetSval())
}
