package rotate

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
)

// guests is a table with all that verify looks at: a row id, terms, row keys, a transition.
func (s *shop) guests(edits ...func(*field.ColumnConfig)) *field.Table {
	s.t.Helper()
	text := s.typ("text")
	cfg := field.TableConfig{
		Name: "guests", Tenant: field.TenantSource{Column: "tenant"}, RowID: "id",
		Columns: []field.ColumnConfig{
			{Name: "name", Type: text, Search: field.Search{Equality: true}},
			{Name: "email", Type: text, Mode: envelope.ModeRow},
			{Name: "city", Type: text, Transition: field.Transition{Plain: "city_clear"}},
		},
	}
	for i := range cfg.Columns {
		for _, edit := range edits {
			edit(&cfg.Columns[i])
		}
	}
	table, err := field.NewTable(cfg)
	s.must(err)
	return table
}

// guest is a row of the table guests.
type guest struct {
	id     int64
	tenant string
	sealed [][]byte // name, email, city
	clear  *string  // city_clear
}

func (s *shop) guest(c *field.Cipher, table *field.Table, id int64, tenant string) guest {
	s.t.Helper()
	rows := []field.SealRow{{
		Row:    field.Row{Tenant: tenant, ID: id},
		Values: []any{fmt.Sprintf("Name %d", id), fmt.Sprintf("%d@example.org", id), "Vienna"},
	}}
	s.must(c.SealRows(s.t.Context(), table.Columns(), rows))
	return guest{id: id, tenant: tenant, sealed: rows[0].Sealed}
}

// keysOnly hides the keyring's namespace, so that values of another one can be made with the same keys.
type keysOnly struct{ field.Keyring }

// plant returns thirty guests, of which the first thirteen have a fault each, and the faults as verify is to
// report them.
func (s *shop) plant(table *field.Table) (guests []guest, want []string) {
	s.t.Helper()
	const name, email, city = 0, 1, 2
	for i := range int64(30) {
		guests = append(guests, s.guest(s.cipher, table, i+1, fmt.Sprintf("tenant-%d", i%2)))
	}
	foreign, err := field.New(field.Config{Keyring: keysOnly{s.ring}, Namespace: "other"})
	s.must(err)
	domain := s.guests(of("name", func(c *field.ColumnConfig) { c.Domain = "people" }))
	harder := s.guests(of("email", strict))
	left := "Vienna"
	for i, fault := range []struct {
		column, kind string
		plant        func(g *guest)
	}{
		{"name", FindingUnsealed, func(g *guest) { g.sealed[name] = []byte("Ann") }},
		{"email", FindingMalformed, func(g *guest) { g.sealed[email] = g.sealed[email][:40] }},
		{"email", FindingUndecryptable, func(g *guest) { g.sealed[email] = flipped(g.sealed[email]) }},
		{"name", FindingForeign, func(g *guest) { g.sealed[name] = g.sealed[city] }},
		{"name", FindingWrongTenant, func(g *guest) { g.sealed[name] = s.guest(s.cipher, table, g.id, "tenant-1").sealed[name] }},
		{"city", FindingWrongRow, func(g *guest) { g.sealed[city] = s.guest(s.cipher, table, 99, g.tenant).sealed[city] }},
		{"city", FindingUnknownKey, func(g *guest) { g.sealed[city] = edited(g.sealed[city], 10) }},
		{"name", FindingDestroyedKey, func(g *guest) {
			*g = s.guest(s.cipher, table, g.id, "tenant-2")
			g.sealed[email], g.sealed[city] = nil, nil
		}},
		{"city", FindingWrongType, func(g *guest) { g.sealed[city] = edited(g.sealed[city], 5) }},
		{"name", FindingStaleTerms, func(g *guest) { g.sealed[name] = s.guest(s.cipher, domain, g.id, g.tenant).sealed[name] }},
		{"name", FindingUndecryptable, func(g *guest) { g.sealed[name] = edited(g.sealed[name], 12) }}, // the term
		{"email", FindingStale, func(g *guest) { g.sealed[email] = s.guest(s.cipher, harder, g.id, g.tenant).sealed[email] }},
		{"email", FindingUndecryptable, func(g *guest) { g.sealed[email] = s.guest(foreign, table, g.id, g.tenant).sealed[email] }},
		{"city", FindingUndecryptable, func(g *guest) { g.sealed[city] = s.guest(foreign, table, g.id, g.tenant).sealed[city] }},
		{"city_clear", FindingUnsealed, func(g *guest) { g.clear = &left }},
	} {
		g := &guests[i]
		if fault.kind == FindingWrongTenant {
			g.tenant = "tenant-0"
		}
		fault.plant(g)
		want = append(want, fmt.Sprintf("%s %s id=%d", fault.column, fault.kind, g.id))
	}
	s.shred("tenant-2")
	slices.Sort(want)
	return guests, want
}

// edited is sealed with one bit of byte i changed.
func edited(sealed []byte, i int) []byte {
	b := slices.Clone(sealed)
	b[i] ^= 1 << 1
	return b
}

// guestsTable makes the table on PostgreSQL.
func guestsTable(t testing.TB, guests []guest) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Exec("CREATE TABLE guests (id bigint PRIMARY KEY, tenant text NOT NULL, name bytea, email bytea, city bytea, city_clear text)")
	for _, g := range guests {
		if err == nil {
			_, err = db.Exec("INSERT INTO guests VALUES ($1, $2, $3, $4, $5, $6)", g.id, g.tenant, g.sealed[0], g.sealed[1], g.sealed[2], g.clear)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestVerifyFindsEachFaultAndNothingElse(t *testing.T) {
	s := newShop(t)
	table := s.guests()
	guests, want := s.plant(table)
	cfg := s.config()
	cfg.DB, cfg.PageSize, cfg.Workers = guestsTable(t, guests), 7, 2
	before := contents(t, cfg.DB)
	result, err := Run(t.Context(), *cfg, Job{Kind: Verify, Table: table})
	if !errors.Is(err, ErrFindings) {
		t.Errorf("error %v", err)
	}
	var got []string
	for _, f := range result.Findings {
		got = append(got, fmt.Sprintf("%s %s %s", f.Column, f.Kind, f.Row))
		if f.Table != "guests" || f.Detail == "" || strings.Contains(f.Detail, "Vienna") || strings.Contains(f.Detail, "Ann") {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	keys, counts := int64(0), result.Counts
	for name, n := range counts {
		if strings.HasPrefix(name, "key/") {
			keys += n
		}
	}
	if counts["values"] != 88 || keys != 86 || counts["mode/1"] != 28 || counts["column/name"] != 29 || counts["destroyed"] != 1 ||
		counts["finding/unsealed"] != 2 || counts["failed"] != int64(len(want)) || counts["rows"] != 30 {
		t.Errorf("counts %v", counts)
	}
	if contents(t, cfg.DB) != before {
		t.Error("verify wrote to the table")
	}
}

// contents are all rows of guests with their physical places.
func contents(t *testing.T, db *sql.DB) (all string) {
	t.Helper()
	if err := db.QueryRow("SELECT string_agg(g.ctid::text || g::text, ' ' ORDER BY id) FROM guests g").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// watchedKeys calls asked before keys are given that open values.
type watchedKeys struct {
	field.Keyring
	asked func([]envelope.Ref)
}

func (k *watchedKeys) OpenKeys(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant) {
	k.asked(refs)
	k.Keyring.OpenKeys(ctx, refs, grants)
}

// Every row opens to what it said, although others write and delete rows while they are resealed, and what they wrote
// stays.
func TestResealLeavesNewerValuesOfOthers(t *testing.T) {
	s := newShop(t)
	table := s.guests()
	const n = 400
	var guests []guest
	for i := range int64(n) {
		guests = append(guests, s.guest(s.cipher, table, i+1, fmt.Sprintf("tenant-%d", i%2)))
	}
	cfg := s.config()
	cfg.DB, cfg.PageSize = guestsTable(t, guests), 50
	s.rotate(false)
	// Between reading a page and writing it: the first plan of each page changes its third row and deletes its fifth.
	newer := map[int64][]byte{}
	touch := func(first int64) {
		id := first + 2
		g := s.guest(s.cipher, table, 1000+id, fmt.Sprintf("tenant-%d", (id-1)%2))
		row := []field.SealRow{{Row: field.Row{Tenant: g.tenant, ID: id}, Values: []any{"newer", nil, nil}}}
		s.must(s.cipher.SealRows(t.Context(), table.Columns(), row))
		newer[id] = row[0].Sealed[0]
		_, err := cfg.DB.Exec("UPDATE guests SET name = $1 WHERE id = $2", newer[id], id)
		s.must(err)
		_, err = cfg.DB.Exec("DELETE FROM guests WHERE id = $1", first+4)
		s.must(err)
	}
	ids := map[string]int64{}
	for _, g := range guests {
		ids[string(g.sealed[1])] = g.id
	}
	var err error
	cfg.Cipher, err = field.New(field.Config{Namespace: "test", Keyring: &watchedKeys{s.ring, func(refs []envelope.Ref) {
		if len(refs) < 10 {
			return // rows that are read again
		}
		first := int64(n)
		for _, r := range refs {
			if id, ok := ids[string(r.Value.Bytes())]; ok {
				first = min(first, id)
			}
		}
		if newer[first+2] == nil && len(newer) < n/50 { // the first walk, and not what looks behind it
			touch(first)
		}
	}}})
	s.must(err)
	result, err := Run(t.Context(), *cfg, Job{Kind: Reseal, Table: table})
	s.must(err)
	if len(newer) < 4 || result.Counts["reread"] < int64(len(newer)) {
		t.Fatalf("%d rows were touched, counts %v", len(newer), result.Counts)
	}
	for id, want := range newer {
		var got []byte
		s.must(cfg.DB.QueryRow("SELECT name FROM guests WHERE id = $1", id).Scan(&got))
		if !bytes.Equal(got, want) {
			t.Errorf("row %d: a newer value was overwritten", id)
		}
	}
	s.destroyRetired()
	s.forget()
	cfg.Keyring, cfg.Cipher = s.ring, s.cipher
	if result, err := Run(t.Context(), *cfg, Job{Kind: Verify, Table: table}); err != nil || result.Counts["rows"] != int64(n-len(newer)) {
		t.Errorf("%v, counts %v", err, result.Counts)
	}
}

func TestVerifyOfASampleLooksAtAllHeaders(t *testing.T) {
	s := newShop(t)
	table := s.people(rowKeys)
	rows := s.rows(table, 2000)
	rows[0].values[0] = []byte("plain")
	counts, findings := s.run(Job{Kind: Verify, Table: table, Options: map[string]string{"sample": "0.1"}}, rows)
	if counts["values"] != 2000+2000-285 || counts["opened"] < 200 || counts["opened"] > 600 || kinds(findings) != "name unsealed" {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
	again, _ := s.run(Job{Kind: Verify, Table: table, Options: map[string]string{"sample": "0.1"}}, rows)
	other, _ := s.run(Job{Kind: Verify, Table: table, Options: map[string]string{"sample": "0.1", "seed": "2"}}, rows)
	if again["opened"] != counts["opened"] {
		t.Error("the sample is another one each time")
	}
	if other["opened"] == counts["opened"] {
		t.Error("another seed makes no other sample")
	}
}

func TestVerifyFindsACopyOfARowsOwnValue(t *testing.T) {
	s := newShop(t)
	for _, c := range []struct {
		edit func(*field.ColumnConfig)
		want string
	}{{rowKeys, "name wrong-row"}, {kmsKeys, "name wrong-row"}, {strict, ""}} {
		table := s.people(c.edit)
		rows := s.rows(table, 10)
		rows[4].values[0] = rows[2].values[0]
		if _, findings := s.run(Job{Kind: Verify, Table: table}, rows); kinds(findings) != c.want {
			t.Errorf("got %q, want %q", kinds(findings), c.want)
		}
	}
}

func TestVerifyFindsStalePaddingAndFlags(t *testing.T) {
	s := newShop(t)
	rows := s.rows(s.people(padded(64)), 1)
	for _, table := range []*field.Table{s.people(), s.people(padded(32)), s.people(padded(64), searchable), s.people(padded(64), rowKeys)} {
		if _, findings := s.run(Job{Kind: Verify, Table: table}, rows); kinds(findings) != "email stale, name stale" {
			t.Errorf("%v", findings)
		}
	}
	if _, findings := s.run(Job{Kind: Verify, Table: s.people(padded(64))}, rows); findings != nil {
		t.Errorf("%v", findings)
	}
}

func TestVerifyTakesDestroyedKeysForExpectedWhereToldSo(t *testing.T) {
	s := newShop(t)
	table := s.people()
	rows := s.rows(table, 10)
	s.shred("tenant-1")
	counts, findings := s.run(Job{Kind: Verify, Table: table}, rows)
	if counts["destroyed"] != 10 || len(findings) != 10 {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
	counts, findings = s.run(Job{Kind: Verify, Table: table, Options: map[string]string{"destroyed": "true"}}, rows)
	if counts["destroyed"] != 10 || len(findings) != 0 {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
}

// A KMS or key store that is away says nothing of values: the page is to be tried again.
func TestAKeyThatCannotBeAskedForIsNoFinding(t *testing.T) {
	for _, kind := range []Kind{Reseal, Verify} {
		s := newShop(t)
		table := s.people()
		rows := s.rows(table, 4)
		s.forget()
		s.store.Fail = func() error { return context.DeadlineExceeded }
		w, err := newWork(t.Context(), s.config(), &Job{Kind: kind, Table: table})
		s.must(err)
		if verdicts, err := w.plan(t.Context(), rows); err == nil {
			t.Errorf("%s: %+v", kind, verdicts)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	s := newShop(t)
	table := s.people()
	for _, job := range []Job{
		{Kind: Verify, Options: map[string]string{"sample": "2"}},
		{Kind: Verify, Options: map[string]string{"sample": "0"}},
		{Kind: Verify, Options: map[string]string{"sample": "NaN"}},
		{Kind: Verify, Options: map[string]string{"destroyed": "maybe"}},
		{Kind: Verify, Options: map[string]string{"copies": "maybe"}},
		{Kind: Verify, Columns: []string{"nobody"}},
		{Kind: Reseal, Columns: []string{"nobody"}},
		{Kind: Reseal, Options: map[string]string{"all": "perhaps"}},
		{Kind: Overwrite},
		{Kind: Overwrite, Tenant: "nobody"},
	} {
		job.Table = table
		if _, err := newWork(t.Context(), s.config(), &job); err == nil {
			t.Errorf("%+v was taken", job)
		}
	}
}
