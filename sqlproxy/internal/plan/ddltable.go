package plan

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// createTable makes listed columns bytea, with their guards.
func (a *analyzer) createTable(s *pg.CreateStmt) {
	t := a.listed(s.Relation)
	if t == nil {
		a.createChild(s)
	}
	var guards []string
	for _, n := range s.TableElts {
		switch d := n.GetColumnDef(); {
		case d != nil:
			a.columnConstraints(t, d, s.Relation)
			if t == nil || t.Column(d.Colname) == nil {
				continue
			}
			if a.sealedColumn(t.Column(d.Colname), d) {
				guards = append(guards, guardConstraints(t.Column(d.Colname), s.Relation.Relname)...)
			}
		case n.GetConstraint() != nil:
			a.constraint(t, n.GetConstraint(), s.Relation)
		case n.GetTableLikeClause() != nil:
			from := a.sealedTable(n.GetTableLikeClause().Relation)
			if from != t || t != nil {
				a.refuseDDL(s.Relation.Relname, "LIKE with sealed columns is not followed", "Write the columns out.", s.Relation)
			}
		}
	}
	if t != nil && s.OfTypename != nil {
		a.refuseDDL(t.Name(), "a table of the policy cannot be made of a type", "Write the columns out.", s.Relation)
	}
	for _, n := range s.GetPartspec().GetPartParams() {
		p := n.GetPartitionElem()
		if t != nil && (t.Column(p.GetName()) != nil || p.GetExpr() != nil && namesColumn(t, p.Expr)) {
			a.refuseDDL(t.Name(), "a sealed column cannot be a partition key", "Partition by a plain column.", s.Relation)
		}
	}
	if len(guards) > 0 && a.refusal == nil {
		i := a.tree.At(int(s.Relation.Location)) + 1
		for ; a.isWord(i, "."); i += 2 {
		}
		a.insert(a.tree.Tokens[a.closing(i)].From, ", "+strings.Join(guards, ", "))
	}
}

// sealedColumn makes a column's definition that of a sealed one, and reports whether it needs guards.
func (a *analyzer) sealedColumn(c *field.Column, d *pg.ColumnDef) bool {
	a.sealedConstraints(c, d)
	return a.refusal == nil && a.sealedType(c, d.TypeName, int(d.Location))
}

// sealedConstraints refuses what a sealed column's definition cannot have.
func (a *analyzer) sealedConstraints(c *field.Column, d *pg.ColumnDef) {
	at := int(d.Location)
	if d.CollClause != nil {
		a.refuseColumn(c, at, "sealed values have no collation", "Leave COLLATE out.")
	}
	for _, n := range d.Constraints {
		switch k := n.GetConstraint(); k.GetContype() {
		case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL:
		case pg.ConstrType_CONSTR_DEFAULT:
			if !isNull(k.RawExpr) {
				a.refuseColumn(c, at, "a default is the server's, which does not seal", "Give the value in INSERT.")
			}
		case pg.ConstrType_CONSTR_IDENTITY, pg.ConstrType_CONSTR_GENERATED:
			a.refuseColumn(c, at, "the server would make its values, in clear", "Give the value in INSERT.")
		case pg.ConstrType_CONSTR_UNIQUE, pg.ConstrType_CONSTR_PRIMARY:
			a.refuseColumn(c, at, "a constraint would compare sealed values, of which no two are equal",
				"Declare `search: [equality]` and use CREATE UNIQUE INDEX, which the proxy makes one over terms.")
		case pg.ConstrType_CONSTR_CHECK:
			if !onlyNullTests(c.Table(), k.RawExpr) {
				a.refuseColumn(c, at, "CHECK cannot look into sealed values", "Check the value in the application.")
			}
		case pg.ConstrType_CONSTR_FOREIGN:
			a.refuseColumn(c, at, "a foreign key would compare sealed values", "Join over equality terms without a foreign key.")
		}
	}
}

func isNull(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().Arg
	}
	return n.GetAConst().GetIsnull()
}

// sealedType puts bytea in place of a listed column's logical type.
func (a *analyzer) sealedType(c *field.Column, t *pg.TypeName, at int) bool {
	first := a.tree.At(int(t.GetLocation()))
	oid, ok := a.typeOID(t)
	last, found := a.typeEnd(first)
	if first < 0 || !found {
		a.refuseColumn(c, at, "its type is not understood", "Write the type that the policy declares.")
		return false
	}
	from, to := a.tree.Tokens[first].From, a.tree.Tokens[last].To
	if ok && oid == pgtype.ByteaOID {
		return true
	}
	same := ok && oid == c.Type().OID()
	if declared, err := codec.ParseType(strings.ToLower(a.tree.Text[from:to])); same && err == nil && len(t.Typmods) > 0 {
		same = declared == c.Type()
	}
	if !same {
		a.refuseColumn(c, at, "the policy declares it as "+c.Type().String(), "Write that type, or change the policy first.")
		return false
	}
	a.replace(from, to, "pg_catalog.bytea")
	return true
}

// constraint refuses constraints that would compare sealed values or look into them.
func (a *analyzer) constraint(t *field.Table, k *pg.Constraint, rv *pg.RangeVar) {
	if k == nil {
		return
	}
	if k.Contype == pg.ConstrType_CONSTR_FOREIGN {
		if to := a.sealedTable(k.Pktable); to != nil && sealedOf(to, k.PkAttrs) != nil {
			a.refuseColumn(sealedOf(to, k.PkAttrs), int(k.Location), "a foreign key would compare sealed values", "Refer to a plain column.")
		}
	}
	if t == nil {
		return
	}
	a.movesOwner(t, k, namesOf(k.FkAttrs), rv)
	for _, keys := range [][]*pg.Node{k.Keys, k.FkAttrs, k.Including} {
		if c := sealedOf(t, keys); c != nil {
			a.refuseColumn(c, int(k.Location), "a constraint would compare sealed values, of which no two are equal",
				"Declare `search: [equality]` and use CREATE UNIQUE INDEX, which the proxy makes one over terms.")
		}
	}
	if k.RawExpr != nil && !onlyNullTests(t, k.RawExpr) {
		a.refuseDDL(t.Name(), "an expression cannot look into sealed columns", "Check the value in the application.", rv)
	}
	a.noColumn(t, k.WhereClause, "the condition of EXCLUDE", rv)
	for _, x := range k.Exclusions {
		if namesColumn(t, x) || t.Column(x.GetList().GetItems()[0].GetIndexElem().GetName()) != nil {
			a.refuseDDL(t.Name(), "EXCLUDE cannot compare sealed columns", "Leave them out.", rv)
		}
	}
}

// columnConstraints handles those that stand behind a column's name.
func (a *analyzer) columnConstraints(t *field.Table, d *pg.ColumnDef, rv *pg.RangeVar) {
	for _, n := range d.GetConstraints() {
		k := n.GetConstraint()
		a.constraint(t, k, rv)
		a.movesOwner(t, k, []string{d.Colname}, rv)
	}
}

// alterTable handles listed columns in ALTER TABLE.
func (a *analyzer) alterTable(raw *pg.RawStmt, s *pg.AlterTableStmt) {
	t := a.sealedTable(s.Relation)
	r := a.lookup(s.Relation)
	for _, n := range s.Cmds {
		cmd := n.GetAlterTableCmd()
		if t == nil && r != nil && r.Sensitive && cmd.Subtype == pg.AlterTableType_AT_ColumnDefault && cmd.Def != nil && !isNull(cmd.Def) {
			a.refuseDDL(r.Name, "a default of a view of sealed columns is the server's, which does not seal", "Give the value in INSERT.", s.Relation)
		}
		if k := cmd.GetDef().GetConstraint(); k != nil {
			a.constraint(t, k, s.Relation)
		}
		d := cmd.GetDef().GetColumnDef()
		a.columnConstraints(t, d, s.Relation)
		if t == nil {
			continue
		}
		a.leavesParent(t, cmd, s.Relation)
		a.alterOwner(t, cmd, s.Relation)
		if cmd.Def != nil && d == nil && cmd.GetDef().GetConstraint() == nil || d.GetRawDefault() != nil {
			if !onlyNullTests(t, cmd.Def) {
				a.refuseDDL(t.Name(), "an expression cannot look into sealed columns", "Compute the value in the application.", s.Relation)
			}
		}
		if cmd.Subtype == pg.AlterTableType_AT_AddColumn {
			a.addColumn(raw, t, d, s.Relation)
			continue
		}
		if c := t.Column(cmd.Name); c != nil {
			a.alterColumn(c, cmd, int(s.Relation.Location))
		}
	}
}

// leavesParent refuses to part a table from the one whose policy it follows: its columns would count as
// plain from then on, with sealed values in them.
func (a *analyzer) leavesParent(t *field.Table, cmd *pg.AlterTableCmd, rv *pg.RangeVar) {
	switch cmd.Subtype {
	case pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DetachPartitionFinalize, pg.AlterTableType_AT_DropInherit:
		a.refuseDDL(t.Name(), "a table that leaves its parent leaves the policy, with sealed values in it",
			"Do it on a direct connection, and list the table in the policy with the ids of its parent.", rv)
	}
}

func (a *analyzer) addColumn(raw *pg.RawStmt, t *field.Table, d *pg.ColumnDef, rv *pg.RangeVar) {
	c := t.Column(d.GetColname())
	if c == nil || !a.sealedColumn(c, d) || a.refusal != nil {
		return
	}
	_, end := a.stmtRange(raw)
	depth, i := 0, a.tree.At(int(d.Location))
	for ; i < len(a.tree.Tokens) && a.tree.Tokens[i].From < end; i++ {
		switch word := a.tree.Text[a.tree.Tokens[i].From:a.tree.Tokens[i].To]; word {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
		if depth == 0 && (a.isWord(i, ",") || a.isWord(i, ";")) {
			break
		}
	}
	for _, g := range guardConstraints(c, rv.Relname) {
		a.insert(a.tree.Tokens[i-1].To, ", ADD "+g)
	}
}

// alterColumn handles a change of a sealed column.
func (a *analyzer) alterColumn(c *field.Column, cmd *pg.AlterTableCmd, at int) {
	switch cmd.Subtype {
	case pg.AlterTableType_AT_ColumnDefault:
		if cmd.Def != nil && !isNull(cmd.Def) {
			a.refuseColumn(c, at, "a default is the server's, which does not seal", "Give the value in INSERT.")
		}
	case pg.AlterTableType_AT_AlterColumnType:
		a.refuseColumn(c, at, "the server cannot convert sealed values", "Change the type in the policy and reseal the column.")
	case pg.AlterTableType_AT_AddIdentity, pg.AlterTableType_AT_SetIdentity, pg.AlterTableType_AT_SetExpression:
		a.refuseColumn(c, at, "the server would make its values, in clear", "Give the value in INSERT.")
	}
}

// guardConstraints are the CHECKs that let only sealed values into a column,
// written so that they mean the same whatever standard_conforming_strings is.
func guardConstraints(c *field.Column, table string) []string {
	var out []string
	for _, g := range guard.Of(c) {
		condition := strings.ReplaceAll(guard.PostgreSQL.Condition(g, quoted(c.Name())), ` '\x`, ` E'\\x`)
		condition = strings.ReplaceAll(condition, `('\x`, `(E'\\x`)
		out = append(out, fmt.Sprintf("CONSTRAINT %s CHECK (%s)", quoted(g.Name(table)), condition))
	}
	return out
}
