package sqlstore

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
)

func TestExportsAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		before, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := keyring.Export{ID: newID(), By: `o'neil "x"`, To: "/safe/ü.jsonl"}
		second := keyring.Export{ID: newID(), By: "ann", To: "b", Tenant: "a "}
		for _, e := range []keyring.Export{first, second} {
			if err := s.SaveExport(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond) // SQLite's clock ticks once in a millisecond
		}
		first.Keys, first.Digest = 12, strings.Repeat("ab", 32)
		noted := first
		noted.By, noted.To, noted.Tenant = "eve", "elsewhere", "b" // not to be changed
		if err := s.SaveExport(t.Context(), noted); err != nil {
			t.Fatal(err)
		}
		list, err := s.Exports(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatalf("got %v, %v", list, err)
		}
		for i, want := range []keyring.Export{first, second} {
			got := list[i]
			if got.At.Before(before) || got.At.After(before.Add(time.Minute)) {
				t.Errorf("taken at %v, the server's clock was %v", got.At, before)
			}
			if got.At = (time.Time{}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		for _, bad := range []keyring.Export{
			{},
			{ID: newID(), By: "\xff"},
			{ID: newID(), To: strings.Repeat("x", 1025)},
			{ID: newID(), Tenant: "a\x00"},
			{ID: newID(), Keys: -1},
			{ID: newID(), Digest: strings.Repeat("x", 65)},
		} {
			if err := s.SaveExport(t.Context(), bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestRestoreKeepsTimes(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		r, dead := key("a", 1), with(keyring.Destroyed, key("a", 2))
		r.CreatedAt = time.Date(2020, 1, 2, 3, 4, 5, 678_000, time.UTC)
		r.ChangedAt = r.CreatedAt.Add(time.Hour)
		dead.CreatedAt, dead.ChangedAt = r.ChangedAt, r.ChangedAt.Add(time.Hour)
		mark := keyring.Record{ID: newID(), Tenant: "b", Purpose: keyring.PurposeIndex, Version: 1, State: keyring.Destroyed, CreatedAt: r.CreatedAt, ChangedAt: r.CreatedAt}
		stands, err := s.Restore(t.Context(), []keyring.Record{r, dead, mark})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []keyring.Record{r, dead, mark} {
			for _, got := range []keyring.Record{stands[i], one(t, s, want.ID)} {
				sameRecord(t, got, want)
				if !got.CreatedAt.Equal(want.CreatedAt) || !got.ChangedAt.Equal(want.ChangedAt) {
					t.Errorf("times %v, %v; want %v, %v", got.CreatedAt, got.ChangedAt, want.CreatedAt, want.ChangedAt)
				}
			}
		}
		other := key("a", 1)
		if stands, err = s.Restore(t.Context(), []keyring.Record{other}); err != nil || stands[0].ID != r.ID {
			t.Errorf("a place that is taken: %v, %v", stands, err)
		}
	})
}

func TestListByParent(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		p, q := storeKey("0"), storeKey("1")
		a, b := under(p, key("a", 1)), under(p, key("b", 1))
		create(t, s, p, q, a, b, under(q, key("c", 1)))
		list, err := s.List(t.Context(), keyring.Filter{Parent: p.ID}, envelope.KeyID{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		sameIDs(t, list, a.ID, b.ID)
		if list, err = s.List(t.Context(), keyring.Filter{Parent: p.ID, Tenant: "b"}, envelope.KeyID{}, 10); err != nil {
			t.Fatal(err)
		}
		sameIDs(t, list, b.ID)
	})
}

// TestATableOfTheFirstReleaseIsBroughtUpToDate: its records stay, its older form of INSERT works on.
func TestATableOfTheFirstReleaseIsBroughtUpToDate(t *testing.T) {
	first := map[string][]string{"PostgreSQL": firstPostgres, "SQLite": firstSQLite, "MySQL": firstMySQL}
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			s := open(t, connection(t))
			for _, statement := range first[product] {
				mustExec(t, s.db, statement)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("before Init: %v", err)
			}
			var export *Error
			if _, err := s.Exports(t.Context()); !errors.Is(err, ErrNoTable) || !errors.As(err, &export) || export.Remedy != remedyInit {
				t.Errorf("exports before Init: %v", err)
			}
			for range 2 {
				if err := s.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			r := one(t, s, envelope.KeyID{0, 0, 0, 0, 0, 0, 0, 1})
			if r.Tenant != "acme" || r.Version != 3 || r.State != keyring.Retired || r.Wraps[0].RootKey != "local:5f0c/2" || string(r.Wraps[0].Blob) != "blob" ||
				r.CreatedAt.UnixMicro() != 1700000000000001 || r.Reason != "yearly" {
				t.Errorf("got %+v", r)
			}
			if done, err := s.Update(t.Context(), r, with(keyring.Destroyed, r)); !done || err != nil {
				t.Error(done, err)
			}
			if err := s.SaveExport(t.Context(), keyring.Export{ID: newID()}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What the first release made, and a record as it wrote it.
var (
	firstRecord = `('0000000000000001', 'acme', 'tenant', 3, 'retired', NULL, %s, '[{"root":"local:5f0c/2","blob":"YmxvYg=="}]', 1700000000000001, 1700000000000002, 'ann', 'yearly')`

	firstPostgres = []string{
		"CREATE SCHEMA rowseal", `CREATE TABLE rowseal.keys (
	id         text COLLATE "C" NOT NULL,
	tenant     text COLLATE "C" NOT NULL,
	purpose    text COLLATE "C" NOT NULL,
	version    bigint NOT NULL,
	state      text COLLATE "C" NOT NULL,
	parent     text COLLATE "C",
	commitment bytea NOT NULL,
	wraps      text COLLATE "C" NOT NULL,
	created_at bigint NOT NULL,
	changed_at bigint NOT NULL,
	changed_by text NOT NULL,
	reason     text NOT NULL,
	CONSTRAINT keys_pkey PRIMARY KEY (id),
	CONSTRAINT keys_version_key UNIQUE (tenant, purpose, version),
	CONSTRAINT keys_wraps_check CHECK ((wraps = '[]') = (state = 'destroyed'))
)`, `CREATE INDEX keys_root ON rowseal.keys (id) WHERE parent IS NULL AND state <> 'destroyed'`,
		"INSERT INTO rowseal.keys VALUES " + fmt.Sprintf(firstRecord, `'\x`+strings.Repeat("07", 32)+`'`),
	}

	firstSQLite = []string{
		`CREATE TABLE rowseal_keys (
	id         TEXT NOT NULL PRIMARY KEY,
	tenant     TEXT NOT NULL,
	purpose    TEXT NOT NULL,
	version    INTEGER NOT NULL,
	state      TEXT NOT NULL,
	parent     TEXT,
	commitment BLOB NOT NULL,
	wraps      TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	changed_at INTEGER NOT NULL,
	changed_by TEXT NOT NULL,
	reason     TEXT NOT NULL,
	UNIQUE (tenant, purpose, version),
	CHECK ((wraps = '[]') = (state = 'destroyed'))
) STRICT`, "INSERT INTO rowseal_keys VALUES " + fmt.Sprintf(firstRecord, "x'"+strings.Repeat("07", 32)+"'"),
	}

	firstMySQL = []string{
		`CREATE TABLE rowseal_keys (
	id         varchar(64) NOT NULL,
	tenant     varbinary(255) NOT NULL,
	purpose    varchar(64) NOT NULL,
	version    bigint NOT NULL,
	state      varchar(64) NOT NULL,
	parent     varchar(64),
	commitment varbinary(64) NOT NULL,
	wraps      mediumtext NOT NULL,
	created_at bigint NOT NULL,
	changed_at bigint NOT NULL,
	changed_by varchar(1024) NOT NULL,
	reason     varchar(1024) NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY keys_version_key (tenant, purpose, version),
	KEY keys_root (parent, id),
	CONSTRAINT keys_wraps_check CHECK ((wraps = '[]') = (state = 'destroyed'))
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC`,
		"INSERT INTO rowseal_keys VALUES " + fmt.Sprintf(firstRecord, "x'"+strings.Repeat("07", 32)+"'"),
	}
)

// TestAnApplicationNeedsNoRightForWhatCameLater: its Init finds the keys, and may not make the ledger.
func TestAnApplicationNeedsNoRightForWhatCameLater(t *testing.T) {
	dsn := testpg.DSN(t)
	owner := open(t, dsn)
	for _, statement := range firstPostgres {
		mustExec(t, owner.db, statement)
	}
	role := "rowseal_app_" + newID().String()
	for _, statement := range []string{
		"CREATE ROLE " + role + " LOGIN", "GRANT USAGE ON SCHEMA rowseal TO " + role, "GRANT SELECT, INSERT, UPDATE ON rowseal.keys TO " + role,
	} {
		mustExec(t, owner.db, statement)
	}
	t.Cleanup(func() {
		_, _ = owner.db.Exec("DROP OWNED BY " + role)
		_, _ = owner.db.Exec("DROP ROLE " + role)
	})
	app := open(t, asRole(t, dsn, role))
	if err := app.Init(t.Context()); err != nil {
		t.Errorf("Init: %v", err)
	}
	create(t, app, key("b", 1))
	if _, err := app.Exports(t.Context()); !errors.Is(err, ErrNoTable) {
		t.Errorf("exports: %v", err)
	}
}

// asRole has all connections of dsn act as role.
func asRole(t *testing.T, dsn, role string) string {
	t.Helper()
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		q := u.Query()
		q.Set("role", role)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return strings.Join(slices.Concat([]string{dsn}, []string{"role=" + role}), " ")
}
