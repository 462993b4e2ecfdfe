package field

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

func mustType(t *testing.T, s string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func mustPolicy(t *testing.T, cfgs ...TableConfig) *Policy {
	t.Helper()
	var tables []*Table
	for _, cfg := range cfgs {
		table, err := NewTable(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	p, err := NewPolicy(tables...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fullPolicy is the section tables of testdata/file/full.yaml.
func fullPolicy(t *testing.T) *Policy {
	return mustPolicy(t,
		TableConfig{
			Name: "users", ID: "people", Tenant: TenantSource{Column: "org_id"}, RowID: "public_id",
			Columns: []ColumnConfig{
				{Name: "ssn", Type: mustType(t, "text"), StrictFIPS: true},
				{Name: "name", Type: mustType(t, "varchar(45)"), Mode: envelope.ModeRow, StrictFIPS: true},
				{Name: "salary", Type: mustType(t, "numeric(10,2)")},
				{
					Name: "notes", ID: "remarks", Type: mustType(t, "jsonb"), Mode: envelope.ModeKMS, Pad: 64,
					Reuse: envelope.Reuse{Values: 100, Age: time.Minute},
				},
			},
		},
		TableConfig{
			Name: "public.orders", ID: "orders", Tenant: TenantSource{Default: "everyone"},
			Columns: []ColumnConfig{{Name: "card", Type: mustType(t, "text"), StrictFIPS: true}},
		},
		TableConfig{
			Name: "audit.log", Tenant: TenantSource{Default: "auditors"},
			Columns: []ColumnConfig{{Name: "lines", Type: mustType(t, "text[]"), Mode: envelope.ModeRow, StrictFIPS: true}},
		},
	)
}

func TestEveryWordOfAPolicyFileTakesEffect(t *testing.T) {
	f, err := LoadFile("testdata/file/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys{
		KMS:   []string{"awskms:///alias/rowseal?region=eu-west-1", "local:///var/lib/rowseal/root.key"},
		Store: "postgres://keys:secret@10.0.0.1/rowseal", Entries: 10000, TTL: 5 * time.Minute,
		Intermediate: true, StrictFIPS: true,
	}
	if f.Namespace != "prod" || f.DefaultTenant != "everyone" || !reflect.DeepEqual(f.Keys, keys) {
		t.Errorf("namespace %q, default tenant %q, keys %+v", f.Namespace, f.DefaultTenant, f.Keys)
	}
	if want := fullPolicy(t); !reflect.DeepEqual(f.Policy, want) {
		t.Errorf("got the policy\n%s\nwant\n%s", f.Policy.YAML(), want.YAML())
	}
	proxy := &Proxy{
		Listen: "127.0.0.1:6432", Upstream: "postgres://127.0.0.1:5432?sslmode=verify-full&sslrootcert=ca.crt",
		TLS: ProxyTLS{
			Cert: "server.crt", Key: "server.key", ClientCA: "clients.crt", Require: true,
			ClientName: AlternativeName, ClientUsers: []ProxyNamed{{"app.example", "app"}},
		},
		Admin: "127.0.0.1:9432", Auth: ProxyAuth{
			Users:   "users.txt",
			Service: ProxyService{User: "proxy", PasswordFile: "password.txt"},
			Mock:    ProxyMock{SecretFile: "mock.bin", Iterations: 8192},
		},
		Connections: 500, Idle: 10 * time.Minute, Handshake: 5 * time.Second, Drain: time.Minute,
		Tenants:     []ProxyTenant{{User: "alice", Tenant: "acme"}, {User: "bob", Database: "shop", Tenant: "zeta"}},
		Replication: true, FunctionCalls: true, MaxStatement: 1 << 20, MaxMessage: 512 << 10,
	}
	if !reflect.DeepEqual(f.Proxy, proxy) {
		t.Errorf("got the proxy %+v", f.Proxy)
	}
	if want := (Rotation{TenantKey: 365 * 24 * time.Hour, RootKey: 90 * 24 * time.Hour}); f.Rotation != want {
		t.Errorf("got the rotation %+v", f.Rotation)
	}
}

func TestSilentSectionsLeaveZeroValues(t *testing.T) {
	for _, text := range []string{"namespace: a\n", "\ufeffnamespace: a\r\n", "---\nnamespace: \"\\x61\"\n...\n# end\n", "{namespace: 'a'}"} {
		f, err := ParseFile("f", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if want := (&File{Namespace: "a", Policy: mustPolicy(t)}); !reflect.DeepEqual(f, want) {
			t.Errorf("%q: %+v", text, f)
		}
	}
}

func TestOneRootKeyNeedsNoList(t *testing.T) {
	f, err := ParseFile("f", []byte("keys: {kms: 'local:///r', store: sqlite:///a b.db, suite: xaes, intermediate: false}"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Keys{KMS: []string{"local:///r"}, Store: "sqlite:///a b.db"}); !reflect.DeepEqual(f.Keys, want) {
		t.Errorf("got %+v", f.Keys)
	}
}

func TestATableSaysItsOwnTenantInsteadOfTheDefault(t *testing.T) {
	f, err := ParseFile("f", []byte("tenant: {default: d}\ntables:\n"+
		"  a: {columns: {x: {type: text}}}\n"+
		"  b: {tenant: {column: c}, columns: {x: {type: text}}}\n"+
		"  c: {tenant: {column: c, default: e}, columns: {x: {type: text}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]TenantSource{"a": {Default: "d"}, "b": {Column: "c"}, "c": {Column: "c", Default: "e"}} {
		if got := f.Policy.Table(name).Tenant(); got != want {
			t.Errorf("table %s: %+v, want %+v", name, got, want)
		}
	}
}

func TestATableMeansTheSameWithAndWithoutPublic(t *testing.T) {
	ids := map[envelope.ColumnID]bool{}
	for _, name := range []string{"users", "public.users"} {
		f, err := ParseFile("f", []byte("tables: {"+name+": {columns: {ssn: {type: text}}}}"))
		if err != nil {
			t.Fatal(err)
		}
		table := f.Policy.Tables()[0]
		if table.Name() != name || table.ID() != "users" {
			t.Errorf("table %q has id %q", table.Name(), table.ID())
		}
		ids[table.Column("ssn").Field().ID()] = true
	}
	if len(ids) != 1 {
		t.Error("the two spellings have different column ids, so neither opens the other's values")
	}
}

func TestLoadFileNamesTheFileThatIsMissingOrWrong(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "rowseal.yaml")
	if _, err := LoadFile(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	folder := t.TempDir()
	if _, err := LoadFile(folder); err == nil || !strings.HasPrefix(err.Error(), "rowseal: policy file: read "+folder+": ") {
		t.Errorf("folder: %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte("namespace: a\n"+strings.Repeat("#\n", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFile(large); err == nil || !strings.Contains(err.Error(), large+":1:1: the file is larger than 262144 bytes") {
		t.Errorf("large file: %v", err)
	}
}

func TestErrorsCarryTheirPlace(t *testing.T) {
	_, err := ParseFile("dir/rowseal.yaml", []byte("tables:\n  users:\n    columns:\n      é: {type: text, kye: row}\n"))
	var got *FileError
	if !errors.As(err, &got) {
		t.Fatalf("%T", err)
	}
	if got.File != "dir/rowseal.yaml" || got.Line != 4 || got.Column != 23 || got.Path != `tables.users.columns."é".kye` {
		t.Errorf("%+v", got)
	}
}

func TestRefusedRotations(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"an unknown word", "rotation: {tenant_keys: 1d}", `rotation.tenant_keys: unknown word "tenant_keys", did you mean "tenant_key"?`},
		{"a number", "rotation: {root_key: 90}", "rotation.root_key: is a number without a unit"},
		{"nothing", "rotation: {root_key: 0s}", "rotation.root_key: is zero"},
		{"more than ten years", "rotation: {tenant_key: 3651d}", "rotation.tenant_key: is too long"},
		{"a time that is none", "rotation: {tenant_key: yearly}", "rotation.tenant_key: is not a duration"},
		{"a time alone", "rotation: 90d", "rotation: is text, not a mapping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseFile("f", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}
