package rotate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
)

// staleForm says in what a value's header is not what the policy has values sealed with now; "" where it is.
// Its type is not looked at.
func staleForm(v *envelope.Value, col *field.Column) string {
	switch {
	case v.Mode() != col.Mode():
		return fmt.Sprintf("sealed with key mode %v, the policy says %v", v.Mode(), col.Mode())
	case v.Suite != col.Suite():
		return fmt.Sprintf("sealed with suite %d (%v), the policy says %d (%v)", v.Suite, v.Suite, col.Suite(), col.Suite())
	}
	want := col.Flags()
	if slices.Contains(want, v.Flags) {
		return ""
	}
	for _, f := range []struct {
		flag envelope.Flags
		name string
	}{
		{envelope.FlagEquality, "an equality term"},
		{envelope.FlagClaim, "a row claim"},
		{envelope.FlagPadded, "padding"},
		{envelope.FlagTerms, "a term set"},
	} {
		switch has, should := v.Flags&f.flag != 0, want[0]&f.flag != 0; {
		case has && !should:
			return "sealed with " + f.name + ", which the policy no longer asks for"
		case !has && should:
			return "sealed without " + f.name + ", which the policy asks for"
		}
	}
	return fmt.Sprintf("sealed with flags %#02x, the policy says %#02x", byte(v.Flags), byte(want[0]))
}

// stalePadding says that an opened value is padded to another length than the policy says.
func stalePadding(v *envelope.Value, col *field.Column, plain []byte) bool {
	if col.Pad() == 0 || v.Flags&envelope.FlagPadded == 0 {
		return false // staleForm's business
	}
	padded := v.Len()
	if v.Flags&envelope.FlagClaim != 0 {
		padded -= envelope.ClaimSize
	}
	blocks := len(plain)/col.Pad() + 1 // at least one byte is added
	return padded != blocks*col.Pad()
}

// chosenColumns are the sealed columns that the job is about, in the table's order.
func chosenColumns(job *Job) (columns []*field.Column, err error) {
	for _, name := range job.Columns {
		if job.Table.Column(name) == nil {
			return nil, fmt.Errorf("%w: table %s declares no sealed column %s", ErrNoColumn, job.Table.Name(), name)
		}
	}
	for _, c := range job.Table.Columns() {
		if len(job.Columns) == 0 || slices.Contains(job.Columns, c.Name()) {
			columns = append(columns, c)
		}
	}
	return columns, nil
}

// tenantColumn is the column that narrows the walk to the job's tenant; "" where the job is for all.
func tenantColumn(job *Job) (string, error) {
	at := job.Table.Tenant().Column
	if job.Tenant == "" {
		return "", nil
	}
	if at == "" {
		return "", fmt.Errorf("rotate: table %s has no tenant column, by which the rows of one tenant could be told; "+
			"leave the tenant out, or declare `tenant: {column: …}`", job.Table.Name())
	}
	return at, nil
}

// boolOption reads an option of a job that is "true", "false" or not there.
func boolOption(job *Job, name string) (bool, error) {
	text, ok := job.Options[name]
	if !ok {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("rotate: option %s of a %s is %q; write true or false", name, job.Kind, text)
	}
	return on, nil
}

func namesOf(columns []*field.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name()
	}
	return names
}

// counted appends what is not zero.
func counted(to []count, counts ...count) []count {
	for _, c := range counts {
		if c.n != 0 {
			to = append(to, c)
		}
	}
	return to
}

// withPolicy makes the columns' declarations part of the job's identity: an open job is joined by those only who
// mean the same by it.
func withPolicy(job *Job, columns []*field.Column) {
	identify(job, policyOption, policyOf(columns))
}

// policyOf stands for the columns' declarations.
func policyOf(columns []*field.Column) string {
	h := sha256.New()
	for _, c := range columns {
		t := c.Table()
		fmt.Fprintf(h, "%q %q %v %d %v %d %v %v %q %q\n", c.Field(), c.Name(), c.Type(), c.Suite(), c.Mode(), c.Pad(), c.Flags(),
			c.Scope(), c.Domain(), t.RowID())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// withKeys makes the keys that are current part of the job's identity. What an open job did before keys were rotated
// is under keys that are old now: whoever joined it would leave these rows out. Rotations are told by the tenants' keys
// that are not a first one, so that new tenants change nothing; root is the root key that wraps row keys, "" where none does.
func withKeys(ctx context.Context, cfg *Config, job *Job, columns []*field.Column, root string) error {
	rotations := 0
	if slices.ContainsFunc(columns, func(c *field.Column) bool { return c.Mode() != envelope.ModeKMS }) {
		err := cfg.Keyring.Each(ctx, keyring.Filter{Purpose: keyring.PurposeTenant, Tenant: job.Tenant}, func(r keyring.Record) error {
			if r.Version > 1 {
				rotations++
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("rotate: reading the key store: %w", err)
		}
	}
	identify(job, keysOption, strings.TrimSpace(fmt.Sprintf("%d %s", rotations, root)))
	return nil
}

// identify gives the job an option of ours. The caller's map stays as it is.
func identify(job *Job, name, value string) {
	job.Options = maps.Clone(job.Options)
	if job.Options == nil {
		job.Options = map[string]string{}
	}
	job.Options[name] = value
}
