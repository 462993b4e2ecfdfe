package rotate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// shop is a key hierarchy in memory, for works that get their rows by hand.
type shop struct {
	t      testing.TB
	root   *localkms.KMS
	store  *keyringtest.Store
	ring   *keyring.Keyring
	cipher *field.Cipher
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, root: localkms.Memory(), store: &keyringtest.Store{}}
	s.forget()
	return s
}

// forget takes a keyring that holds nothing yet.
func (s *shop) forget() {
	s.t.Helper()
	var err error
	s.ring, err = keyring.New(keyring.Config{Namespace: "test", Roots: []kms.KMS{s.root}, Store: s.store})
	s.must(err)
	s.cipher, err = field.New(field.Config{Keyring: s.ring})
	s.must(err)
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) config() *Config {
	return &Config{Dialect: PostgreSQL, Keyring: s.ring, Cipher: s.cipher, Concurrency: 4}
}

// people is a table whose columns are changed by edits, by name.
func (s *shop) people(edits ...func(*field.ColumnConfig)) *field.Table {
	s.t.Helper()
	cfg := field.TableConfig{Name: "people", Tenant: field.TenantSource{Column: "tenant"}}
	for _, name := range []string{"name", "email"} {
		c := field.ColumnConfig{Name: name, Type: s.typ("text")}
		for _, edit := range edits {
			edit(&c)
		}
		cfg.Columns = append(cfg.Columns, c)
	}
	table, err := field.NewTable(cfg)
	s.must(err)
	return table
}

func (s *shop) typ(name string) codec.Type {
	s.t.Helper()
	t, err := codec.ParseType(name)
	s.must(err)
	return t
}

func of(column string, edit func(*field.ColumnConfig)) func(*field.ColumnConfig) {
	return func(c *field.ColumnConfig) {
		if c.Name == column {
			edit(c)
		}
	}
}

func rowKeys(c *field.ColumnConfig)    { c.Mode = envelope.ModeRow }
func kmsKeys(c *field.ColumnConfig)    { c.Mode = envelope.ModeKMS }
func strict(c *field.ColumnConfig)     { c.StrictFIPS = true }
func searchable(c *field.ColumnConfig) { c.Search.Equality = true }
func global(c *field.ColumnConfig)     { c.Search.Equality, c.Scope = true, field.ScopeGlobal }
func padded(n int) func(*field.ColumnConfig) {
	return func(c *field.ColumnConfig) { c.Pad = n }
}

// rows seals n rows of two tenants; every seventh email is NULL, and one name is empty.
func (s *shop) rows(table *field.Table, n int) []row {
	s.t.Helper()
	sealing := make([]field.SealRow, n)
	for i := range sealing {
		sealing[i] = field.SealRow{Row: field.Row{Tenant: fmt.Sprintf("tenant-%d", i%2)}, Values: []any{nameOf(i), emailOf(i)}}
	}
	s.must(s.cipher.SealRows(s.t.Context(), table.Columns(), sealing))
	rows := make([]row, n)
	for i := range rows {
		tenant := sealing[i].Tenant
		rows[i] = row{key: []any{fmt.Sprint(i)}, values: sealing[i].Sealed, beside: []*string{&tenant}}
	}
	return rows
}

func nameOf(i int) any {
	if i == 3 {
		return ""
	}
	return fmt.Sprintf("Name %d", i)
}

func emailOf(i int) any {
	if i%7 == 6 {
		return nil
	}
	return fmt.Sprintf("%d@example.org", i)
}

// opens checks that rows say what they said when they were sealed, with cold caches.
func (s *shop) opens(table *field.Table, rows []row) {
	s.t.Helper()
	s.forget()
	for i, r := range rows {
		for j, want := range []any{nameOf(i), emailOf(i)} {
			if (want == nil) != (r.values[j] == nil) {
				s.t.Fatalf("row %d, column %d: a NULL came or went", i, j)
			}
			if want == nil {
				continue
			}
			var got string
			s.must(s.cipher.Open(s.t.Context(), &got, table.Columns()[j], field.Row{Tenant: *r.beside[0]}, r.values[j]))
			if got != want {
				s.t.Fatalf("row %d, column %d: got %q, want %q", i, j, got, want)
			}
		}
	}
}

// run plans rows, applies what is to be written, and returns counts and findings.
func (s *shop) run(job Job, rows []row) (counts map[string]int64, findings []Finding) {
	s.t.Helper()
	w, err := newWork(s.t.Context(), s.config(), &job)
	s.must(err)
	verdicts, err := w.plan(s.t.Context(), rows)
	s.must(err)
	counts = map[string]int64{}
	for i, v := range verdicts {
		for _, c := range v.counts {
			counts[c.name] += c.n
		}
		findings = append(findings, v.findings...)
		wrote := false
		for j, fresh := range v.fresh {
			if fresh != nil {
				rows[i].values[j], wrote = fresh, true
			}
		}
		if wrote != v.writes {
			s.t.Fatalf("row %d: writes is %v", i, v.writes)
		}
	}
	return counts, findings
}

// rotate gives all tenants new keys, and destroys the old ones if asked to.
func (s *shop) rotate(destroy bool) {
	s.t.Helper()
	for _, r := range s.records() {
		if r.Purpose == keyring.PurposeTenant && r.State == keyring.Active {
			_, err := s.ring.Rotate(s.t.Context(), r.Purpose, r.Tenant, "test", "due")
			s.must(err)
		}
	}
	if destroy {
		s.destroyRetired()
	}
}

func (s *shop) destroyRetired() {
	s.t.Helper()
	for _, r := range s.records() {
		if r.State == keyring.Retired {
			s.store.Edit(r.ID, func(r *keyring.Record) { r.ChangedAt = r.ChangedAt.Add(-48 * time.Hour) })
			s.must(s.ring.DestroyUnverified(s.t.Context(), r.ID, "test", "resealed"))
		}
	}
}

func (s *shop) records() (list []keyring.Record) {
	s.t.Helper()
	s.must(s.ring.Each(s.t.Context(), keyring.Filter{}, func(r keyring.Record) error {
		list = append(list, r)
		return nil
	}))
	return list
}

// kinds lists findings as "column kind", sorted.
func kinds(findings []Finding) string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Column+" "+f.Kind)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func mustType(name string) codec.Type {
	t, err := codec.ParseType(name)
	if err != nil {
		panic(err)
	}
	return t
}

// flipped is sealed with one bit of its ciphertext changed.
func flipped(sealed []byte) []byte {
	b := slices.Clone(sealed)
	b[len(b)-20] ^= 1
	return b
}
