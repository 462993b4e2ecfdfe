package field

import (
	"fmt"
	"unicode/utf8"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

// Search says by which conditions a sealed column is found. The zero value
// finds it by none. What each kind reveals is in docs/SEARCH.md.
type Search struct {
	// Equality: =, <>, IN and what follows from them. Values carry a term that
	// shows which of them are equal.
	Equality bool
}

// Scope says across which rows search terms can be compared.
type Scope byte

const (
	// ScopeTenant: every tenant has index keys of its own, and a condition
	// must fix the tenant.
	ScopeTenant Scope = iota
	// ScopeGlobal: one index key serves all tenants; equal values of
	// different tenants are seen equal.
	ScopeGlobal
)

// String returns the scope as a policy writes it.
func (s Scope) String() string {
	switch s {
	case ScopeTenant:
		return "tenant"
	case ScopeGlobal:
		return "global"
	}
	return fmt.Sprintf("unknown scope %d", byte(s))
}

// checkSearch refuses what a column cannot declare.
func (cfg *ColumnConfig) checkSearch() error {
	declared := cfg.Search != Search{}
	switch {
	case cfg.Scope > ScopeGlobal:
		return fmt.Errorf("column %s: %v", cfg.Name, cfg.Scope)
	case len(cfg.Domain) > maxName || !utf8.ValidString(cfg.Domain):
		return fmt.Errorf("column %s: the domain is longer than %d bytes or not UTF-8", cfg.Name, maxName)
	case !declared && cfg.Scope != ScopeTenant:
		return fmt.Errorf("column %s: scope goes with search only; add `search: [equality]` or remove `scope`", cfg.Name)
	case !declared && cfg.Domain != "":
		return fmt.Errorf("column %s: domain goes with search only; add `search: [equality]` or remove `domain`", cfg.Name)
	case !declared:
		return nil
	case cfg.Mode == envelope.ModeKMS:
		return fmt.Errorf("column %s: search needs index keys from a key store and does not go with `wrap: kms`; remove one of them", cfg.Name)
	case !cfg.Type.HasEquality():
		return fmt.Errorf("column %s: type %s has no equality that terms could follow; remove `search`%s", cfg.Name, cfg.Type, equalityHint(cfg.Type))
	}
	return nil
}

// equalityHint names the type to take in place of one without equality.
func equalityHint(t codec.Type) string {
	switch t.String() {
	case "json":
		return " or take type jsonb"
	case "json[]":
		return " or take type jsonb[]"
	}
	return ""
}

// domains remembers a column of every domain, to compare the next with.
type domains map[string]*Column

// add refuses a column whose terms would never meet those of its domain.
func (d domains) add(c *Column) error {
	other := d[c.domain]
	switch {
	case c.domain == "":
	case other == nil:
		d[c.domain] = c
	case other.scope != c.scope:
		return fmt.Errorf("columns %v and %v declare domain %s with different scopes (%v and %v); give both the same `scope`",
			other, c, c.domain, other.scope, c.scope)
	case other.typ.Family() != c.typ.Family():
		return fmt.Errorf("columns %v and %v declare domain %s with types that are never equal (%v and %v); give one of them another `domain`",
			other, c, c.domain, other.typ, c.typ)
	}
	return nil
}

// Search returns by which conditions the column is found.
func (c *Column) Search() Search { return c.search }

// Scope returns across which rows the column's terms can be compared.
func (c *Column) Scope() Scope { return c.scope }

// Domain returns the name under which columns share index keys; "" where the
// column has its own.
func (c *Column) Domain() string { return c.domain }

// indexName is whose index key makes the column's terms.
func (c *Column) indexName() blindindex.Name {
	if c.domain != "" {
		return blindindex.DomainName(c.domain)
	}
	return blindindex.ColumnName(c.field.Table(), c.field.Column())
}

// indexUse is what the index key of the column's values of tenant is asked for
// with.
func (c *Column) indexUse(tenant string) blindindex.Use {
	if c.scope == ScopeGlobal {
		return blindindex.Use{Global: true, Name: c.index}
	}
	return blindindex.Use{Tenant: tenant, Name: c.index}
}

// Comparable reports whether equality terms of c and other may be compared:
// both declare equality, share the index key's name (they are one column, or
// of one domain), the scope, and a family of types. With ScopeTenant the
// tenants must be the same too.
func (c *Column) Comparable(other *Column) bool {
	return c.search.Equality && other.search.Equality &&
		c.index == other.index && c.scope == other.scope && c.typ.Family() == other.typ.Family()
}

// Flags returns the flags bytes, key mode included, that values of the column
// carry under the policy: the one that new values have and, with equality,
// the one of values that carry a second term while an index key is replaced.
// Values from before a change of the policy may have others until they are
// resealed.
func (c *Column) Flags() []envelope.Flags {
	f := c.mode.Flags()
	if c.table.rowID != "" {
		f |= envelope.FlagClaim
	}
	if c.pad > 0 {
		f |= envelope.FlagPadded
	}
	if !c.search.Equality {
		return []envelope.Flags{f}
	}
	f |= envelope.FlagEquality
	return []envelope.Flags{f, f | envelope.FlagSecond}
}

// Prefixes returns the first 8 bytes, magic to flags, that values of the
// column may begin with: one for each suite of its key mode and each of Flags.
// With equality, the term follows at once, so that the prefix and the term
// together find a value in an index over its first bytes.
func (c *Column) Prefixes() [][]byte {
	guard := c.Guard()
	var list [][]byte
	for _, s := range c.mode.Suites() {
		for _, f := range c.Flags() {
			p := make([]byte, 0, envelope.EqualityOffset)
			list = append(list, append(append(p, guard[:]...), byte(s), byte(f)))
		}
	}
	return list
}
