package field

import (
	"testing"

	"github.com/rowseal/rowseal/envelope"
)

func TestAPolicyIsWrittenWithoutDefaults(t *testing.T) {
	const want = `tables:
  users:
    id: people
    tenant: {column: org_id}
    rowid: {column: public_id}
    columns:
      ssn: {type: text, suite: hkdf}
      name: {type: varchar(45), key: row, suite: hkdf}
      salary: {type: "numeric(10,2)"}
      notes: {type: jsonb, key: row, wrap: kms, reuse: {values: 100, age: 1m}, pad: 64, id: remarks}
  public.orders:
    tenant: {default: everyone}
    columns:
      card: {type: text, suite: hkdf}
  audit.log:
    tenant: {default: auditors}
    columns:
      lines: {type: "text[]", key: row, suite: hkdf}
`
	if got := string(fullPolicy(t).AppendYAML([]byte("# head\n"))); got != "# head\n"+want {
		t.Errorf("got\n%s", got)
	}
}

func TestAPolicyWithoutTablesIsWrittenAsSuch(t *testing.T) {
	if got := string(mustPolicy(t).YAML()); got != "tables: {}\n" {
		t.Errorf("got %q", got)
	}
}

func TestNamesThatYAMLWouldMisreadAreQuoted(t *testing.T) {
	p := mustPolicy(t, TableConfig{
		Name: "null", ID: "a: b", Tenant: TenantSource{Column: "no", Default: "42"}, RowID: "tab\there",
		Columns: []ColumnConfig{
			{Name: "found", Type: mustType(t, "text"), Search: Search{Equality: true}},
			{Name: "shared", Type: mustType(t, "text"), ID: "s", Search: Search{Equality: true}, Scope: ScopeGlobal, Domain: "a, b"},
			{Name: "1e3", ID: "quote\"back\\slash", Type: mustType(t, "bpchar")},
			{Name: "naïve\u2028\U0001F600\U000E0001", Type: mustType(t, "text"), Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Values: 2}},
		},
	})
	const want = `tables:
  "null":
    id: "a: b"
    tenant: {column: "no", default: "42"}
    rowid: {column: "tab\u0009here"}
    columns:
      found: {type: text, search: [equality]}
      shared: {type: text, search: [equality], scope: global, domain: "a, b", id: s}
      "1e3": {type: bpchar, id: "quote\"back\\slash"}
      "naïve\u2028😀\U000e0001": {type: text, key: row, wrap: kms, reuse: {values: 2}}
`
	if got := string(p.YAML()); got != want {
		t.Errorf("got\n%s", got)
	}
}
