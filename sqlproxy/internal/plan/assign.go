package plan

import "github.com/rowseal/rowseal/envelope"

// checkAssign refuses to write what is not a value of the same column that may stand in the written row too.
func (a *analyzer) checkAssign(o origin, t *target, at int) bool {
	if !o.isSealed() {
		a.refuse(a.unsupported(t.column, "assigning a plain column or expression",
			"Assign a parameter, a constant, or the same column of the same row; the value must be known before it is sealed.", at))
		return false
	}
	for _, col := range o.possible {
		if col != t.column {
			a.refuse(a.unsupported(t.column, "assigning values of "+col.String(),
				"A sealed value opens only in its own column; read it and write it in the application.", at))
			return false
		}
	}
	if o.rel != nil && o.rel == t.rel {
		return true
	}
	if o.givenBy() != nil {
		return a.bind(o, t, at)
	}
	table := t.column.Table()
	if table.RowID() != "" {
		a.refuse(a.unsupported(t.column, "assigning a value of another row", "Its values are bound to rows; read it and write it in the application.", at))
		return false
	}
	if t.column.Mode() != envelope.ModeTenant {
		a.refuse(a.unsupported(t.column, "assigning a value of another row", "Rows have keys of their own; read it and write it in the application.", at))
		return false
	}
	tenant, known := a.tenantOf(o)
	if !known || a.bySession(o) || !equalSource(tenant, t.tenant) {
		a.refuse(a.unsupported(t.column, "assigning a value of a row whose tenant may be another", "Fix both tenants in the statement, or set rowseal.tenant.", at))
		return false
	}
	return true
}

// equalSource reports whether two sources give the same value.
func equalSource(x, y Source) bool {
	if x.Const == nil || y.Const == nil {
		x.Sought, y.Sought = false, false
		return x == y
	}
	return x.Const.Text == y.Const.Text && x.Const.Null == y.Const.Null
}
