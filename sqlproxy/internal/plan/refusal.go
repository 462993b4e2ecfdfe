package plan

// Refusal says why a text is not sent to the server. Its texts name tables,
// columns and remedies, never a value.
type Refusal struct {
	// SQLState is "0A000" for what is not supported, "22P02" and its kin for
	// values that a type does not take, "42P18" and others as PostgreSQL has them.
	SQLState string
	// Message is the primary message, as PostgreSQL writes them: no capital, no full stop.
	Message string
	// Detail and Hint are whole sentences; "" for none.
	Detail, Hint string
	// Position is the byte offset in the text that it is about; -1 for none.
	Position int
	// Table and Column name what it is about; "" for none.
	Table, Column string
	// Cause is for the proxy's log, not for the client; nil for none.
	Cause error
}

// Error gives message and hint.
func (r *Refusal) Error() string {
	if r.Hint == "" {
		return r.Message
	}
	return r.Message + " (" + r.Hint + ")"
}
