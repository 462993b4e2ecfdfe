package gormplugin

import (
	"database/sql/driver"
	"errors"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// What MySQL and MariaDB do in ways of their own.

func isMySQL(stmt *gorm.Statement) bool { return stmt.Name() == "mysql" }

// exactly is a guard that compares text byte by byte: most of MySQL's
// collations take 'acme', 'ACME' and 'acme ' for equal, which are tenants of
// different keys. The first comparison is the one that an index serves.
func exactly(stmt *gorm.Statement, same clause.Eq) clause.Expression {
	if !isMySQL(stmt) || !isText(same.Value) {
		return same
	}
	return clause.Expr{
		SQL:  "? = ? AND CAST(CONVERT(? USING utf8mb4) AS BINARY) = CAST(CONVERT(? USING utf8mb4) AS BINARY)",
		Vars: []any{same.Column, same.Value, same.Column, same.Value},
	}
}

// isText says whether a value reaches the database as text.
func isText(v any) bool {
	if valuer, ok := v.(driver.Valuer); ok {
		v, _ = valuer.Value() // an error shows when the driver asks again
	}
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer {
		r = r.Elem()
	}
	return r.Kind() == reflect.String
}

// duplicate refuses what ON DUPLICATE KEY UPDATE cannot say and GORM's driver
// therefore leaves out: it has neither a target nor a condition.
func (m *model) duplicate(conflict clause.OnConflict) error {
	for _, c := range conflict.Columns {
		sealed := m.column(c.Name)
		if moving(sealed) {
			return m.refuse(c.Name, ErrTransition, "it takes over from "+sealed.Transition().Plain+
				", whose values its unique index does not have; use a unique index on other columns")
		}
		if sealed != nil && !sealed.Search().Equality {
			return m.refuse(c.Name, ErrCondition, "no two sealed values are equal; use a unique index on other columns")
		}
	}
	if len(conflict.Where.Exprs)+len(conflict.TargetWhere.Exprs) > 0 {
		return m.refuse("", ErrCondition, "MySQL has no condition in ON DUPLICATE KEY UPDATE; leave Where and TargetWhere out")
	}
	return nil
}

// onlyOwn puts assignments in front of set that make the statement fail where
// the row that stands is of another tenant or row id than the one that was to
// be inserted. MySQL has no WHERE there, and assigns from left to right.
func (p *Plugin) onlyOwn(stmt *gorm.Statement, m *model, set clause.Set) (clause.Set, error) {
	insert, _ := stmt.Clauses["INSERT"].Expression.(clause.Insert)
	if strings.Contains(strings.ToLower(insert.Modifier), "ignore") {
		return nil, m.refuse("", ErrStatement, "INSERT IGNORE would ignore that a row is another tenant's; leave IGNORE out")
	}
	var first clause.Set
	var mismatch error
	column := ""
	for _, own := range []struct {
		field *schema.Field
		err   error
	}{{m.rowID, field.ErrRowMismatch}, {m.tenant, field.ErrTenantMismatch}} {
		if own.field == nil {
			continue
		}
		column, mismatch = own.field.DBName, errors.Join(own.err, mismatch)
		first = append(first, clause.Assignment{Column: clause.Column{Name: column}, Value: sameOrFail{column}})
	}
	if mismatch != nil {
		p.scopeOf(stmt).ifMixed = m.refuse(column, mismatch,
			"the row that stands is another one's; replace all sealed values in the same statement, or choose another key")
	}
	return append(first, set...), nil
}

// sameOrFail is the value of a column in ON DUPLICATE KEY UPDATE: what it was,
// if the inserted row has the same, byte by byte; else an error, because
// 2^64 is too large for a number in every mode of the server.
type sameOrFail struct{ column string }

// Build writes the expression.
func (s sameOrFail) Build(b clause.Builder) {
	old := clause.Column{Table: clause.CurrentTable, Name: s.column}
	inserted := clause.Column{Name: s.column}
	write := func(parts ...any) {
		for _, part := range parts {
			if text, ok := part.(string); ok {
				_, _ = b.WriteString(text)
				continue
			}
			b.WriteQuoted(part)
		}
	}
	write("IF(CAST(", old, " AS BINARY) <=> CAST(VALUES(", inserted, ") AS BINARY), ", old, ", ~0 + (1 + ISNULL(", old, ")))")
}

// isMixed recognises the server's error for sameOrFail, 1690, which quotes the
// expression. It reads the text, because a driver's type would be a dependency.
func isMixed(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Error 1690") && strings.Contains(err.Error(), "~")
}

// noReturning refuses what MySQL and MariaDB do not have.
func noReturning(stmt *gorm.Statement, m *model) error {
	if _, ok := stmt.Clauses["RETURNING"]; ok && isMySQL(stmt) {
		return m.refuse("", ErrStatement, "this database has no UPDATE … RETURNING; read the rows afterwards")
	}
	return nil
}

// mysqlOnly refuses shapes of statements that MySQL and MariaDB alone have and
// in which the parser would not find what is written, or where.
func (p *parser) mysqlOnly(first int, verb token) {
	for i, t := range p.tokens {
		switch {
		case t.is("{"):
			p.fail("", ErrStatement, "write the join without {OJ …}")
		case t.is("row") && p.at(i+1).is("(") && verb.is("insert"):
			p.fail("", ErrStatement, "write VALUES (…) without ROW")
		case (i == 0 || p.at(i-1).is(";")) && runsOthers[t.text] && p.writesLater(i):
			p.fail("", ErrStatement, "write to this table with a statement of its own")
		}
	}
	switch {
	case verb.is("update"):
		p.mysqlUpdate(first, verb.depth)
	case verb.is("insert"):
		i := first + 1
		for p.at(i).is("low_priority") || p.at(i).is("delayed") || p.at(i).is("high_priority") || p.at(i).is("ignore") {
			i++
		}
		if !p.at(i).is("into") {
			p.fail("", ErrStatement, "write INSERT INTO and the table's name")
		}
	}
}

// runsOthers begin statements that carry no rows' values elsewhere and in
// MariaDB may run another one: ANALYZE UPDATE …, SET STATEMENT … FOR UPDATE …,
// BEGIN NOT ATOMIC ….
var runsOthers = wordSet("analyze set begin")

func (p *parser) writesLater(i int) bool {
	for _, t := range p.tokens[i:] {
		if t.is("insert") || t.is("update") || t.is("delete") || t.is("replace") || t.is("load") {
			return true
		}
	}
	return false
}

// mysqlUpdate refuses an UPDATE whose table is not the first word behind it, or
// that has several.
func (p *parser) mysqlUpdate(first, depth int) {
	if next := p.at(first + 1); next.is("low_priority") || next.is("ignore") {
		p.fail("", ErrStatement, "write UPDATE and the table's name")
	}
	for i := first; i < p.until(first, depth, "set"); i++ {
		if t := p.at(i); t.is(",") || t.is("join") || t.is("straight_join") {
			p.fail("", ErrStatement, "update one table in a statement")
		}
	}
}

// hidesText says whether a statement may have another one in a literal.
func hidesText(first token) bool {
	return first.is("do") || first.is("prepare") || first.is("execute")
}
