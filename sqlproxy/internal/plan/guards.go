package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// guard is a CHECK that package gormplugin's migrations write too, with the
// same name and the same meaning, so that either finds the other's.
type guard struct {
	kind   string
	column *field.Column
	prefix []byte // of every value; nil for any
	flags  []byte // allowed ones; nil for any
}

// shortestSealed is the length of the sealed form of an empty plaintext.
const shortestSealed = 56

func guardsOf(c *field.Column) []guard {
	prefix := c.Guard()
	all := []guard{{kind: "guard", column: c, prefix: prefix[:]}}
	if c.Search().Equality {
		terms := guard{kind: "terms", column: c}
		for _, f := range c.Flags() {
			terms.flags = append(terms.flags, byte(f))
		}
		all = append(all, terms)
	}
	return all
}

// name is readable at its beginning, and ends in what is checked of which column.
func (g guard) name(table string) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(table+"_"+g.column.Name()))
	id := g.column.Field().ID()
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %x %x", shortestSealed, g.prefix, g.flags))
	return fmt.Sprintf("rowseal_%s_%s_%x%x", readable[:min(len(readable), 30)], g.kind, id[:], sum[:4])
}

func (g guard) condition(column string) string {
	terms := []string{fmt.Sprintf("pg_catalog.octet_length(%s) >= %d", column, shortestSealed)}
	if g.prefix != nil {
		terms = append(terms, fmt.Sprintf("pg_catalog.substr(%s, 1, %d) = %s", column, len(g.prefix), byteaLiteral(g.prefix)))
	}
	if g.flags != nil {
		var in []string
		for _, f := range g.flags {
			in = append(in, byteaLiteral([]byte{f}))
		}
		terms = append(terms, fmt.Sprintf("pg_catalog.substr(%s, %d, 1) IN (%s)", column, envelope.GuardSize+2, strings.Join(in, ", ")))
	}
	return strings.Join(terms, " AND ")
}

// byteaLiteral is a literal that means the same whatever standard_conforming_strings is.
func byteaLiteral(raw []byte) string {
	return `E'\\x` + hex.EncodeToString(raw) + `'::pg_catalog.bytea`
}
