package plan

import (
	"errors"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// Context is what the session knows when a text is analysed.
type Context struct {
	// Catalog is what the server's tables are like, as this session sees them.
	Catalog *catalog.Snapshot
	// Policy is what the operator lists, for tables that are yet to be made; nil for nothing.
	Policy *field.Policy
	// Path is the session's effective search_path: schemas that exist, in the order
	// in which names are looked up, pg_temp and pg_catalog included where they are searched.
	Path []string
	// ParamTypes are the OIDs that the client declared for parameters, which may
	// be fewer than the text has; 0 where it left one open.
	ParamTypes []uint32
	// Tenant is the session's tenant, "" where it has none. It decides only whether a
	// tenant is known, and is not part of the plan: the plan says "the session's".
	Tenant string
	// Prepared gives the plan that SQL's PREPARE or the protocol's Parse made
	// under a name, for EXECUTE; nil where there is none.
	Prepared func(name string) *Plan
	// Cursor gives the outputs of a cursor or portal, for FETCH.
	Cursor func(name string) []Output
	// NoBackslash is set where standard_conforming_strings is off, so that the
	// parser and the server would read backslashes differently.
	NoBackslash bool
}

// Analyze makes the plan of a text. The error is a [*Refusal].
func Analyze(c *Context, text string) (*Plan, error) {
	return nil, errors.New("not built")
}
