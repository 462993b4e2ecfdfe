package field

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"pgregory.net/rapid"
)

func TestAPolicyWrittenAsYAMLReadsBackEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawPolicy(t)
		text := want.YAML()
		f, err := ParseFile("policy.yaml", text)
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, text)
		}
		if !reflect.DeepEqual(f.Policy, want) {
			t.Fatalf("another policy came back from\n%s\nwhich is\n%s", text, f.Policy.YAML())
		}
	})
}

var (
	anyName = rapid.OneOf(
		rapid.StringMatching(`[a-z_][a-z0-9_]{0,10}`),
		rapid.StringMatching(`[A-Za-z0-9 .:#'"{}\[\],&*!|>%@?-]{1,12}`),
		rapid.SampledFrom([]string{"null", "~", "true", "No", "1", "1.5", "0x1F", ".inf", "<<", "-", "a: b", "a #b", "\"", "\\", "'"}),
		rapid.StringN(1, 12, 60),
	)
	anyType = rapid.SampledFrom([]string{
		"text", "varchar(45)", "bpchar", "char(3)", "bytea", "numeric(10,2)", "numeric(3,-2)", "numeric", "int4[]",
		"varchar(7)[]", "timestamp(3)", "timestamptz", "jsonb", "numeric(10,2)[]",
	})
)

func drawPolicy(t *rapid.T) *Policy {
	var tables []*Table
	ids := map[envelope.ColumnID]bool{}
	p, _ := NewPolicy()
	for range rapid.IntRange(0, 3).Draw(t, "tables") {
		table, err := NewTable(drawTable(t))
		if err != nil || p.Table(table.Name()) != nil {
			continue // a name that means another column or table
		}
		for _, c := range table.columns {
			if ids[c.field.ID()] {
				table = nil
				break
			}
			ids[c.field.ID()] = true
		}
		if table == nil {
			continue
		}
		tables = append(tables, table)
		if p, err = NewPolicy(tables...); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func drawTable(t *rapid.T) TableConfig {
	cfg := TableConfig{Name: anyName.Draw(t, "table")}
	if rapid.Bool().Draw(t, "public") {
		cfg.Name = publicSchema + cfg.Name
	}
	optional := func(label string) string {
		if rapid.Bool().Draw(t, label+" given") {
			return anyName.Draw(t, label)
		}
		return ""
	}
	cfg.ID, cfg.RowID = optional("table id"), optional("rowid")
	cfg.Tenant = TenantSource{Column: optional("tenant column"), Default: optional("tenant default")}
	for i := range rapid.IntRange(1, 4).Draw(t, "columns") {
		c := drawColumn(t)
		c.Name += strconv.Itoa(i)
		c.ID = optional("column id")
		cfg.Columns = append(cfg.Columns, c)
	}
	return cfg
}

func drawColumn(t *rapid.T) ColumnConfig {
	typ, err := codec.ParseType(anyType.Draw(t, "type"))
	if err != nil {
		t.Fatal(err)
	}
	c := ColumnConfig{
		Name: anyName.Draw(t, "column"), Type: typ,
		Mode:       rapid.SampledFrom([]envelope.Mode{envelope.ModeTenant, envelope.ModeRow, envelope.ModeKMS}).Draw(t, "mode"),
		StrictFIPS: rapid.Bool().Draw(t, "strict"),
		Pad:        rapid.IntRange(0, maxPad).Draw(t, "pad"),
	}
	if c.Mode == envelope.ModeKMS && rapid.Bool().Draw(t, "reused") {
		c.Reuse.Values = rapid.IntRange(1, maxReuse).Draw(t, "values")
		c.Reuse.Age = time.Duration(rapid.Int64Range(0, int64(maxHeld)).Draw(t, "age"))
	}
	if c.Mode != envelope.ModeKMS && typ.HasEquality() && rapid.Bool().Draw(t, "searched") {
		c.Search.Equality = true
		c.Scope = rapid.SampledFrom([]Scope{ScopeTenant, ScopeGlobal}).Draw(t, "scope")
		if rapid.Bool().Draw(t, "shared") {
			// No two columns of a domain may differ in these.
			c.Domain = anyName.Draw(t, "domain") + c.Scope.String() + strconv.Itoa(int(typ.Family()))
		}
	}
	return c
}
