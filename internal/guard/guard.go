// Package guard is the one place that says what a database holds to protect a
// sealed column: conditions that it checks of each value ([Of]), and the index
// over search terms ([IndexName]). Whoever makes them, gormplugin's migrations or
// `rowseal init`, makes the same ones under the same names.
package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

const (
	// Ours begins the names of all constraints, triggers and indexes that are
	// made for sealed columns.
	Ours = "rowseal_"
	// Moving begins the names of constraints that are made for the time in which a column is sealed in place. They
	// are no guards, so that they do not begin with Ours.
	Moving = "moving_rowseal_"
	// MovingClear begins the name of the one that keeps sealed values out of a column that becomes plain again.
	MovingClear = Moving + "clear_"
	// ShortestSealed is the length of the shortest sealed value: header, key
	// id, salt, nonce and tag of an empty plaintext.
	ShortestSealed = 56
	// readable bounds what a name says of table and column: PostgreSQL cuts
	// names at 63 bytes without a word.
	readable = 30

	// KindValue is the guard that the column's bytes are sealed values of the column.
	KindValue = "guard"
	// KindTerms is the guard that they hold the term that conditions look for.
	KindTerms = "terms"

	indexKind = "eq"
)

// Searchable says whether conditions may compare the column.
func Searchable(c *field.Column) bool { return c.Search().Equality }

// Guard is a condition that the database checks of each value of a column,
// whoever writes it. NULL passes.
type Guard struct {
	Kind   string // KindValue or KindTerms
	Column *field.Column
	Prefix []byte // of every value; nil for any
	Flags  []byte // allowed ones; nil for any
}

// Of returns the guards of a column. The one on terms is separate, so
// that a column may become searchable, or cease to be, without the other.
func Of(c *field.Column) []Guard {
	prefix := c.Guard()
	all := []Guard{{Kind: KindValue, Column: c, Prefix: prefix[:]}}
	if Searchable(c) {
		terms := Guard{Kind: KindTerms, Column: c}
		for _, f := range c.Flags() {
			terms.Flags = append(terms.Flags, byte(f))
		}
		all = append(all, terms)
	}
	return all
}

// Suffix ends the guard's name: the column that the values are bound to and
// what is checked, neither of which a renamed table or column changes.
func (g Guard) Suffix() string {
	return suffixOf(g.Kind, g.Column, fmt.Sprintf("%d %x %x", ShortestSealed, g.Prefix, g.Flags))
}

// Name returns the guard's name in a table.
func (g Guard) Name(table string) string { return madeName(table, g.Column) + g.Suffix() }

// IndexSuffix ends the name of the index over a column's search terms.
func IndexSuffix(c *field.Column) string {
	return suffixOf(indexKind, c, fmt.Sprintf("%d %d", envelope.EqualityOffset+1, envelope.EqualitySize))
}

// IndexName returns the name of that index in a table.
func IndexName(table string, c *field.Column) string { return madeName(table, c) + IndexSuffix(c) }

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
	return Ours + name[:min(len(name), readable)]
}

// Dialect is how a database writes bytes and functions over them.
type Dialect struct {
	length        string // the function that counts bytes
	before, after string // around hex digits
	ordered       bool   // bytes are compared faster than cut out
}

var (
	// PostgreSQL writes '\x00'::bytea.
	PostgreSQL = Dialect{length: "octet_length", before: `'\x`, after: `'::bytea`, ordered: true}
	// SQLite writes x'00'.
	SQLite = Dialect{length: "length", before: "x'", after: "'"}
	// MySQL writes x'00'.
	MySQL = Dialect{length: "octet_length", before: "x'", after: "'"}
)

// Literal writes bytes.
func (d Dialect) Literal(raw []byte) string { return d.before + hex.EncodeToString(raw) + d.after }

// Condition returns the guard's condition on a quoted column. It always begins
// with the length, by which SQLite's migrations find it again.
func (d Dialect) Condition(g Guard, column string) string {
	terms := []string{fmt.Sprintf("%s(%s) >= %d", d.length, column, ShortestSealed)}
	switch {
	case g.Prefix == nil:
	case d.ordered: // the same: all bytes from the prefix up to its successor begin with it
		terms = append(terms, fmt.Sprintf("%s >= %s AND %s < %s", column, d.Literal(g.Prefix), column, d.Literal(Successor(g.Prefix))))
	default:
		terms = append(terms, fmt.Sprintf("substr(%s, 1, %d) = %s", column, len(g.Prefix), d.Literal(g.Prefix)))
	}
	if g.Flags != nil {
		var in []string
		for _, f := range g.Flags {
			in = append(in, d.Literal([]byte{f}))
		}
		terms = append(terms, fmt.Sprintf("substr(%s, %d, 1) IN (%s)", column, flagsAt, strings.Join(in, ", ")))
	}
	return strings.Join(terms, " AND ")
}

// flagsAt is the place of a value's flags, as SQL counts: from 1.
const flagsAt = envelope.GuardSize + 2

// Successor returns the least bytes that are greater than all that begin with
// b, whose first byte is no 0xff.
func Successor(b []byte) []byte {
	next := slices.Clone(b)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return next
}
