package blindindex

// Name says whose terms an index key makes: those of one column, or those of
// all columns that declare one domain. Make it with [ColumnName] or
// [DomainName]. Names are comparable: terms can be compared where the names
// are equal, and tenant or scope too.
type Name struct {
	Table, Column string // the stable ids; "" for a domain
	Domain        string // "" for a column
}

// ColumnName is the name of a column's own index key, by the stable ids of its
// table and column, 1 to 255 bytes of UTF-8 each.
func ColumnName(table, column string) Name { return Name{Table: table, Column: column} }

// DomainName is the name of the index key that columns with `domain: NAME`
// share; 1 to 255 bytes of UTF-8.
func DomainName(domain string) Name { return Name{Domain: domain} }

// String returns "table.column" or "domain NAME", for errors.
func (n Name) String() string {
	if n.Domain != "" {
		return "domain " + n.Domain
	}
	return n.Table + "." + n.Column
}

// Use says what an index key is wanted for.
type Use struct {
	Tenant string // whose values; not looked at with Global
	Global bool   // one key for all tenants
	Name   Name
}

// Lease is a hold on an index key that its cache may take back. A caller keeps
// the Lease and asks it for the key each time.
type Lease interface {
	// Value returns the key, or nil once the cache has dropped it.
	Value() *Key
}

// Grant is the answer to one Use: a key for the call at hand, and the lease to
// keep for later ones. Err says why there is none.
type Grant struct {
	Key   *Key
	Lease Lease // nil where the key must not be kept
	Err   error
}
