package gormplugin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

const (
	// ours begins the names of all constraints, triggers and indexes that
	// migrations of this package make.
	ours = "rowseal_"
	// shortestSealed is the length of the shortest sealed value: header, key
	// id, salt, nonce and tag of an empty plaintext.
	shortestSealed = 56
	// readable bounds what a name says of table and column: PostgreSQL cuts
	// names at 63 bytes without a word.
	readable = 30

	guardKind = "guard" // the column's bytes are sealed values of the column
	termsKind = "terms" // they hold the term that conditions look for
	indexKind = "eq"
)

// searchable says whether conditions may compare the column.
func searchable(c *field.Column) bool { return c.Search().Equality }

// guard is a condition that the database checks of each value of a column,
// whoever writes it. NULL passes.
type guard struct {
	kind   string
	column *field.Column
	prefix []byte // of every value; nil for any
	flags  []byte // allowed ones; nil for any
}

// guardsOf returns the guards of a column. The one on terms is separate, so
// that a column may become searchable, or cease to be, without the other.
func guardsOf(c *field.Column) []guard {
	prefix := c.Guard()
	all := []guard{{kind: guardKind, column: c, prefix: prefix[:]}}
	if searchable(c) {
		terms := guard{kind: termsKind, column: c}
		for _, f := range c.Flags() {
			terms.flags = append(terms.flags, byte(f))
		}
		all = append(all, terms)
	}
	return all
}

// suffix ends the guard's name: the column that the values are bound to and
// what is checked, neither of which a renamed table or column changes.
func (g guard) suffix() string {
	return suffixOf(g.kind, g.column, fmt.Sprintf("%d %x %x", shortestSealed, g.prefix, g.flags))
}

// name returns the guard's name in a table.
func (g guard) name(table string) string { return madeName(table, g.column) + g.suffix() }

func suffixOf(kind string, c *field.Column, content string) string {
	id, sum := c.Field().ID(), sha256.Sum256([]byte(content))
	return fmt.Sprintf("_%s_%x%x", kind, id[:], sum[:4])
}

// madeName returns the readable beginning of a name.
func madeName(table string, c *field.Column) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(table+"_"+c.Name()))
	return ours + name[:min(len(name), readable)]
}

// byteText is how databases write bytes and functions over them.
type byteText struct {
	length        string // the function that counts bytes
	before, after string // around hex digits
	ordered       bool   // bytes are compared faster than cut out
}

func (b byteText) literal(raw []byte) string { return b.before + hex.EncodeToString(raw) + b.after }

// condition returns the guard's condition on a quoted column. It always begins
// with the length, by which SQLite's migrations find it again.
func (b byteText) condition(g guard, column string) string {
	terms := []string{fmt.Sprintf("%s(%s) >= %d", b.length, column, shortestSealed)}
	switch {
	case g.prefix == nil:
	case b.ordered: // the same: all bytes from the prefix up to its successor begin with it
		terms = append(terms, fmt.Sprintf("%s >= %s AND %s < %s", column, b.literal(g.prefix), column, b.literal(successor(g.prefix))))
	default:
		terms = append(terms, fmt.Sprintf("substr(%s, 1, %d) = %s", column, len(g.prefix), b.literal(g.prefix)))
	}
	if g.flags != nil {
		var in []string
		for _, f := range g.flags {
			in = append(in, b.literal([]byte{f}))
		}
		terms = append(terms, fmt.Sprintf("substr(%s, %d, 1) IN (%s)", column, flagsAt, strings.Join(in, ", ")))
	}
	return strings.Join(terms, " AND ")
}

// flagsAt is the place of a value's flags, as SQL counts: from 1.
const flagsAt = envelope.GuardSize + 2
