package plan

import (
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

// notSupported is SQLSTATE feature_not_supported.
const notSupported = "0A000"

// unsupported is the refusal of something that a sealed column does not do.
func (a *analyzer) unsupported(c *field.Column, what, hint string, at int) *Refusal {
	r := &Refusal{SQLState: notSupported, Position: at, Hint: hint}
	if c == nil {
		r.Message = what + " is not possible on sealed columns"
		return r
	}
	r.Message = what + " is not possible on sealed column " + c.String()
	r.Table, r.Column = c.Table().Name(), c.Name()
	if hint == "" {
		r.Hint = "Select the column, and do this in the application. On the server it can be compared with = where it declares `search: [equality]`."
	}
	return r
}

// tenantNeeded is the refusal of a comparison whose tenant nothing gives.
func (a *analyzer) tenantNeeded(o origin, what string, at int) *Refusal {
	r := a.unsupported(o.column(), what+" without a tenant", "", at)
	if c := o.column(); c != nil {
		condition := ""
		if t := c.Table().Tenant().Column; t != "" {
			condition = "compare " + quoted(t) + " with a value in the same WHERE, or "
		}
		if condition != "" && a.c.Tenant != "" {
			r.Hint = "The session's tenant keeps no rows of other tenants out: " + condition + "declare `scope: global` for it and reseal."
			return r
		}
		r.Hint = "Its search terms belong to one tenant: " + condition + "SET rowseal.tenant, or declare `scope: global` for it and reseal."
	}
	return r
}

// inTransition is the refusal of a column whose values stand partly in a plain one.
func inTransition(c *field.Column) *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: -1, Table: c.Table().Name(), Column: c.Name(),
		Message: "sealed column " + c.String() + " is in transition from " + quoted(c.Transition().Plain) + ", which the proxy does not follow",
		Hint:    "Finish the transition of the column, and take `transition` out of the policy.",
	}
}

// wrongColumn is the refusal of a column that is not as the policy has it, or holds rows of a sealed table.
func wrongColumn(t *catalog.Relation, c *catalog.Column) *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: -1, Table: t.Name, Column: c.Name,
		Message: "column " + quoted(c.Name) + " of table " + t.Name + " cannot be used through the proxy", Detail: c.Wrong,
		Hint: "Run rowseal check, which says how to mend it.",
	}
}

// typeMismatch is the refusal of a value whose type the server would not take for the column.
func (a *analyzer) typeMismatch(c *field.Column, at int) *Refusal {
	return &Refusal{
		SQLState: "42804", Position: at, Table: c.Table().Name(), Column: c.Name(),
		Message: "sealed column " + c.String() + " is of type " + c.Type().String() + ", and the value is of another",
		Hint:    "Write the value without a cast, or declare the parameter as " + c.Type().String() + ".",
	}
}

// unknownColumns is the refusal of a query whose result columns cannot be counted.
func unknownColumns(at int) *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: at,
		Message: "a query with sealed columns has others that only the server knows",
		Hint:    "Name the columns in place of *, and give functions in FROM a list of columns.",
	}
}

// unlocated is the refusal of a text in which the place to change is not found.
func unlocated() *Refusal {
	return &Refusal{
		SQLState: notSupported, Position: -1,
		Message: "the proxy does not find in this text what it has to change",
		Hint:    "Write the names of columns plainly, without U&, parentheses or casts around them.",
	}
}

func tableName(r *relation) string {
	if r == nil || r.table == nil {
		return ""
	}
	return r.table.Name
}
