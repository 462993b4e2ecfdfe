package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/rotate"
)

const (
	// insertBatch and readBatch are how many rows GORM writes and reads at
	// a time.
	insertBatch = 500
	readBatch   = 1000
	// sealedColumns of a person: name, ssn, birthday, notes.
	sealedColumns = 4
	// shown is how many people are printed.
	shown = 3
)

// seal creates all people.
func (d *demo) seal(ctx context.Context) error {
	d.page.section("%s people sealed through GORM", count(d.cfg.People))
	d.page.line(`type Person struct {
    ID       int64
    Tenant   string     %[1]crowseal:"tenant"%[1]c
    Name     string     %[1]crowseal:"type=text,key=row"%[1]c
    SSN      string     %[1]crowseal:"type=text"%[1]c
    Birthday time.Time  %[1]crowseal:"type=date"%[1]c
    Notes    Notes      %[1]crowseal:"type=jsonb,key=row"%[1]c
}
db.CreateInBatches(people, %[2]d)

Sealed fields also say %[1]cgorm:"serializer:rowseal;type:bytes"%[1]c.`, '`', insertBatch)
	d.people = people(d.cfg.People)
	before, start := d.calls.Calls(), time.Now()
	// A copy, because what is compared later must not have been in GORM's hands.
	if err := d.orm.WithContext(ctx).CreateInBatches(append([]Person(nil), d.people...), insertBatch).Error; err != nil {
		return err
	}
	took := time.Since(start)
	n := len(d.people) * sealedColumns
	d.page.line("")
	d.page.line("%s values sealed and written in %s: %s values/s", count(n), short(took), rate(n, took))
	d.page.line("KMS calls: %s, one for each of %d tenants", calls(d.calls.Calls().Sub(before)), min(len(tenants), len(d.people)))
	return nil
}

// look shows a few rows as they are stored and as they are read.
func (d *demo) look(ctx context.Context) error {
	d.page.section("What the server has, by plain SQL")
	rows, err := d.raw.QueryContext(ctx, `SELECT id, tenant, substr(encode(name, 'hex'), 1, 18), substr(encode(ssn, 'hex'), 1, 18),
		octet_length(name), octet_length(ssn) FROM people ORDER BY id LIMIT $1`, shown)
	if err != nil {
		return err
	}
	defer rows.Close()
	d.page.line("%-3s %-10s %-31s %-31s", "id", "tenant", "name", "ssn")
	for rows.Next() {
		var id, nameLen, ssnLen int
		var tenant, name, ssn string
		if err := rows.Scan(&id, &tenant, &name, &ssn, &nameLen, &ssnLen); err != nil {
			return err
		}
		d.page.line("%-3d %-10s %-31s %-31s", id, tenant,
			fmt.Sprintf("\\x%s… %d B", name, nameLen), fmt.Sprintf("\\x%s… %d B", ssn, ssnLen))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	d.page.section("What the application sees, by db.Find")
	var people []Person
	if err := d.orm.WithContext(ctx).Order("id").Limit(shown).Find(&people).Error; err != nil {
		return err
	}
	d.page.line("%-3s %-10s %-17s %-12s %-11s %s", "id", "tenant", "name", "ssn", "birthday", "notes")
	for _, p := range people {
		d.page.line("%-3d %-10s %-17s %-12s %-11s %d visits", p.ID, p.Tenant, p.Name, p.SSN,
			p.Birthday.Format(time.DateOnly), p.Notes.Visits)
	}
	return d.compare(ctx)
}

// compare reads every row, with keys fetched anew, and compares it with what
// was sealed.
func (d *demo) compare(ctx context.Context) error {
	d.ring.Forget()
	before, start := d.calls.Calls(), time.Now()
	read := 0
	var batch []Person
	err := d.orm.WithContext(ctx).FindInBatches(&batch, readBatch, func(*gorm.DB, int) error {
		for i := range batch {
			if !same(&batch[i], &d.people[batch[i].ID-1]) {
				return fmt.Errorf("row %d opened to something else than was sealed", batch[i].ID)
			}
		}
		read += len(batch)
		return nil
	}).Error
	if err != nil {
		return err
	}
	if read != len(d.people) {
		return fmt.Errorf("%d rows were read, %d were written", read, len(d.people))
	}
	took := time.Since(start)
	n := read * sealedColumns
	d.page.line("")
	d.page.line("%s rows opened in %s, and each is what was sealed: %s values/s", count(read), short(took), rate(n, took))
	d.page.line("KMS calls: %s", calls(d.calls.Calls().Sub(before)))
	return nil
}

// rotateRoot rotates the root key, rewraps the key store, and deletes the old
// version of the root key.
func (d *demo) rotateRoot(ctx context.Context) error {
	d.page.section("The root key is rotated")
	mark, err := d.transaction(ctx)
	if err != nil {
		return err
	}
	id, err := d.root.Rotate(ctx)
	if err != nil {
		return err
	}
	d.page.line("New version: %s", id)
	before, start := d.calls.Calls(), time.Now()
	update, finish := d.meter("tenant keys rewrapped")
	result, err := rotate.RewrapKeys(ctx, rotate.KeysConfig{Keyring: d.ring, Progress: update})
	finish()
	if err != nil {
		return err
	}
	took := time.Since(start)
	written, err := d.written(ctx, mark)
	if err != nil {
		return err
	}
	d.page.line("%d tenant keys rewrapped in %s, KMS calls: %s", result.Rewrapped, short(took), calls(d.calls.Calls().Sub(before)))
	d.page.line("Rows of people written for it: %s", count(written))
	return d.removeOldRoots(ctx)
}

// removeOldRoots deletes all but the current version of the root key.
func (d *demo) removeOldRoots(ctx context.Context) error {
	versions, err := d.root.Versions(ctx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Current {
			continue
		}
		if err := d.root.Remove(ctx, v.Number); err != nil {
			return err
		}
		d.page.line("Version %d of the root key deleted: nothing needs it any more", v.Number)
	}
	return nil
}

// rotateTenants gives every tenant a new key and rewraps the row keys, which
// are in the values.
func (d *demo) rotateTenants(ctx context.Context) error {
	d.page.section("The tenants' keys are rotated")
	for _, tenant := range tenants[:min(len(tenants), len(d.people))] {
		if _, err := d.ring.Rotate(ctx, keyring.PurposeTenant, tenant, "demo", "shown"); err != nil {
			return err
		}
	}
	t, err := table()
	if err != nil {
		return err
	}
	start := time.Now()
	update, finish := d.meter("row keys rewrapped")
	result, err := rotate.Run(ctx, rotate.Config{
		DB: d.raw, Dialect: rotate.PostgreSQL, Keyring: d.ring, Progress: update,
	}, rotate.Job{Kind: rotate.Rewrap, Table: t})
	finish()
	if err != nil {
		return err
	}
	took := time.Since(start)
	rewrapped := int(result.Counts["rewrapped"])
	d.page.line("%s values of name and notes (key=row) got their row key wrapped anew in %s:", count(rewrapped), short(took))
	d.page.line("%s values/s. Their nonce, ciphertext and tag stay as they were.", rate(rewrapped, took))
	return nil
}

func (d *demo) reopen(ctx context.Context) error {
	d.page.section("Does every row still open?")
	return d.compare(ctx)
}

// transaction returns a mark: later transactions have higher ids.
func (d *demo) transaction(ctx context.Context) (mark int64, err error) {
	return mark, d.raw.QueryRowContext(ctx, "SELECT pg_current_xact_id()::text::bigint").Scan(&mark)
}

// written counts the rows that transactions after mark wrote. A new server's
// ids do not wrap around.
func (d *demo) written(ctx context.Context, mark int64) (n int, err error) {
	return n, d.raw.QueryRowContext(ctx, "SELECT count(*) FROM people WHERE xmin::text::bigint > $1", mark).Scan(&n)
}

// calls says which KMS calls there were.
func calls(c kmscount.Calls) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		name string
	}{{c.Generate, "generate"}, {c.Wrap, "wrap"}, {c.Unwrap, "unwrap"}, {c.Rewrap, "rewrap"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
