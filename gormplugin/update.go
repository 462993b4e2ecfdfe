package gormplugin

import (
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// sealSet seals the values of an UPDATE: all in one call of the cipher.
func (p *Plugin) sealSet(c clause.Clause, stmt *gorm.Statement) (clause.Clause, error) {
	set, ok := c.Expression.(clause.Set)
	m, err := p.of(stmt)
	if err != nil || m == nil || !ok {
		return c, err
	}
	if err := noReturning(stmt, m); err != nil {
		return c, err
	}
	u := &updated{p: p, m: m, stmt: stmt, set: slices.Clone(set), assigned: map[string]any{}}
	if err := u.read(); err != nil {
		return c, err
	}
	if err := u.identify(); err != nil {
		return c, err
	}
	if err := u.seal(); err != nil {
		return c, err
	}
	if c.Expression, err = m.withPlain(set, u.set); err != nil {
		return c, err
	}
	return c, nil
}

// updated is one UPDATE of a table with sealed columns.
type updated struct {
	p        *Plugin
	m        *model
	stmt     *gorm.Statement
	set      clause.Set
	assigned map[string]any
	columns  []*field.Column
	at       []int
	row      field.SealRow
}

// read collects the sealed columns and their values.
func (u *updated) read() error {
	for i, a := range u.set {
		u.assigned[strings.ToLower(a.Column.Name)] = a.Value
		c := u.m.column(a.Column.Name)
		if c == nil {
			continue
		}
		v, err := u.m.plain(c, a.Value)
		if err != nil {
			return err
		}
		u.columns, u.at, u.row.Values = append(u.columns, c), append(u.at, i), append(u.row.Values, v)
	}
	return nil
}

// identify finds whose tenant's and which row's the new values are, and has
// the statement touch no other rows than these.
func (u *updated) identify() error {
	whole := u.whole()
	if err := u.tenant(whole); err != nil {
		return err
	}
	return u.rowID(whole)
}

// whole says whether the update replaces all that is sealed in its row.
func (u *updated) whole() bool {
	assigned := map[string]bool{}
	for name := range u.assigned {
		assigned[name] = true
	}
	if f := u.m.rowID; f != nil && f.PrimaryKey {
		assigned[strings.ToLower(f.DBName)] = true // no update changes it
	}
	return u.m.allAssigned(assigned) && len(u.columns) > 0
}

// tenant takes the row's tenant from the new value of its column, the model,
// the conditions or the context, which must agree.
func (u *updated) tenant(whole bool) error {
	f := u.m.tenant
	if f == nil {
		return nil
	}
	assigned, changes := u.assigned[strings.ToLower(f.DBName)]
	if len(u.columns) == 0 && !changes {
		return nil
	}
	if changes && isZero(assigned) {
		if err := u.fillTenant(f); err != nil {
			return err
		}
		assigned = u.assigned[strings.ToLower(f.DBName)]
	}
	if isComputed(assigned) {
		return u.m.refuse(f.DBName, field.ErrTenantUnknown, "give it a value, not an expression")
	}
	var before []any
	if !whole {
		before = u.before(f)
	}
	if changes && !whole {
		if err := u.unchanged(f, assigned, before, field.ErrTenantMismatch); err != nil {
			return err
		}
	}
	value, err := u.agreed(f, append(before, assigned), field.ErrTenantMismatch)
	if err != nil {
		return err
	}
	return u.setTenant(f, value, whole)
}

// fillTenant gives the tenant column the context's tenant in place of nothing.
func (u *updated) fillTenant(f *schema.Field) error {
	bound := field.TenantFrom(u.stmt.Context)
	if bound == "" {
		return u.m.refuse(f.DBName, field.ErrTenantUnknown, "set "+f.Name+" or use gormplugin.WithTenant")
	}
	value, err := u.m.tenantValue(u.stmt.Context, bound)
	if err != nil {
		return err
	}
	u.assigned[strings.ToLower(f.DBName)] = value
	for i := range u.set {
		if strings.EqualFold(u.set[i].Column.Name, f.DBName) {
			u.set[i].Value = value
		}
	}
	return nil
}

// setTenant seals for value, or the context's tenant where value is nil, and
// has the statement touch no other tenant's rows.
func (u *updated) setTenant(f *schema.Field, value any, whole bool) (err error) {
	bound := field.TenantFrom(u.stmt.Context)
	if value == nil && bound != "" {
		if value, err = u.m.tenantValue(u.stmt.Context, bound); err != nil {
			return err
		}
	}
	if value == nil {
		return u.m.refuse(f.DBName, field.ErrTenantUnknown,
			"set "+f.Name+" in Model or in the condition, or use gormplugin.WithTenant")
	}
	if value, err = u.m.identity(u.stmt.Context, f, value); err != nil {
		return err
	}
	if u.row.Tenant, err = field.TenantOf(value); err != nil {
		return u.m.refuse(f.DBName, err, "")
	}
	if bound != "" && bound != u.row.Tenant {
		return u.m.refuse(f.DBName, field.ErrTenantMismatch, "use the context of the row's tenant")
	}
	if !whole {
		u.guard(f, value)
	}
	return nil
}

// before returns what is known of f's value in the rows as they are.
func (u *updated) before(f *schema.Field) []any {
	values := slices.Clone(u.p.scopeOf(u.stmt).before[f])
	if v, ok := pinned(u.stmt, f.DBName); ok {
		values = append(values, v)
	}
	return values
}

// unchanged refuses an update that would leave sealed values in a row that
// they do not belong to. Where the model itself holds the new value, only the
// database knows the old one: the statement then touches the row only if the
// two are equal, and finding no row is an error.
func (u *updated) unchanged(f *schema.Field, assigned any, before []any, mismatch error) error {
	moved := u.m.refuse(f.DBName, mismatch, "sealed values belong to it; to change it, replace all of them in the same statement, with Save")
	known := false
	for _, v := range before {
		if !isZero(v) {
			known = true
			if !equalIDs(v, assigned) {
				return moved
			}
		}
	}
	if !known {
		return moved
	}
	u.p.scopeOf(u.stmt).ifNone = moved
	return nil
}

// rowID finds the id that the new values are bound to, and refuses to write
// one value to several rows where values are a row's own.
func (u *updated) rowID(whole bool) error {
	f := u.m.rowID
	assigned, changes := any(nil), false
	if f != nil {
		assigned, changes = u.assigned[strings.ToLower(f.DBName)]
	}
	if c := u.ownRow(); c != nil {
		if !u.oneRow() {
			return u.m.refuse(c.Name(), ErrManyRows, "update one row, with its primary key in Model; loop over the rows to update several")
		}
	}
	if f == nil || (len(u.columns) == 0 && !changes) {
		return nil
	}
	before := u.before(f)
	if changes && !whole {
		if err := u.unchanged(f, assigned, before, field.ErrRowMismatch); err != nil {
			return err
		}
	}
	if whole && changes {
		before = nil
	}
	value, err := u.agreed(f, append(before, assigned), field.ErrRowMismatch)
	if err != nil {
		return err
	}
	if value == nil || isComputed(value) {
		return u.m.refuse(f.DBName, field.ErrRowUnknown, "set "+f.Name+" in Model, or in the condition")
	}
	if value, err = u.m.identity(u.stmt.Context, f, value); err != nil {
		return err
	}
	u.row.ID = value
	if !whole || !changes {
		u.guard(f, value)
	}
	return nil
}

// ownRow returns a column whose new value must not be written to two rows: one
// with a row key, or any where values are bound to rows.
func (u *updated) ownRow() *field.Column {
	for i, c := range u.columns {
		if u.row.Values[i] != nil && (c.Mode() != envelope.ModeTenant || u.m.rowID != nil) {
			return c
		}
	}
	return nil
}

// oneRow says whether the statement can touch no more than one row: its
// primary key stands in the model or in a condition that always holds. It
// makes sure of that with a guard, because conditions may be text.
func (u *updated) oneRow() bool {
	s := u.stmt.Schema
	if s == nil || len(s.PrimaryFields) == 0 {
		return false
	}
	for _, f := range s.PrimaryFields {
		v, ok := pinned(u.stmt, f.DBName)
		if !ok {
			return false
		}
		u.guard(f, v)
	}
	return true
}

// agreed returns the one value that all of known have that have one.
func (u *updated) agreed(f *schema.Field, known []any, mismatch error) (any, error) {
	var value any
	for _, v := range known {
		switch {
		case isZero(v):
		case value == nil:
			value = v
		case !equalIDs(value, v):
			return nil, u.m.refuse(f.DBName, mismatch, "update the rows of one at a time")
		}
	}
	return value, nil
}

// equalIDs compares two identifiers of possibly different Go types.
func equalIDs(a, b any) bool {
	x, err := field.TenantOf(a)
	y, err2 := field.TenantOf(b)
	return err == nil && err2 == nil && x == y
}

// guard adds a condition to the statement as it is built. Where the statement
// has no condition at all and may do without, it gets one for this run.
func (u *updated) guard(f *schema.Field, value any) {
	s := u.p.scopeOf(u.stmt)
	s.guards = append(s.guards, exactly(u.stmt, clause.Eq{Column: clause.Column{Table: u.stmt.Table, Name: f.DBName}, Value: value}))
	if _, ok := u.stmt.Clauses["WHERE"]; !ok && u.stmt.AllowGlobalUpdate {
		u.stmt.AddClause(clause.Where{})
		s.addedAny = true
	}
}

// seal seals what was read.
func (u *updated) seal() error {
	if len(u.columns) == 0 {
		return nil
	}
	rows := []field.SealRow{u.row}
	if err := u.p.cipher.SealRows(u.stmt.Context, u.columns, rows); err != nil {
		return err
	}
	for j, i := range u.at {
		u.set[i].Value = cell(rows[0].Sealed[j])
	}
	return nil
}

// valuesBefore returns what the models of an update say of the columns that
// sealed values are bound to, before GORM sets their new values in them.
func (m *model) valuesBefore(stmt *gorm.Statement) map[*schema.Field][]any {
	before := map[*schema.Field][]any{}
	for _, f := range []*schema.Field{m.tenant, m.rowID} {
		if f == nil {
			continue
		}
		rv := reflect.Indirect(stmt.ReflectValue)
		switch rv.Kind() {
		case reflect.Slice, reflect.Array:
			for i := range rv.Len() {
				before[f] = append(before[f], m.valueIn(stmt, f, rv.Index(i)))
			}
		case reflect.Struct:
			before[f] = append(before[f], m.valueIn(stmt, f, rv))
		}
	}
	return before
}

func (m *model) valueIn(stmt *gorm.Statement, f *schema.Field, rv reflect.Value) any {
	rv = reflect.Indirect(rv)
	if !rv.IsValid() || rv.Type() != m.schema.ModelType {
		return nil
	}
	v, zero := f.ValueOf(stmt.Context, rv)
	if zero {
		return nil
	}
	return v
}
