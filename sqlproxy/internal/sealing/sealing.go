// Package sealing carries out plans: it seals parameters and literals, makes
// terms, and opens the rows of results.
package sealing

import (
	"context"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Session is what values need to know of a client's session.
type Session struct {
	Cipher *field.Cipher
	// Settings are the session's, at the moment.
	Settings *pgtext.Settings
	// Tenant is the session's; "" where it has none.
	Tenant string
}

// Value is a parameter as Bind sends it; Data nil is NULL.
type Value struct {
	OID    uint32 // declared or described; 0 unknown
	Format int16
	Data   []byte
}

// Rewritten is a text for the server.
type Rewritten struct {
	Text string
	// more fields: how positions map back
}

// Position maps a 1-based character position in the rewritten text, as
// ErrorResponse has it, to one in the client's text.
func (r *Rewritten) Position(p int) int { panic("not built") }

// Text gives the text for the server of a plan with Pieces, its constants
// sealed. Errors are *plan.Refusal. Cells that need a parameter are for Bind.
func (s *Session) Text(ctx context.Context, p *plan.Plan, text string) (*Rewritten, error) {
	panic("not built")
}

// Bind gives the server's parameters for the client's. Errors are *plan.Refusal.
// All cells of one call are sealed together: keys are fetched at once, and rows share row keys.
func (s *Session) Bind(ctx context.Context, p *plan.Plan, client []Value) ([]Value, error) {
	panic("not built")
}

// Column is a result column to open.
type Column struct {
	plan.Output
	// Format is that which the client gets, 0 text or 1 binary.
	Format int16
	// TenantFormat, RowIDFormat and the OIDs are those of the columns at TenantAt and RowIDAt.
}

// Opener opens the rows of one result. It is for one goroutine.
type Opener struct{}

// NewOpener returns an Opener for a result whose columns are these.
func (s *Session) NewOpener(columns []Column) *Opener { panic("not built") }

// Row appends to dst the body of a DataRow message with its sealed values opened. It is the hot path: with keys at
// hand it allocates nothing. ok is false where a key is not at hand: the row waits for Load.
func (o *Opener) Row(ctx context.Context, dst, body []byte) (out []byte, ok bool, err error) {
	panic("not built")
}

// Load fetches all keys that these rows need, at once.
func (o *Opener) Load(ctx context.Context, bodies [][]byte) error { panic("not built") }

// CopyIn seals what a client sends behind COPY FROM STDIN. Rows may begin and end anywhere in what Write gets.
type CopyIn struct{}

// NewCopyIn returns a CopyIn.
func (s *Session) NewCopyIn(c *plan.Copy) *CopyIn { panic("not built") }

// Write takes the payload of a CopyData and appends to dst what is to be sent, which ends at a row's end; it keeps the rest.
func (c *CopyIn) Write(ctx context.Context, dst, data []byte) ([]byte, error) { panic("not built") }

// Close gives what is left at CopyDone.
func (c *CopyIn) Close(ctx context.Context, dst []byte) ([]byte, error) { panic("not built") }

// CopyOut opens what a server sends behind COPY TO STDOUT: one row, or header, a CopyData.
type CopyOut struct{}

// NewCopyOut returns a CopyOut.
func (s *Session) NewCopyOut(c *plan.Copy) *CopyOut { panic("not built") }

// Row appends to dst the payload of a CopyData with its sealed values opened.
func (c *CopyOut) Row(ctx context.Context, dst, data []byte) ([]byte, error) { panic("not built") }
