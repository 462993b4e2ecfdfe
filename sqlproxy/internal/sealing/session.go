package sealing

import (
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// Session is what values need to know of a client's session.
type Session struct {
	Cipher *field.Cipher
	// Settings are the session's, at the moment.
	Settings *pgtext.Settings
	// Tenant is the session's; "" where it has none. Then only what a statement
	// says fixes a tenant.
	Tenant string
}

// Value is a parameter as Bind has it; Data nil is NULL.
type Value struct {
	OID    uint32 // declared or described; 0 where it is not known
	Format int16  // 0 text, 1 binary
	Data   []byte
}

const (
	textFormat   = 0
	binaryFormat = 1
)
