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

// searchable says whether conditions may compare the column: its policy has
// search: [equality]. Everything about terms in migrations hangs on it. Until
// package field knows the word, no column is, but for those of tests.
var searchable = func(*field.Column) bool { return false }

// sealedFlags returns the flags bytes that new values of the column may have.
// It stands in for a method of field.Column of the same meaning.
func sealedFlags(c *field.Column, equality bool) []byte {
	var f envelope.Flags
	for mode := envelope.Flags(0); mode <= 0x60; mode += 0x20 {
		if mode.Mode() == c.Mode() {
			f = mode
		}
	}
	if c.Table().RowID() != "" {
		f |= envelope.FlagClaim
	}
	if c.Pad() > 0 {
		f |= envelope.FlagPadded
	}
	if !equality {
		return []byte{byte(f)}
	}
	f |= envelope.FlagEquality
	return []byte{byte(f), byte(f | envelope.FlagSecond)}
}

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
func guardsOf(c *field.Column, equality bool) []guard {
	prefix := c.Guard()
	all := []guard{{kind: guardKind, column: c, prefix: prefix[:]}}
	if equality {
		all = append(all, guard{kind: termsKind, column: c, flags: sealedFlags(c, true)})
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
}

func (b byteText) literal(raw []byte) string { return b.before + hex.EncodeToString(raw) + b.after }

// condition returns the guard's condition on a quoted column. It always begins
// with the length, by which SQLite's migrations find it again.
func (b byteText) condition(g guard, column string) string {
	terms := []string{fmt.Sprintf("%s(%s) >= %d", b.length, column, shortestSealed)}
	if g.prefix != nil {
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

const (
	// flagsAt and termAt are places in a value, as SQL counts: from 1.
	flagsAt = envelope.GuardSize + 2
	termAt  = envelope.EqualityOffset + 1
)

// substrTerm is the equality term of a quoted column.
func substrTerm(column string) string {
	return fmt.Sprintf("substr(%s, %d, %d)", column, termAt, envelope.EqualitySize)
}
