package codec_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
)

func TestParseTypeReadsEverySpelling(t *testing.T) {
	for in, want := range map[string]string{
		"text": "text", " TEXT ": "text", "varchar": "varchar", "varchar(45)": "varchar(45)", "character varying ( 45 )": "varchar(45)", "Character  Varying": "varchar",
		"char": "char(1)", "character": "char(1)", "char(3)": "char(3)", "character(3)": "char(3)", "bpchar": "bpchar", "bpchar(4)": "char(4)",
		"bytea": "bytea", "bool": "bool", "boolean": "bool", "int2": "int2", "smallint": "int2", "int4": "int4", "int": "int4", "integer": "int4", "int8": "int8", "bigint": "int8",
		"float4": "float4", "real": "float4", "float8": "float8", "double precision": "float8", "float": "float8", "float(24)": "float4", "float(25)": "float8",
		"numeric": "numeric", "decimal": "numeric", "dec": "numeric", "numeric(10,2)": "numeric(10,2)", "decimal(10)": "numeric(10,0)", "numeric( 3 , -2 )": "numeric(3,-2)", "numeric(1000,1000)": "numeric(1000,1000)",
		"date": "date", "time": "time", "time(3)": "time(3)", "time(0) without time zone": "time(0)", "time without time zone": "time",
		"timestamp": "timestamp", "timestamp(3)": "timestamp(3)", "timestamp without time zone": "timestamp", "timestamptz": "timestamptz", "timestamptz(6)": "timestamptz(6)",
		"timestamp with time zone": "timestamptz", "timestamp(3) with time zone": "timestamptz(3)", "interval": "interval", "interval(2)": "interval(2)",
		"uuid": "uuid", "json": "json", "jsonb": "jsonb", "inet": "inet",
		"text[]": "text[]", "varchar(5)[]": "varchar(5)[]", "timestamp(3) with time zone []": "timestamptz(3)[]", "bigint [ ]": "int8[]",
	} {
		got, err := codec.ParseType(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseType(%q) = %v, %v; want %s", in, got, err, want)
			continue
		}
		again, err := codec.ParseType(got.String())
		if err != nil || again != got {
			t.Errorf("ParseType(%q.String()) = %v, %v; want the same type", in, again, err)
		}
	}
}

func TestParseTypeRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "accepted are text, varchar(n)",
		"string":                    "accepted are text, varchar(n)",
		"timetz":                    "accepted are",
		"invalid":                   "accepted are",
		"[]":                        "accepted are",
		"varchar(0)":                "1 to 10485760",
		"varchar(10485761)":         "1 to 10485760",
		"varchar()":                 "whole numbers",
		"varchar(x)":                "whole numbers",
		"varchar(1,2)":              "1 to 10485760",
		"varchar(1":                 "parenthesis is missing",
		"char(-1)":                  "1 to 10485760",
		"numeric(0)":                "precision is 1 to 1000",
		"numeric(1001,0)":           "precision is 1 to 1000",
		"numeric(5,1001)":           "scale is -1000 to 1000",
		"numeric(5,-1001)":          "scale is -1000 to 1000",
		"numeric(1,2,3)":            "at most two",
		"timestamp(7)":              "0 to 6",
		"interval(-1)":              "0 to 6",
		"text(5)":                   "takes no number",
		"int4(5)":                   "takes no number",
		"float(54)":                 "1 to 53",
		"float(0)":                  "1 to 53",
		"int4[3]":                   "without a size",
		"int4[][]":                  "one [] only",
		"int4]":                     "without a size",
		"varchar(99999999999999)":   "whole numbers",
		"time with time zone":       "accepted are",
		"interval day to second":    "accepted are",
		"varchar(5)(6)":             "accepted are",
		"double":                    "accepted are",
		"timestamp without zone":    "accepted are",
		"character varying varying": "accepted are",
	} {
		got, err := codec.ParseType(in)
		if err == nil || !strings.Contains(err.Error(), want) || got != (codec.Type{}) {
			t.Errorf("ParseType(%q) = %v, %v; want an error with %q", in, got, err, want)
		}
	}
}

// The codes are in sealed values. A failure here means that stored values would be misread.
func TestStoredCodesNeverChange(t *testing.T) {
	codes := map[string]byte{
		"text": 1, "varchar": 2, "bpchar": 3, "bytea": 4, "bool": 5, "int2": 6, "int4": 7, "int8": 8, "float4": 9, "float8": 10, "numeric": 11, "date": 12, "time": 13,
		"timestamp": 14, "timestamptz": 15, "interval": 16, "uuid": 17, "json": 18, "jsonb": 19, "inet": 20,
	}
	for word, code := range codes {
		scalar, array := mustType(t, word), mustType(t, word+"[]")
		if scalar.Code() != code || array.Code() != code|0x80 {
			t.Errorf("%s has codes %d and %d, want %d and %d", word, scalar.Code(), array.Code(), code, code|0x80)
		}
		name := strings.Replace(word, "bpchar", "char", 1)
		if codec.CodeName(code) != name || codec.CodeName(code|0x80) != name+"[]" {
			t.Errorf("code %d is named %q and %q", code, codec.CodeName(code), codec.CodeName(code|0x80))
		}
	}
	if mustType(t, "varchar(45)").Code() != 2 || mustType(t, "char(3)").Code() != 3 {
		t.Error("a modifier changed the code")
	}
	for code, want := range map[byte]string{0: "unknown 0x00", 21: "unknown 0x15", 0x80: "unknown 0x80", 0xff: "unknown 0xff"} {
		if got := codec.CodeName(code); got != want {
			t.Errorf("CodeName(%d) = %q, want %q", code, got, want)
		}
	}
}

func TestTypesAreComparable(t *testing.T) {
	if mustType(t, "int") != mustType(t, "integer") || mustType(t, "decimal(5)") != mustType(t, "numeric(5,0)") {
		t.Error("two spellings of one type differ")
	}
	for _, other := range []string{"varchar", "varchar(4)", "varchar(5)[]", "char(5)", "text"} {
		if mustType(t, "varchar(5)") == mustType(t, other) {
			t.Errorf("varchar(5) equals %s", other)
		}
	}
	if a := mustType(t, "varchar(5)[]"); !a.IsArray() || a.Elem() != mustType(t, "varchar(5)") || a.Elem().Elem() != a.Elem() {
		t.Error("Elem of varchar(5)[] is not varchar(5)")
	}
}

func TestZeroTypeIsRefusedEverywhere(t *testing.T) {
	var zero codec.Type
	var s string
	_, _, err1 := zero.Encode(nil, "x")
	_, err2 := zero.EncodeText(nil, "x")
	_, err3 := zero.EncodeBinary(nil, []byte("x"))
	_, err4 := zero.AppendText(nil, []byte("x"))
	_, err5 := zero.Natural([]byte("x"))
	for i, err := range []error{err1, err2, err3, err4, err5, zero.Decode([]byte("x"), &s), zero.Decode(nil, &s)} {
		if stateOf(err) != "42804" {
			t.Errorf("call %d with the zero Type: %v", i, err)
		}
	}
	if zero.Valid() || zero.String() != "invalid" || zero.Code() != 0 || zero.OID() != 0 || zero.Modifier() != -1 {
		t.Error("the zero Type claims to be something")
	}
}

func TestOIDsArePgtypes(t *testing.T) {
	m := pgtype.NewMap()
	for _, word := range typeWords() {
		for _, suffix := range []string{"", "[]"} {
			typ := mustType(t, word+suffix)
			if pg, ok := m.TypeForOID(typ.OID()); !ok || strings.TrimPrefix(pg.Name, "_") != strings.Replace(word, "char(1)", "bpchar", 1) {
				t.Errorf("%s%s has OID %d, which pgtype does not know by that name", word, suffix, typ.OID())
			}
		}
	}
}

// typeWords is every logical type, without arrays.
func typeWords() []string {
	return []string{
		"text", "varchar", "char(1)", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timestamp", "timestamptz",
		"interval", "uuid", "json", "jsonb", "inet",
	}
}

func mustType(t testing.TB, s string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func FuzzParseType(f *testing.F) {
	for _, s := range append(typeWords(), "varchar(45)", "numeric(10,-2)", "timestamp(3) with time zone[]", "float(24)", "x(((", "int4 [ ]", "()", "char( )") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := codec.ParseType(s)
		if err != nil {
			if typ != (codec.Type{}) {
				t.Fatalf("an error and a type: %v", typ)
			}
			return
		}
		again, err := codec.ParseType(typ.String())
		if err != nil || !reflect.DeepEqual(again, typ) {
			t.Fatalf("%q is %v, whose spelling is %v, %v", s, typ, again, err)
		}
		if codec.CodeName(typ.Code()) == "" || typ.OID() == 0 {
			t.Fatalf("%v has no code name or OID", typ)
		}
	})
}
