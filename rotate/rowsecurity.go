package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrRowSecurity: a policy of row-level security hides rows of the table from the role. A job over the others would say that
// all are in order.
var ErrRowSecurity = errors.New("row-level security may hide rows from this role")

const rowSecurityRemedy = "use a role WITH BYPASSRLS, or the table's owner where it is not FORCEd on that"

// checkRows refuses a table of which the role may not see all rows. Reads run without a transaction of their own, in which they
// could ask for an error; and a setting of the session may be another one's behind a pooler.
func (p *postgres) checkRows(ctx context.Context, q querier, table string) error {
	var active bool
	if err := q.QueryRowContext(ctx, "SELECT row_security_active(to_regclass($1::text))", quoteName(table)).Scan(&active); err != nil {
		return err
	}
	if active {
		return fmt.Errorf("%w: table %s; %s", ErrRowSecurity, table, rowSecurityRemedy)
	}
	return nil
}

// rowSecurity says of an error with row_security off what to do about it.
func rowSecurity(err error) error {
	var s interface{ SQLState() string }
	if errors.As(err, &s) && s.SQLState() == "42501" && strings.Contains(err.Error(), "row-level security") {
		return fmt.Errorf("%w: %w; %s", ErrRowSecurity, err, rowSecurityRemedy)
	}
	return err
}
