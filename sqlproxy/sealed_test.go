package sqlproxy

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// people is a policy that seals people.name, and a cipher for it.
func people(t testing.TB) (*field.Policy, *field.Cipher) {
	t.Helper()
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{
		Name:    "people",
		Columns: []field.ColumnConfig{{Name: "name", Type: text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := field.NewPolicy(table)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	return policy, cipher
}

func nameOf(t testing.TB, conn *pgx.Conn) []byte {
	t.Helper()
	var name []byte
	if err := conn.QueryRow(t.Context(), "SELECT name FROM people", pgx.QueryExecModeExec, pgx.QueryResultFormats{1}).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPolicyAndTenantReachTheSession(t *testing.T) {
	c, via := plain(t)
	direct := connect(t, via(c.Upstream.Address))
	if _, err := direct.Exec(t.Context(), "CREATE TABLE people (name bytea)"); err != nil {
		t.Fatal(err)
	}
	c.Policy, c.Cipher = people(t)
	c.Tenants = []Tenant{{Tenant: "north"}}
	s, address := start(t, c)
	conn := connect(t, via(address))
	const canary = "canary of north"
	if _, err := conn.Exec(t.Context(), "INSERT INTO people VALUES ('"+canary+"')"); err != nil {
		t.Fatal(err)
	}
	if raw := nameOf(t, direct); bytes.Contains(raw, []byte(canary)) || len(raw) < 56 {
		t.Errorf("the server holds %q", raw)
	}
	if got := nameOf(t, conn); string(got) != canary {
		t.Errorf("the client gets %q", got)
	}
	if _, err := conn.Exec(t.Context(), "SET rowseal.tenant = 'south'"); stateOf(err) == "" {
		t.Errorf("a fixed tenant is changed: %v", err)
	}
	c.Tenants = []Tenant{{Tenant: "south"}}
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	south := connect(t, via(address))
	if _, err := south.Exec(t.Context(), "SELECT name FROM people"); stateOf(err) != "42501" {
		t.Errorf("another tenant's value gives %v", err)
	}
	if got := nameOf(t, conn); string(got) != canary {
		t.Errorf("behind a reload the client gets %q", got)
	}
	if got := s.counts.relay.Rows.Load(); got == 0 {
		t.Error("no row is counted")
	}
}

func TestNoNameIsCutOnTheWayToATenant(t *testing.T) {
	c, via := plain(t)
	direct := connect(t, via(c.Upstream.Address))
	user := strings.Repeat("u", 60-len(direct.Config().Database)) + direct.Config().Database + "end"
	mustRun(t, direct, "CREATE ROLE "+user+" LOGIN SUPERUSER PASSWORD '"+direct.Config().Password+"'")
	t.Cleanup(func() {
		if _, err := direct.Exec(context.Background(), "DROP ROLE "+user); err != nil {
			t.Error(err)
		}
	})
	c.Policy, c.Cipher = people(t)
	c.Tenants = []Tenant{{User: user, Tenant: "north"}}
	_, address := start(t, c)
	config, err := pgx.ParseConfig(via(address))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{user: "", user + "x": "28000"} {
		config.User = name
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if got := stateOf(err); got != want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			conn.Close(context.Background())
		}
	}
}

func TestAReloadedPolicyReachesSessionsThatRun(t *testing.T) {
	c, via := plain(t)
	direct := connect(t, via(c.Upstream.Address))
	if _, err := direct.Exec(t.Context(), "CREATE TABLE people (name bytea)"); err != nil {
		t.Fatal(err)
	}
	c.Tenants = []Tenant{{Tenant: "north"}}
	s, address := start(t, c)
	conn := connect(t, via(address))
	if got, err := conn.Exec(t.Context(), "SELECT name FROM people"); err != nil || got.RowsAffected() != 0 {
		t.Fatal(got, err)
	}
	c.Policy, c.Cipher = people(t)
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	const canary = "canary of north"
	if _, err := conn.Exec(t.Context(), "INSERT INTO people VALUES ('"+canary+"')"); err != nil {
		t.Fatal(err)
	}
	if raw := nameOf(t, direct); bytes.Contains(raw, []byte(canary)) || len(raw) < 56 {
		t.Errorf("the server holds %q", raw)
	}
	if got := nameOf(t, conn); string(got) != canary {
		t.Errorf("the client gets %q", got)
	}
}
