package riverjob_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// place is where processes meet: a database with people and keys, and a key file.
type place struct{ dsn, root string }

// machine is what a process has of it.
type machine struct {
	place
	db     *sql.DB
	pool   *pgxpool.Pool
	store  *sqlstore.Store
	ring   *keyring.Keyring
	cipher *field.Cipher
	policy *field.Policy
	people *field.Table
}

// open connects to the place; close takes it back.
func (p place) open(ctx context.Context) (m *machine, err error) {
	m = &machine{place: p}
	if m.pool, err = pgxpool.New(ctx, p.dsn); err != nil {
		return nil, err
	}
	if m.db, err = sql.Open("pgx", p.dsn); err != nil {
		return nil, err
	}
	root, err := localkms.OpenOrCreate(p.root)
	if err != nil {
		return nil, err
	}
	if m.store, err = sqlstore.Open(ctx, p.dsn); err != nil {
		return nil, err
	}
	if err := m.store.Init(ctx); err != nil {
		return nil, err
	}
	if m.ring, err = keyring.New(keyring.Config{Namespace: "test", Roots: []kms.KMS{root}, Store: m.store}); err != nil {
		return nil, err
	}
	if m.cipher, err = field.New(field.Config{Keyring: m.ring}); err != nil {
		return nil, err
	}
	text, err := codec.ParseType("text")
	if err != nil {
		return nil, err
	}
	if m.people, err = field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Column: "tenant"},
		Columns: []field.ColumnConfig{{Name: "name", Type: text, Mode: envelope.ModeRow}, {Name: "memo", Type: text, Mode: envelope.ModeRow}},
	}); err != nil {
		return nil, err
	}
	m.policy, err = field.NewPolicy(m.people)
	return m, err
}

func (m *machine) close() error {
	err := m.db.Close()
	m.pool.Close()
	return joined(err, m.store.Close())
}

// config has pages so small that ranges have some.
func (m *machine) config() riverjob.Config {
	return riverjob.Config{
		Rotate: rotate.Config{DB: m.db, Dialect: rotate.PostgreSQL, Keyring: m.ring, Cipher: m.cipher, PageSize: 20, Workers: 2},
		Pool:   m.pool, Policy: m.policy, Turn: 300 * time.Millisecond, Rescue: 5 * time.Second, Ranges: 8,
	}
}

func (m *machine) rewrap() rotate.Job { return rotate.Job{Kind: rotate.Rewrap, Table: m.people} }
func (m *machine) reseal() rotate.Job { return rotate.Job{Kind: rotate.Reseal, Table: m.people} }

// newMachine makes a place with n people.
func newMachine(t testing.TB, n int) *machine {
	t.Helper()
	p := place{testpg.DSN(t), filepath.Join(t.TempDir(), "root.key")}
	m, err := p.open(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, m.close()) })
	m.exec(t, "CREATE TABLE people (id integer PRIMARY KEY, tenant text NOT NULL, name bytea, memo bytea)")
	for i := range n {
		m.write(t, i+1, "first")
	}
	must(t, riverjob.Migrate(t.Context(), m.pool, ""))
	return m
}

func (m *machine) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	_, err := m.db.ExecContext(t.Context(), query, args...)
	must(t, err)
}

func tenantOf(id int) string { return fmt.Sprintf("tenant-%d", id%3) }

// write seals a row's name and memo, as an application does.
func (m *machine) write(t testing.TB, id int, memo string) {
	t.Helper()
	row := []field.SealRow{{Row: field.Row{Tenant: tenantOf(id)}, Values: []any{fmt.Sprintf("Name %d", id), memo}}}
	must(t, m.cipher.SealRows(t.Context(), m.people.Columns(), row))
	m.exec(t, "INSERT INTO people VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET name = $3, memo = $4",
		id, tenantOf(id), row[0].Sealed[0], row[0].Sealed[1])
}

// opens checks that n rows open to what was written last, "first" where memos does not say otherwise, under no key but the newest.
func (m *machine) opens(t testing.TB, n int, memos map[int]string) {
	t.Helper()
	m.ring.Forget()
	retired := m.keys(t, keyring.Retired)
	rows, err := m.db.QueryContext(t.Context(), "SELECT id, name, memo FROM people")
	must(t, err)
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var id int
		sealed := make([][]byte, 2)
		must(t, rows.Scan(&id, &sealed[0], &sealed[1]))
		seen++
		memo := memos[id]
		if memo == "" {
			memo = "first"
		}
		for i, want := range []string{fmt.Sprintf("Name %d", id), memo} {
			var got string
			must(t, m.cipher.Open(t.Context(), &got, m.people.Columns()[i], field.Row{Tenant: tenantOf(id)}, sealed[i]))
			if got != want {
				t.Fatalf("row %d: %q, want %q", id, got, want)
			}
			var v envelope.Value
			must(t, v.Parse(sealed[i]))
			if retired[v.KeyID()] {
				t.Fatalf("row %d is under a retired key", id)
			}
		}
	}
	must(t, rows.Err())
	if seen != n {
		t.Fatalf("%d rows, want %d", seen, n)
	}
}

// keys are those of a state.
func (m *machine) keys(t testing.TB, state keyring.State) map[envelope.KeyID]bool {
	t.Helper()
	list := map[envelope.KeyID]bool{}
	must(t, m.ring.Each(t.Context(), keyring.Filter{Purpose: keyring.PurposeTenant}, func(r keyring.Record) error {
		if r.State == state {
			list[r.ID] = true
		}
		return nil
	}))
	return list
}

// rotate gives every tenant a new key.
func (m *machine) rotate(t testing.TB) {
	t.Helper()
	for i := range 3 {
		_, err := m.ring.Rotate(t.Context(), keyring.PurposeTenant, tenantOf(i), "test", "due")
		must(t, err)
	}
}

// inRiver counts River's jobs of a kind, by state.
func (m *machine) inRiver(t testing.TB, kind string) map[string]int {
	t.Helper()
	rows, err := m.db.QueryContext(t.Context(), "SELECT state::text, count(*) FROM rowseal_river.river_job WHERE kind = $1 GROUP BY 1", kind)
	must(t, err)
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		must(t, rows.Scan(&state, &n))
		counts[state] = n
	}
	must(t, rows.Err())
	return counts
}

// planned wants a job planned by one of three processes. One that starts when the first has planned plans once more, and finds the
// ranges there.
func (m *machine) planned(t testing.TB) {
	t.Helper()
	if got := m.inRiver(t, "rowseal_plan"); got["completed"] < 1 || got["completed"] > 3 || len(got) > 1 {
		t.Errorf("rowseal_plan: %v", got)
	}
}

func newRunner(t testing.TB, cfg riverjob.Config) *riverjob.Runner {
	t.Helper()
	r, err := riverjob.New(t.Context(), cfg)
	must(t, err)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
