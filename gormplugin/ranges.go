package gormplugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// MySQL and MariaDB have no index on an expression that both would use, but
// they have one on the first bytes of a column. There, a comparison with a
// parameter asks for the values that begin with the column's header and the
// term: column >= header‖term AND column < its successor.

// byRange has ranges stand for the comparison op of c, in [lo, hi), with the
// parameters of operands.
func (p *parser) byRange(c *field.Column, name string, op string, lo, hi int, operands []operand) {
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
	text := "(" + strings.Join(parts, " OR ") + ")"
	if op == "<>" || op == "not in" {
		text = "NOT " + text
	}
	p.replace(lo, hi, text)
	p.analysis.ranged = true
}

// expanded returns args with the ends of ranges in place of the terms that
// stand for them.
func (a *analysis) expanded(args []any) []any {
	ranges := map[int][][]byte{}
	for _, o := range a.operands {
		if o.ranges != nil {
			ranges[o.param] = o.ranges
		}
	}
	out := make([]any, 0, len(args)+8)
	for i, arg := range args {
		if ranges[i] == nil {
			out = append(out, arg)
			continue
		}
		term, _ := arg.(sealed)
		for _, prefix := range ranges[i] {
			if term == nil {
				out = append(out, nil, nil) // compared with NULL
				continue
			}
			from := slices.Concat(prefix, term)
			out = append(out, sealed(from), sealed(successor(from)))
		}
	}
	return out
}

// successor returns the least bytes that are greater than all that begin with
// b, whose first byte is no 0xff.
func successor(b []byte) []byte {
	next := slices.Clone(b)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return next
}
