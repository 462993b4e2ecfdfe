package plan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/rowseal/rowseal/field"
)

// createChild handles a partition or child of a sealed table: it has the parent's sealed columns,
// whatever is written of them here.
func (a *analyzer) createChild(s *pg.CreateStmt) {
	for _, n := range s.InhRelations {
		t := a.sealedTable(n.GetRangeVar())
		if t == nil {
			continue
		}
		for _, n := range s.TableElts {
			if k := n.GetConstraint(); k != nil {
				a.constraint(t, k, s.Relation)
			}
			d := n.GetColumnDef()
			if d == nil {
				continue
			}
			a.columnConstraints(t, d, s.Relation)
			c := t.Column(d.Colname)
			switch {
			case c == nil:
			case d.TypeName == nil: // a partition's
				a.sealedConstraints(c, d)
			default:
				a.sealedColumn(c, d)
			}
		}
	}
}

// ownerColumns are those that say whose a row is.
func ownerColumns(t *field.Table) (names []string) {
	for _, name := range []string{t.Tenant().Column, t.RowID()} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// alterOwner refuses what would change the text of tenants or bound ids in all rows: their sealed values would not open any more.
func (a *analyzer) alterOwner(t *field.Table, cmd *pg.AlterTableCmd, rv *pg.RangeVar) {
	switch cmd.Subtype {
	case pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_SetExpression, pg.AlterTableType_AT_DropColumn:
	default:
		return
	}
	if slices.Contains(ownerColumns(t), cmd.Name) {
		a.refuseDDL(t.Name(), "column \""+cmd.Name+"\" says whose the row's sealed values are, which would not open any more",
			"Read the sealed values through the proxy first, change the column on a direct connection, and write them again.", rv)
	}
}

// movesOwner refuses foreign keys by which the server would change a row's tenant or bound id behind the proxy.
func (a *analyzer) movesOwner(t *field.Table, k *pg.Constraint, columns []string, rv *pg.RangeVar) {
	if t == nil || k == nil || k.Contype != pg.ConstrType_CONSTR_FOREIGN {
		return
	}
	set := columns
	if len(k.FkDelSetCols) > 0 {
		set = namesOf(k.FkDelSetCols)
	}
	for _, name := range ownerColumns(t) {
		updates := slices.Contains(columns, name) && changes(k.FkUpdAction)
		deletes := slices.Contains(set, name) && k.FkDelAction != "c" && changes(k.FkDelAction)
		if updates || deletes {
			a.refuseDDL(t.Name(), "column \""+name+"\" says whose the row's sealed values are, and the foreign key would have the server change it",
				"Leave out ON UPDATE CASCADE, SET NULL and SET DEFAULT for it.", rv)
		}
	}
}

// changes reports whether a foreign key's action writes to the row that refers: CASCADE, SET NULL, SET DEFAULT.
func changes(action string) bool { return action == "c" || action == "n" || action == "d" }

// namesOf reads a list of names.
func namesOf(list []*pg.Node) []string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.GetString_().GetSval()
	}
	return names
}
