package rotate

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// identity finds out from a row's own columns whose it is: values that belong elsewhere do not open there.
type identity struct {
	tenant, id identityColumn
}

// identityColumn is the tenant or row id column of a table.
type identityColumn struct {
	name string // "" for none
	kind identityKind
	at   int // in row.beside
}

// identityKind is what a column's text stands for. A row claim tells the integer 42 from the text "42".
type identityKind byte

const (
	identityText identityKind = iota
	identityInteger
	identityBytes
)

// newIdentity asks the database for the types of t's tenant and row id columns.
func newIdentity(ctx context.Context, cfg *Config, t *field.Table) (d identity, err error) {
	d.tenant.name, d.id.name = t.Tenant().Column, t.RowID()
	if d.id.name == "" {
		return d, nil // a tenant is text in any case
	}
	if d.tenant.name != "" {
		d.id.at = 1
	}
	q := quote
	if cfg.Dialect == MySQL {
		q = mysqlQuote
	}
	rows, err := cfg.DB.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE 1 = 0", q(d.id.name), quotedName(t.Name(), q)))
	if err != nil {
		return d, fmt.Errorf("rotate: asking for the type of %s.%s: %w", t.Name(), d.id.name, err)
	}
	types, err := rows.ColumnTypes()
	if err = errors.Join(err, rows.Close()); err != nil {
		return d, err
	}
	d.id.kind = identityKindOf(types[0].DatabaseTypeName())
	return d, nil
}

// quotedName is a table's name, each part quoted by itself.
func quotedName(name string, q func(string) string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = q(parts[i])
	}
	return strings.Join(parts, ".")
}

// identityKindOf reads a driver's name for a column's type.
func identityKindOf(name string) identityKind {
	name = strings.ToUpper(name)
	switch {
	case strings.Contains(name, "INT") && name != "INTERVAL" && name != "POINT":
		return identityInteger
	case name == "BYTEA", strings.Contains(name, "BLOB"), strings.Contains(name, "BINARY"):
		return identityBytes
	}
	return identityText
}

// beside lists the columns for reads.beside.
func (d *identity) beside() (columns []string) {
	for _, c := range []identityColumn{d.tenant, d.id} {
		if c.name != "" {
			columns = append(columns, c.name)
		}
	}
	return columns
}

// of says whose row r is. Tenant is "" and ID nil where the row does not say.
func (d *identity) of(r *row) (of field.Row, err error) {
	if text := d.tenant.text(r); text != nil {
		if of.Tenant, err = field.TenantOf(*text); err != nil {
			return of, fmt.Errorf("%w: %w", field.ErrTenantUnknown, err)
		}
	}
	text := d.id.text(r)
	if text == nil {
		return of, nil
	}
	switch d.id.kind {
	case identityInteger:
		if n, err := strconv.ParseInt(*text, 10, 64); err == nil {
			of.ID = n
			return of, nil
		}
	case identityBytes:
		if raw, err := hex.DecodeString(strings.TrimPrefix(*text, `\x`)); err == nil && strings.HasPrefix(*text, `\x`) {
			of.ID = raw
			return of, nil
		}
		of.ID = []byte(*text)
		return of, nil
	}
	of.ID = *text
	return of, nil
}

func (c *identityColumn) text(r *row) *string {
	if c.name == "" {
		return nil
	}
	return r.beside[c.at]
}
