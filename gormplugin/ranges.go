package gormplugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/guard"
)

// MySQL and MariaDB have no index on an expression that both would use, but
// they have one on the first bytes of a column. There, a comparison with a
// parameter asks for the values that begin with the column's header and the
// term: column >= header‖term AND column < its successor.

// byRange has ranges stand for the comparison op of c, in [lo, hi), with the
// parameters of operands.
func (p *parser) byRange(c *field.Column, name string, op string, lo, hi int, operands []operand) {
	if p.groupedBy(c, lo) {
		name = p.oneOf(name) // HAVING knows no other name for it
	}
	text := p.ranges(c, name, lo, hi, operands)
	if op == "<>" || op == "not in" {
		text = "NOT " + text
	}
	p.replace(lo, hi, text)
}

// groupedBy says whether the condition at i stands in the HAVING of a query that
// is grouped by c.
func (p *parser) groupedBy(c *field.Column, i int) (found bool) {
	block := p.blockOf(i)
	depth := p.at(block).depth
	by := p.until(block+1, depth, "group") + 2
	having := p.until(by, depth, "having")
	if i < having {
		return false
	}
	p.commas(by, having, depth, func(lo, _ int) {
		if parts, _ := p.chain(lo); len(parts) > 0 {
			of, stands := p.stands(lo)
			found = found || stands == standsSealed && of == c
		}
	})
	return found
}

// ranges returns a condition that holds where c equals one of operands, which
// stand in [lo, hi).
func (p *parser) ranges(c *field.Column, name string, lo, hi int, operands []operand) string {
	prefixes := c.Prefixes()
	one := fmt.Sprintf("(%s >= ? AND %s < ?)", name, name)
	var parts []string
	for i := range operands {
		operands[i].ranges = prefixes
		for range prefixes {
			parts = append(parts, one)
		}
	}
	for i := lo; i < hi; i++ {
		if p.at(i).is("null") {
			parts = append(parts, "NULL")
		}
	}
	p.analysis.ranged = true
	return "(" + strings.Join(parts, " OR ") + ")"
}

// expanded returns args with the ends of ranges in place of the terms that
// stand for them.
func (a *analysis) expanded(args []any) []any {
	ranges := a.rangesOf()
	out := make([]any, 0, len(args)+8)
	for i, arg := range args {
		out = appendTerms(out, ranges[i], arg)
	}
	return out
}

// rangesOf returns the headers by parameter, of those whose term ranges stand
// for.
func (a *analysis) rangesOf() map[int][][]byte {
	ranges := map[int][][]byte{}
	for _, o := range a.operands {
		if o.ranges != nil {
			ranges[o.param] = o.ranges
		}
	}
	return ranges
}

// appendTerms appends a parameter to out, with the ends of ranges in place of
// a term that they stand for.
func appendTerms(out []any, ranges [][]byte, arg any) []any {
	if t, ok := arg.(twice); ok {
		arg = t.term
	}
	if ranges == nil {
		return append(out, arg)
	}
	term, _ := arg.(*sealed)
	for _, prefix := range ranges {
		if term == nil {
			out = append(out, nil, nil) // compared with NULL
			continue
		}
		from := slices.Concat(prefix, term.bytes)
		out = append(out, cell(from), cell(guard.Successor(from)))
	}
	return out
}
