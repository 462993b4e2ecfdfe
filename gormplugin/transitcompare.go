package gormplugin

import (
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/field"
)

// meansMoving says whether the name at i means c, which is in transition, and
// refuses one that may mean another table's column.
func (p *parser) meansMoving(c *field.Column, i int) bool {
	_, stands := p.stands(i)
	if stands == standsUnclear {
		p.failMoving(c, remedyQualify)
	}
	return stands == standsSealed
}

// eitherNull has IS [NOT] NULL, behind the column c in [first, next), ask for
// both columns.
func (p *parser) eitherNull(c *field.Column, first, next int) {
	not, end := p.at(next).is("notnull"), next+1
	if p.at(next).is("is") {
		if not = p.at(next + 1).is("not"); not {
			end++
		}
		end++
	}
	name, plain := p.textOf(first, next), p.plainText(c, first, next)
	text := fmt.Sprintf("(%s IS NULL AND %s IS NULL)", name, plain)
	if not {
		text = fmt.Sprintf("(%s IS NOT NULL OR %s IS NOT NULL)", name, plain)
	}
	p.replace(first, end, text)
}

// countEither has count(c) count the rows that have a value in either column.
func (p *parser) countEither(c *field.Column, first, next int) {
	p.allowed[next-1] = true
	p.replace(first, next, fmt.Sprintf("CASE WHEN %s IS NOT NULL OR %s IS NOT NULL THEN 1 END",
		p.textOf(first, next), p.plainText(c, first, next)))
}

// eitherEqual has a comparison of c, whose name stands in [first, next), ask
// for both columns. It leaves an error where it finds no such comparison.
func (p *parser) eitherEqual(c *field.Column, first, next int) {
	n := len(p.operands)
	cmp := comparison{column: c, first: first, next: next, operands: n}
	if p.begins(first) {
		if op, at := p.operator(next); op != "" && p.isValues(at) {
			end := p.right(c, first, at)
			if end > 0 && p.ends(end) {
				cmp.op, cmp.not = p.positive(op, next)
				cmp.lo, cmp.hi, cmp.from, cmp.to = first, end, at, end
				p.either(cmp)
				return
			}
			p.operands = p.operands[:n]
		}
	}
	if op, param := p.reversedAt(first); op != "" && p.ends(next) && !p.counts(first, next) {
		p.operand(c, param, p.tenancyOf(c, p.qualOf(first), first))
		cmp.op, cmp.not = p.positive(op, next)
		cmp.lo, cmp.hi, cmp.from, cmp.to = param, next, param, param+1
		p.either(cmp)
		return
	}
	if p.counts(first, next) {
		p.countEither(c, first, next)
		return
	}
	p.failMoving(c, remedyMoving)
}

// isValues says whether a parameter or a list stands at i.
func (p *parser) isValues(i int) bool {
	return p.at(i).kind == tokenParam || (p.at(i).is("(") && !p.at(i+1).is("select"))
}

// positive returns the operator of which op, behind the column at next, may be
// the negation.
func (p *parser) positive(op string, next int) (positive string, not bool) {
	switch op {
	case "<>":
		return "=", true
	case "not in":
		return "IN", true
	case "is":
		not = p.at(next + 1).is("not")
		for i := next + 1; i < next+4; i++ {
			if p.at(i).is("distinct") {
				return "IS NOT DISTINCT FROM", !not
			}
		}
		return "IS", not
	}
	return strings.ToUpper(op), false
}

// comparison is one of a column in transition with parameters.
type comparison struct {
	column      *field.Column
	first, next int // tokens of the column's name
	op          string
	not         bool
	lo, hi      int // tokens of all of it
	from, to    int // tokens of the values
	operands    int // the first of its operands
}

// either writes a comparison so that one of two sides holds for each row, by
// whether the sealed column is NULL. Each side is what it would be for one
// column, so that conditions around it see true, false and NULL as ever, and
// an index on either column serves its side.
func (p *parser) either(k comparison) {
	p.allowed[k.next-1] = true
	if k.not || !p.selects(k.lo, k.hi) {
		for i := k.operands; i < len(p.operands); i++ {
			p.operands[i].fenced = true
		}
	}
	name := p.textOf(k.first, k.next)
	sealed := termOf(name) + " " + k.op + " " + p.textOf(k.from, k.to)
	if p.d.prefixes && k.op != "<=>" {
		sealed = p.ranges(k.column, name, k.from, k.to, p.operands[k.operands:])
	}
	d := doubled{from: k.operands, to: len(p.operands)}
	plain := p.plainText(k.column, k.first, k.next) + " " + k.op + " " + p.again(k)
	if d.to > d.from {
		if s := p.operands[d.from].scope; s.model != nil && s.param < 0 && s.text == "" {
			d.tenant = true
			plain += " AND " + p.sameTenant(s.model, p.beside(s.model.tenant.DBName, k.first, k.next), p.placeholder())
		}
		p.doubles = append(p.doubles, d)
	}
	text := fmt.Sprintf("((%s IS NOT NULL AND %s) OR (%s IS NULL AND %s))", name, sealed, name, plain)
	if k.not {
		text = "NOT " + text
	}
	p.replace(k.lo, k.hi, text)
}

// sameTenant compares m's tenants byte by byte, also where collations do not;
// see exactly.
func (p *parser) sameTenant(m *model, a, b string) string {
	if p.d.prefixes && m.tenant.GORMDataType == schema.String {
		const binary = "CAST(CONVERT(%s USING utf8mb4) AS BINARY)"
		return fmt.Sprintf(binary+" = "+binary, a, b)
	}
	return a + " = " + b
}

// again returns the values of a comparison for the plain column. PostgreSQL
// gives a parameter one type, so that these are others there.
func (p *parser) again(k comparison) string {
	var b strings.Builder
	for i := k.from; i < k.to; i++ {
		switch t := p.at(i); {
		case t.kind != tokenParam:
			b.WriteString(p.textOf(i, i+1) + " ")
			continue
		case !p.d.dollars && p.textOf(i, i+1) != "?":
			p.failMoving(k.column, "until that ends, write ? for the value, without number or name")
		}
		value := p.placeholder()
		if kind := k.column.Type().String(); p.d.dollars && (kind == "int2" || kind == "int4") {
			value = "CAST(" + value + " AS bigint)" // a value may be beyond the column's range
		}
		b.WriteString(value)
	}
	return b.String()
}

// placeholder returns one for a parameter that the statement did not have.
func (p *parser) placeholder() string {
	if !p.d.dollars {
		return "?"
	}
	p.extra++
	return "$" + strconv.Itoa(p.given+p.extra)
}
