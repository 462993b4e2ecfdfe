package field

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/shopspring/decimal"
)

type (
	tagBase struct {
		ID        int64 `rowseal:"rowid"`
		CreatedAt time.Time
	}
	TagContact struct {
		*TagContact        // a struct may point to itself
		Email       string `rowseal:"seal"`
	}
	tagPerson struct {
		tagBase
		*TagContact
		OrgID  string          `rowseal:"tenant"`
		SSN    string          `json:"ssn" rowseal:"seal"`
		Salary decimal.Decimal `rowseal:"seal,key=row"`
		Notes  map[string]any  `rowseal:"key=row,wrap=kms,reuse=100/1m,pad=64,id=remarks"`
		Born   time.Time       `rowseal:"type=date"`
		City   string
		secret string
	}
)

func TestATableComesFromTheTagsOfAStruct(t *testing.T) {
	columns := []ColumnConfig{
		{Name: "email", Type: mustType(t, "text")},
		{Name: "ssn", Type: mustType(t, "text")},
		{Name: "salary", Type: mustType(t, "numeric"), Mode: envelope.ModeRow},
		{
			Name: "notes", ID: "remarks", Type: mustType(t, "jsonb"), Mode: envelope.ModeKMS, Pad: 64,
			Reuse: envelope.Reuse{Values: 100, Age: time.Minute},
		},
		{Name: "born", Type: mustType(t, "date")},
	}
	want, err := NewTable(TableConfig{
		Name: "public.people", Tenant: TenantSource{Column: "org_id"}, RowID: "id", Columns: columns,
	})
	if err != nil {
		t.Fatal(err)
	}
	twice := &tagPerson{secret: "not looked at"}
	for name, model := range map[string]any{"a value": *twice, "a pointer": twice, "a nil pointer": (*tagPerson)(nil), "two pointers": &twice} {
		got, err := TableOf(model, StructConfig{Table: "public.people", Default: "unused where a field is the tenant"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got another table", name)
		}
	}
}

func TestStructConfigNamesTableColumnsAndTenant(t *testing.T) {
	type model struct {
		Name string `rowseal:"seal"`
	}
	got, err := TableOf(model{}, StructConfig{
		Table: "m", ID: "stable", Default: "everyone",
		ColumnName: func(f reflect.StructField) string { return "c_" + f.Name },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name() != "m" || got.ID() != "stable" || got.Tenant() != (TenantSource{Default: "everyone"}) || got.Column("c_Name") == nil {
		t.Errorf("%s %s %+v %v", got.Name(), got.ID(), got.Tenant(), got.Columns())
	}
}

func TestAnEmbeddedTypeThatIsNoStructIsAFieldOfItsName(t *testing.T) {
	type Phone string
	type model struct {
		Phone
		Name string `rowseal:"seal"`
	}
	// It owns the column phone, so that no tagged field may have it too.
	same := func(reflect.StructField) string { return "phone" }
	if _, err := TableOf(model{}, StructConfig{Table: "m", ColumnName: same}); err == nil ||
		!strings.HasSuffix(err.Error(), "column phone belongs to field Phone too; give each a column of its own") {
		t.Error(err)
	}
}

func TestAnUntaggedFieldThatIsNotExportedOwnsNoColumn(t *testing.T) {
	type model struct {
		UserName string `rowseal:"seal"`
		userName string
	}
	if _, err := TableOf(model{userName: "a cache"}, StructConfig{Table: "m"}); err != nil {
		t.Error(err)
	}
}

func TestAnEmbeddedStructWithATagIsAColumn(t *testing.T) {
	type Address struct{ City string }
	type model struct {
		Address `rowseal:"seal"`
	}
	got, err := TableOf(model{}, StructConfig{Table: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Column("address"); c == nil || c.Type() != mustType(t, "jsonb") {
		t.Errorf("columns %v", got.Columns())
	}
}

func TestStructsThatDescribeNoTableAreRefused(t *testing.T) {
	type Base struct {
		Email string `rowseal:"seal"`
	}
	type Second struct {
		Email string
	}
	type plain struct{ Name string }
	for _, tt := range []struct {
		name  string
		model any
		want  string
	}{
		{"nil", nil, "TableOf needs a struct or a pointer to one, not <nil>"},
		{"a number", 5, "TableOf needs a struct or a pointer to one, not int"},
		{"a slice", []plain{}, "TableOf needs a struct or a pointer to one, not []field.plain"},
		{"a struct without tags", plain{}, "field.plain: table m: no sealed column is declared"},
		{"a field that is not exported", struct {
			ssn string `rowseal:"seal"`
		}{}, "ssn (string): the field is not exported, so its value cannot be read; export it or remove its rowseal tag"},
		{"two tenants", struct {
			A string `rowseal:"tenant"`
			B string `rowseal:"tenant"`
		}{}, "B (string): column a is the tenant already; tag one field only"},
		{"two row ids", struct {
			A string `rowseal:"rowid"`
			B string `rowseal:"rowid"`
		}{}, "B (string): column a is the row id already; tag one field only"},
		{"a sealed tenant", struct {
			A string `rowseal:"tenant,seal"`
		}{}, "A (string): struct tag: tenant: a tenant column cannot be sealed too; keep tenant alone"},
		{"an unknown word", struct {
			A string `rowseal:"sael"`
		}{}, `A (string): struct tag: unknown word "sael", did you mean "seal"?; accepted: seal, tenant, rowid, type, key, wrap, reuse, pad, id, suite, search, scope, domain`},
		{"a malformed tag", reflect.Zero(reflect.StructOf([]reflect.StructField{
			// Written as a struct, it would not pass go vet.
			{Name: "A", Type: reflect.TypeFor[string](), Tag: `rowseal: "seal"`},
		})).Interface(), "A (string): the struct tag is malformed; write `rowseal:\"…\"`, without a space after the colon, with one between tags"},
		{"one column for two fields", struct {
			UserName  string `rowseal:"seal"`
			User_Name string
		}{}, "User_Name (string): column user_name belongs to field UserName too; give each a column of its own"},
		{"a sealed field behind one of the same name", struct {
			Second
			Base
		}{}, "field.Base.Email (string): column email belongs to field Email too; give each a column of its own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := TableOf(tt.model, StructConfig{Table: "m"})
			if err == nil || !strings.HasPrefix(err.Error(), "rowseal: ") || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got\n\t%v\nwant\n\t%s", err, tt.want)
			}
		})
	}
}

func TestAFieldOfAnUnsupportedTypeIsNamed(t *testing.T) {
	type Order struct {
		Events chan int `rowseal:"seal"`
	}
	type model struct{ Order }
	_, err := TableOf(model{}, StructConfig{Table: "m"})
	for _, part := range []string{"rowseal: field.Order.Events (chan int): ", "`rowseal:\"type=text\"`"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}

func TestATableOfNeedsNames(t *testing.T) {
	type model struct {
		Name string `rowseal:"seal"`
	}
	if _, err := TableOf(model{}, StructConfig{}); err == nil ||
		err.Error() != "rowseal: field.model: StructConfig.Table is empty; set it to the table's name" {
		t.Errorf("no table name: %v", err)
	}
	none := func(reflect.StructField) string { return "" }
	if _, err := TableOf(model{}, StructConfig{Table: "m", ColumnName: none}); err == nil ||
		err.Error() != "rowseal: field.model.Name (string): StructConfig.ColumnName gives no name for it; a tagged field needs a column" {
		t.Errorf("no column name: %v", err)
	}
}

func TestModelsWrittenAsAFileReadBackEqual(t *testing.T) {
	table, err := TableOf(tagPerson{}, StructConfig{Table: "people"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(table)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ParseFile("f", p.YAML())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Policy, p) {
		t.Errorf("another policy came back from\n%s", p.YAML())
	}
}
