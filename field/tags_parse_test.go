package field

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

func TestEveryWordOfATagTakesEffect(t *testing.T) {
	numeric := mustType(t, "numeric(10,2)")
	for tag, want := range map[string]Tag{
		"seal":                         {Seal: true},
		"tenant":                       {Tenant: true},
		"rowid":                        {RowID: true},
		"tenant,rowid":                 {Tenant: true, RowID: true},
		"type=numeric(10,2)":           {Seal: true, Column: ColumnConfig{Type: numeric}},
		"type=character(3)":            {Seal: true, Column: ColumnConfig{Type: mustType(t, "char(3)")}},
		"seal, key = row ":             {Seal: true, Column: ColumnConfig{Mode: envelope.ModeRow}},
		"key=tenant":                   {Seal: true},
		"pad=32":                       {Seal: true, Column: ColumnConfig{Pad: 32}},
		"id=remarks":                   {Seal: true, Column: ColumnConfig{ID: "remarks"}},
		"suite=hkdf":                   {Seal: true, Column: ColumnConfig{StrictFIPS: true}},
		"key=row,suite=hkdf":           {Seal: true, Column: ColumnConfig{Mode: envelope.ModeRow, StrictFIPS: true}},
		"wrap=kms,key=row":             {Seal: true, Column: ColumnConfig{Mode: envelope.ModeKMS}},
		"type=timestamp(3)[]":          {Seal: true, Column: ColumnConfig{Type: mustType(t, "timestamp(3)[]")}},
		"search=equality":              {Seal: true, Column: ColumnConfig{Search: Search{Equality: true}}},
		"search=equality,scope=tenant": {Seal: true, Column: ColumnConfig{Search: Search{Equality: true}}},
		"key=row, search = equality ,scope=global,domain=ssn": {Seal: true, Column: ColumnConfig{
			Mode: envelope.ModeRow, Search: Search{Equality: true}, Scope: ScopeGlobal, Domain: "ssn",
		}},
		"key=row,wrap=kms,reuse=100": {Seal: true, Column: ColumnConfig{
			Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Values: 100},
		}},
		"reuse=100/1m,wrap=kms,key=row,type=numeric(10, 2),pad=64,id=n,seal": {Seal: true, Column: ColumnConfig{
			ID: "n", Type: numeric, Mode: envelope.ModeKMS, Pad: 64, Reuse: envelope.Reuse{Values: 100, Age: time.Minute},
		}},
	} {
		if got, err := ParseTag(tag); err != nil || got != want {
			t.Errorf("%s: %+v %v", tag, got, err)
		}
	}
}

func TestWrongTagsAreRefused(t *testing.T) {
	const (
		accepted = "; accepted: seal, tenant, rowid, type, key, wrap, reuse, pad, id, suite, search, scope, domain"
		age      = "; accepted: a duration from 1s to 1h, such as 30s or 1m30s"
	)
	for _, tt := range []struct{ name, tag, want string }{
		{"an empty tag", "", "is empty" + accepted},
		{"a blank tag", "  ", "is empty" + accepted},
		{"an unknown word", "-", `unknown word "-"` + accepted},
		{"a slip", "sael", `unknown word "sael", did you mean "seal"?` + accepted},
		{"capitals", "Seal", `unknown word "Seal", did you mean "seal"?` + accepted},
		{"an empty word", "seal,", `unknown word ""` + accepted},
		{"prefixes", "seal,search=equality|prefix(3..8)", `search: this version does not support "prefix"; accepted: equality`},
		{"contains", "search=contains", `search: this version does not support "contains"; accepted: equality`},
		{"ranges", "search=range|equality", `search: this version does not support "range"; accepted: equality`},
		{"folded equality", "search=equality(fold)", `search: this version does not support parameters of "equality"; accepted: equality`},
		{"partitions", "search=equality(partitions=4)", `search: this version does not support parameters of "equality"; accepted: equality`},
		{"a kind twice", "search=equality|equality", `search: "equality" is written twice; keep one`},
		{"a slip in a kind", "search=equalty", `search: unknown word "equalty", did you mean "equality"?; accepted: equality`},
		{"an empty kind", "search=equality|", `search: unknown word ""; accepted: equality`},
		{"no kind", "search=", "search: needs a value, as in search=equality"},
		{"an unknown scope", "search=equality,scope=all", `scope: unknown word "all"; accepted: tenant, global`},
		{"scope without search", "scope=global", "scope: goes with search only; add search=equality or remove scope"},
		{"the default scope without search", "scope=tenant", "scope: goes with search only; add search=equality or remove scope"},
		{"domain without search", "domain=ssn", "domain: goes with search only; add search=equality or remove domain"},
		{"no domain", "search=equality,domain", "domain: needs a value, as in domain=ssn"},
		{"a domain that is too long", "search=equality,domain=" + strings.Repeat("x", 256), "domain: has 256 bytes; accepted: 1 to 255 bytes"},
		{"search with wrap", "search=equality,key=row,wrap=kms", "search: needs index keys from a key store and does not go with wrap=kms; remove one of them"},
		{"normalize", "normalize=nfc", `this version does not support "normalize"` + accepted},
		{"transition", "transition=x", `this version does not support "transition"` + accepted},
		{"a word twice", "pad=1,pad=2", `"pad" is written twice; keep one`},
		{"a value for seal", "seal=true", "seal: takes no value"},
		{"a value for tenant", "tenant=", "tenant: takes no value"},
		{"a value for rowid", "rowid=x", "rowid: takes no value"},
		{"no type", "type=", "type: needs a value, as in type=varchar(45)"},
		{"no key", "key", "key: needs a value, as in key=row"},
		{"no wrap", "wrap", "wrap: needs a value, as in wrap=kms"},
		{"no reuse", "reuse=", "reuse: needs a value, as in reuse=100/1m"},
		{"no pad", "pad", "pad: needs a value, as in pad=32"},
		{"no id", "id= ", "id: needs a value, as in id=ssn"},
		{"no suite", "suite", "suite: needs a value, as in suite=hkdf"},
		{"an unknown key", "key=rwo", `key: unknown word "rwo", did you mean "row"?; accepted: tenant, row`},
		{"an unknown wrap", "key=row,wrap=aws", `wrap: unknown word "aws"; accepted: kms`},
		{"the suite that is the default", "suite=xaes", `suite: unknown word "xaes"; accepted: hkdf`},
		{"a pad that is no number", "pad=x", "pad: is not a whole number in decimal digits; accepted: 0 to 65536"},
		{"a negative pad", "pad=-1", "pad: is negative; accepted: 0 to 65536"},
		{"a pad above the most", "pad=65537", "pad: is too large; accepted: 0 to 65536"},
		{"an id that is too long", "id=" + strings.Repeat("x", 256), "id: has 256 bytes; accepted: 1 to 255 bytes"},
		{"a reuse of no values", "key=row,wrap=kms,reuse=0", "reuse: the number of values is too small; accepted: 1 to 1000000, as in reuse=100/1m"},
		{"a reuse without values", "key=row,wrap=kms,reuse=1m", "reuse: the number of values is not a whole number in decimal digits; accepted: 1 to 1000000, as in reuse=100/1m"},
		{"a reuse of no age", "key=row,wrap=kms,reuse=5/", "reuse: the age is not a duration" + age},
		{"a reuse that is too long", "key=row,wrap=kms,reuse=5/2h", "reuse: the age is too long" + age},
		{"wrap without key", "wrap=kms", "wrap: goes with key=row only; add that or remove wrap"},
		{"wrap with the tenant's key", "key=tenant,wrap=kms", "wrap: goes with key=row only; add that or remove wrap"},
		{"reuse without wrap", "key=row,reuse=5", "reuse: goes with key=row,wrap=kms only; add these or remove reuse"},
		{"suite with wrap", "key=row,wrap=kms,suite=hkdf", "suite: does not go with wrap=kms, whose values have one suite only; remove suite"},
		{"a sealed tenant", "tenant,seal", "tenant: a tenant column cannot be sealed too; keep tenant alone"},
		{"a sealed row id", "rowid,type=uuid", "rowid: a row id cannot be sealed too; keep rowid alone"},
		{"an open parenthesis", "type=numeric(10,2", "`rowseal:\"type=numeric(10,2\"`: its parentheses do not match"},
		{"a closing parenthesis first", "type=a)(", "`rowseal:\"type=a)(\"`: its parentheses do not match"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTag(tt.tag)
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if want := "rowseal: struct tag: " + tt.want; err.Error() != want {
				t.Errorf("got\n\t%v\nwant\n\t%s", err, want)
			}
			if got != (Tag{}) {
				t.Errorf("beside the error there is %+v", got)
			}
		})
	}
}

func TestAWrongTypeInATagNamesTheAcceptedOnes(t *testing.T) {
	_, err := ParseTag("type=txet")
	for _, part := range []string{"rowseal: struct tag: type: ", `"txet"`, "varchar(n)", `did you mean "text"?`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}

func TestATagGivesAColumnItsTypeOrTheGoFieldDoes(t *testing.T) {
	sealed := Tag{Seal: true, Column: ColumnConfig{Pad: 8, ID: "x"}}
	got, err := sealed.ColumnConfig("salary", reflect.TypeFor[*int32]())
	if want := (ColumnConfig{Name: "salary", ID: "x", Pad: 8, Type: mustType(t, "int4")}); err != nil || got != want {
		t.Errorf("from the Go field: %+v %v", got, err)
	}
	typed := Tag{Seal: true, Column: ColumnConfig{Type: mustType(t, "numeric(10,2)")}}
	got, err = typed.ColumnConfig("salary", reflect.TypeFor[float64]())
	if want := (ColumnConfig{Name: "salary", Type: mustType(t, "numeric(10,2)")}); err != nil || got != want {
		t.Errorf("from the tag: %+v %v", got, err)
	}
}

func TestATagDoesNotGiveAColumnThatItDoesNotSeal(t *testing.T) {
	if _, err := (Tag{Tenant: true}).ColumnConfig("org_id", reflect.TypeFor[string]()); err == nil ||
		err.Error() != "rowseal: column org_id: its tag does not seal it; add the word seal" {
		t.Errorf("not sealed: %v", err)
	}
	_, err := (Tag{Seal: true}).ColumnConfig("events", reflect.TypeFor[chan int]())
	if err == nil || !strings.HasPrefix(err.Error(), "rowseal: column events: ") ||
		!strings.Contains(err.Error(), "chan int") || !strings.Contains(err.Error(), "`rowseal:\"type=text\"`") {
		t.Errorf("without a logical type: %v", err)
	}
}

func FuzzParseTag(f *testing.F) {
	for _, s := range []string{
		"seal", "tenant,rowid", "type=numeric(10,2),key=row", "key=row,wrap=kms,reuse=100/1m", "pad=32,id=x,suite=hkdf",
		"search=equality|prefix(3..8)", "search=equality,scope=global,domain=ssn", "type=(((", ",", "=", "reuse=1/1d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag, err := ParseTag(s)
		if err != nil {
			return
		}
		if !tag.Seal && tag.Column != (ColumnConfig{}) || tag.Seal && (tag.Tenant || tag.RowID) || !tag.Seal && !tag.Tenant && !tag.RowID {
			t.Fatalf("%+v", tag)
		}
		if !tag.Seal {
			return
		}
		cfg, err := tag.ColumnConfig("c", reflect.TypeFor[string]())
		if err != nil || cfg.Type == (codec.Type{}) {
			t.Fatalf("%+v %v", cfg, err)
		}
	})
}
