package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// misplaced is a change that somebody makes with plain SQL to row 1, and why
// the row must not open then.
type misplaced struct {
	what      string
	statement string
	args      []any
	want      error
}

// dropGuards is what anyone can do who may change the table.
const dropGuards = `DO $$ DECLARE guard text; BEGIN
	FOR guard IN SELECT conname FROM pg_constraint WHERE conrelid = 'people'::regclass AND contype = 'c' LOOP
		EXECUTE format('ALTER TABLE people DROP CONSTRAINT %I', guard);
	END LOOP; END $$`

// misplace moves and alters values behind the application's back.
func (d *demo) misplace(ctx context.Context) error {
	d.page.section("What access to the database alone does not allow")
	if _, err := d.raw.ExecContext(ctx, dropGuards); err != nil {
		return err
	}
	d.page.line("The checks that AutoMigrate gave the sealed columns are dropped first.")
	for _, m := range []misplaced{
		{"Row 1 is given to another tenant", "UPDATE people SET tenant = $1 WHERE id = 1", []any{tenants[1]}, field.ErrTenantMismatch},
		{"A value is moved to another column", "UPDATE people SET ssn = name WHERE id = 1", nil, field.ErrWrongColumn},
		{"One bit is changed", `UPDATE people SET ssn = set_byte(ssn, octet_length(ssn) - 1,
			get_byte(ssn, octet_length(ssn) - 1) # 1) WHERE id = 1`, nil, envelope.ErrOpen},
	} {
		if err := d.refused(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// refused makes the change, expects that the row does not open, and puts the
// row back as it was.
func (d *demo) refused(ctx context.Context, m misplaced) error {
	var tenant string
	var ssn []byte
	if err := d.raw.QueryRowContext(ctx, "SELECT tenant, ssn FROM people WHERE id = 1").Scan(&tenant, &ssn); err != nil {
		return err
	}
	if _, err := d.raw.ExecContext(ctx, m.statement, m.args...); err != nil {
		return err
	}
	var p Person
	opened := d.orm.WithContext(ctx).First(&p, 1).Error
	if !errors.Is(opened, m.want) {
		return fmt.Errorf("%s: reading it gave %w, which it must not", m.what, opened)
	}
	d.page.line("%s:", m.what)
	d.page.wrapped("    ", opened.Error())
	_, err := d.raw.ExecContext(ctx, "UPDATE people SET tenant = $1, ssn = $2 WHERE id = 1", tenant, ssn)
	return err
}
