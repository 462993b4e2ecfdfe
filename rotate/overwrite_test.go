package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/envelope"
)

func TestOverwriteBlanksWhatIsLeftOfAShreddedTenant(t *testing.T) {
	for _, all := range []string{"false", "true"} {
		s := newShop(t)
		table := s.people(of("email", global))
		rows := s.rows(table, 10)
		var of1 []row
		for i := 1; i < len(rows); i += 2 {
			of1 = append(of1, rows[i])
		}
		before := make([][][]byte, len(of1))
		for i, r := range of1 {
			before[i] = [][]byte{bytes.Clone(r.values[0]), bytes.Clone(r.values[1])}
		}
		of1[4].values[1] = rows[2].values[1] // another tenant's only value
		job := Job{Kind: Overwrite, Table: table, Tenant: "tenant-1", Options: map[string]string{"all": all}}
		if _, err := newWork(t.Context(), s.config(), &job); !errors.Is(err, ErrNotShredded) {
			t.Fatalf("a tenant with keys: %v", err)
		}
		s.shred("tenant-1")
		if all == "false" {
			for i := range of1 { // the page has the columns that were asked for
				of1[i].values = of1[i].values[1:]
				before[i] = before[i][1:]
			}
		}
		counts, findings := s.run(job, of1)
		want := map[string]int64{"false": 4, "true": 9}[all]
		if counts["overwritten"] != want || kinds(findings) != "email wrong-tenant" {
			t.Errorf("counts %v, findings %v", counts, findings)
		}
		for i, r := range of1[:4] {
			for j, v := range r.values {
				old, err := envelope.Parse(before[i][j])
				s.must(err)
				got, err := envelope.Parse(v)
				s.must(err)
				col := table.Column("email")
				if all == "true" {
					col = table.Columns()[j]
				}
				guard := col.Guard()
				if !bytes.HasPrefix(v, guard[:]) || len(v) != len(before[i][j]) || got.KeyID() != old.KeyID() {
					t.Error("the form changed")
				}
				if old.Equality() != nil && bytes.Equal(got.Equality(), old.Equality()) {
					t.Error("a term stayed")
				}
			}
		}
		if !bytes.Equal(of1[4].values[len(of1[4].values)-1], rows[2].values[1]) {
			t.Error("another tenant's value was overwritten")
		}
	}
}

// What is left of a value of wrap: kms is known as blank: verify and rewrap go on, without asking the KMS.
func TestBlanksOfTheKMSStopNoJob(t *testing.T) {
	s := newShop(t)
	s.rows(s.people(), 2) // tenants have keys
	table := s.people(kmsKeys)
	rows := s.rows(table, 20)
	var of1 []row
	for i := 1; i < len(rows); i += 2 {
		of1 = append(of1, rows[i])
	}
	s.shred("tenant-1")
	s.run(Job{Kind: Overwrite, Table: table, Tenant: "tenant-1", Options: map[string]string{"all": "true"}}, of1)
	s.forget()
	damaged := rows[0].values[0]
	v, err := envelope.Parse(damaged)
	s.must(err)
	at := bytes.Index(damaged, v.Wrapped())
	rows[0].values[0] = edited(damaged, at) // the first byte of a wrap, by which its format is known
	counts, findings := s.run(Job{Kind: Verify, Table: table, Options: map[string]string{"destroyed": "true"}}, rows)
	if counts["destroyed"] != 19 || kinds(findings) != "name undecryptable" {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
	_, err = s.root.Rotate(t.Context())
	s.must(err)
	counts, findings = s.run(Job{Kind: Rewrap, Table: table}, rows)
	if counts["destroyed"] != 19 || counts["rewrapped"] != 18 || kinds(findings) != "name undecryptable" {
		t.Errorf("counts %v, findings %v", counts, findings)
	}
}

// On a table with guards, an overwrite of a shredded tenant passes them, and verify knows what is left as destroyed.
func TestOverwritePassesGuards(t *testing.T) {
	s := newShop(t)
	table := s.guests(of("name", global))
	var guests []guest
	for i := range int64(20) {
		guests = append(guests, s.guest(s.cipher, table, i+1, fmt.Sprintf("tenant-%d", i%2)))
	}
	cfg := s.config()
	cfg.DB = guestsTable(t, guests)
	for _, c := range table.Columns() {
		guard := c.Guard()
		_, err := cfg.DB.Exec(fmt.Sprintf(`ALTER TABLE guests ADD CHECK (octet_length(%[1]s) >= 56 AND substr(%[1]s, 1, 6) = '\x%[2]x')`, c.Name(), guard[:]))
		s.must(err)
	}
	s.shred("tenant-1")
	cfg.Keyring, cfg.Cipher = s.ring, s.cipher
	result, err := Run(t.Context(), *cfg, Job{Kind: Overwrite, Table: table, Tenant: "tenant-1"})
	s.must(err)
	if result.Counts["rows"] != 10 || result.Counts["overwritten"] != 20 { // the column in transition too
		t.Errorf("counts %v", result.Counts)
	}
	result, err = Run(t.Context(), *cfg, Job{Kind: Verify, Table: table, Options: map[string]string{"destroyed": "true"}})
	s.must(err)
	if result.Counts["destroyed"] != 30 || result.Counts["opened"] != 60 {
		t.Errorf("counts %v", result.Counts)
	}
	var same int
	s.must(cfg.DB.QueryRow("SELECT count(*) FROM guests WHERE substr(name, 9, 16) = $1", guests[1].sealed[0][8:24]).Scan(&same))
	if same != 0 {
		t.Error("a term of the shredded tenant is still there")
	}
}
