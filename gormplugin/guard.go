package gormplugin

import (
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
)

// guardWhere adds the guards that sealSet left to the statement's conditions.
func (p *Plugin) guardWhere(c clause.Clause, stmt *gorm.Statement) (clause.Clause, error) {
	guards := p.scopeOf(stmt).guards
	where, ok := c.Expression.(clause.Where)
	if len(guards) == 0 || !ok {
		return c, nil
	}
	c.Expression = guarded{where: clause.Where{Exprs: slices.Clone(where.Exprs)}, guards: guards}
	return c, nil
}

// guarded is a condition that holds only for the rows that sealed values are
// for. The parentheses are its own: GORM leaves them out around text whose ORs
// it does not recognise.
type guarded struct {
	where  clause.Where
	guards []clause.Expression
}

// Build writes (conditions) AND guards.
func (g guarded) Build(b clause.Builder) {
	if len(g.where.Exprs) > 0 {
		_ = b.WriteByte('(')
		g.where.Build(b)
		_, _ = b.WriteString(") AND ")
	}
	for i, e := range g.guards {
		if i > 0 {
			_, _ = b.WriteString(" AND ")
		}
		e.Build(b)
	}
}

// pinned returns the value that the statement's conditions fix a column to,
// if every row that they hold for has it.
func pinned(stmt *gorm.Statement, column string) (value any, ok bool) {
	where, _ := stmt.Clauses["WHERE"].Expression.(clause.Where)
	return pinnedBy(stmt, where.Exprs, column)
}

func pinnedBy(stmt *gorm.Statement, exprs []clause.Expression, column string) (value any, ok bool) {
	for _, e := range exprs {
		if _, or := e.(clause.OrConditions); or {
			return nil, false
		}
	}
	for _, e := range exprs {
		switch e := e.(type) {
		case clause.AndConditions:
			value, ok = pinnedBy(stmt, e.Exprs, column)
		case clause.Eq:
			value, ok = e.Value, isColumn(stmt, e.Column, column)
		case clause.IN:
			if len(e.Values) == 1 {
				value, ok = e.Values[0], isColumn(stmt, e.Column, column)
			}
		case clause.Expr:
			value, ok = pinnedByText(stmt, e, column)
		}
		if ok = ok && isIdentifier(value); ok {
			return value, true
		}
	}
	return nil, false
}

// isIdentifier says whether v is a single value of which the database computes
// nothing.
func isIdentifier(v any) bool {
	if isZero(v) || isComputed(v) {
		return false
	}
	_, err := field.TenantOf(v)
	return err == nil
}

// isColumn says whether a condition's column is this one of the statement's
// table.
func isColumn(stmt *gorm.Statement, in any, column string) bool {
	c, ok := in.(clause.Column)
	if s, isText := in.(string); isText {
		c, ok = clause.Column{Name: s}, true
	}
	if !ok || c.Raw || (c.Table != "" && c.Table != clause.CurrentTable && c.Table != stmt.Table) {
		return false
	}
	if c.Name == clause.PrimaryKey {
		return stmt.Schema != nil && stmt.Schema.PrioritizedPrimaryField != nil && stmt.Schema.PrioritizedPrimaryField.DBName == column
	}
	return c.Name == column
}

// pinnedByText reads "column = ?" in a condition's text, by itself or joined to
// others by AND.
func pinnedByText(stmt *gorm.Statement, e clause.Expr, column string) (any, bool) {
	tokens, ok := lex(e.SQL, dialect{})
	p := &parser{tokens: tokens}
	if !ok || len(tokens) == 0 || slices.ContainsFunc(tokens, func(t token) bool {
		return t.is("or") || t.is("xor") || t.is("not") || t.is("between") || t.is("case")
	}) {
		return nil, false
	}
	var value any
	found := p.conditions(0, len(tokens), func(i int) bool {
		parts, next := p.chain(i)
		if len(parts) == 0 || !p.at(next).is("=") || p.at(next+1).kind != tokenParam || !p.ends(next+2) {
			return false
		}
		qual, name := split(parts)
		at := p.at(next + 1).param
		if name != column || (qual != "" && qual != stmt.Table) || at < 0 || at >= len(e.Vars) {
			return false
		}
		value = e.Vars[at]
		return true
	})
	return value, found
}
