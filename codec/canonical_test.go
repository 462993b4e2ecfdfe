package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
)

// canonical is the canonical form of a literal of that type.
func canonical(t testing.TB, word, literal string) []byte {
	t.Helper()
	out, err := mustType(t, word).Canonical(nil, stored(t, word, literal))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func comparand(t testing.TB, word string, v any) []byte {
	t.Helper()
	out, null, err := mustType(t, word).Comparand(nil, v)
	if err != nil || null {
		t.Fatalf("%T compared with %s: null %v, %v", v, word, null, err)
	}
	return out
}

// TestCanonicalVectors holds the published examples. They never change.
func TestCanonicalVectors(t *testing.T) {
	file, err := os.ReadFile("testdata/canonical.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Type      string
		Values    []string
		Canonical string
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	families := map[byte]bool{}
	for _, v := range vectors {
		for _, value := range v.Values {
			got := canonical(t, v.Type, value)
			if hex.EncodeToString(got) != v.Canonical {
				t.Errorf("%s %q is %x, want %s", v.Type, value, got, v.Canonical)
			}
			families[got[0]] = true
		}
	}
	for _, word := range typeWords() {
		if family := mustType(t, word).Family(); family != 0 && !families[family] {
			t.Errorf("no vector for the family of %s", word)
		}
	}
}

func TestFamilies(t *testing.T) {
	for word, want := range map[string]byte{
		"text": 1, "varchar(3)": 1, "char(3)": 1, "bytea": 4, "bool": 5, "int2": 8, "int4": 8, "int8": 8, "float4": 10, "float8": 10,
		"numeric(10,2)": 11, "date": 12, "time(3)": 13, "timestamp": 14, "timestamptz": 15, "interval": 16, "uuid": 17, "json": 0,
		"jsonb": 19, "inet": 20, "int2[]": 0x88, "varchar[]": 0x81, "json[]": 0,
	} {
		typ := mustType(t, word)
		if typ.Family() != want || typ.HasEquality() != (want != 0) {
			t.Errorf("%s: family %d, equality %v; want %d", word, typ.Family(), typ.HasEquality(), want)
		}
	}
	if (codec.Type{}).Family() != 0 {
		t.Error("the zero Type has a family")
	}
}

func TestCanonicalAppends(t *testing.T) {
	got, err := mustType(t, "text").Canonical([]byte("before"), []byte("x"))
	if err != nil || string(got) != "before\x01x" {
		t.Errorf("%q, %v", got, err)
	}
	got, _, err = mustType(t, "text").Comparand([]byte("before"), "x")
	if err != nil || string(got) != "before\x01x" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCanonicalRefusesMalformedBytes(t *testing.T) {
	for word, list := range malformed() {
		for _, src := range list {
			before := []byte("kept")
			got, err := mustType(t, word).Canonical(before, []byte(src))
			var e *codec.Error
			if !errors.As(err, &e) || e.Op != "compare" || string(got) != "kept" {
				t.Errorf("%s %x: %q, %v", word, src, got, err)
			}
		}
	}
}

// TestCanonicalNumericAsTheServerReadsIt gives zeros at both ends and digits beyond the scale, which the server cuts
// off when it receives them.
func TestCanonicalNumericAsTheServerReadsIt(t *testing.T) {
	typ := mustType(t, "numeric")
	for src, want := range map[string]string{
		"0003 0002 0000 0000 0000 0000 0001":           "1",
		"0003 0000 0000 0000 0001 0000 0000":           "1",
		"0003 0000 0000 0006 0001 04d2 162e":           "1.123456",
		"0003 0000 0000 0005 0001 04d2 162e":           "1.12345",
		"0003 0000 0000 0004 0001 04d2 162e":           "1.1234",
		"0003 0000 0000 0003 0001 04d2 162e":           "1.123",
		"0003 0000 4000 0000 0001 04d2 162e":           "-1",
		"0001 fffe 4000 0004 0001":                     "0",
		"0001 8000 0000 3fff 0001":                     "0",
		"0002 0001 0000 0000 0001 0000":                "10000",
		"0004 0001 0000 0008 0001 0000 0001 0000":      "10000.0001",
		"0005 0001 0000 0003 0001 0000 0001 0000 0001": "10000",
	} {
		plain, err := hex.DecodeString(strings.ReplaceAll(src, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		received, err := typ.EncodeBinary(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := typ.Canonical(nil, plain)
		again, errAgain := typ.Canonical(nil, received)
		if err != nil || errAgain != nil || !bytes.Equal(got, canonical(t, "numeric", want)) || !bytes.Equal(got, again) {
			t.Errorf("%s is %x, and %x once received; want the form of %s", src, got, again, want)
		}
	}
}

func TestNoEquality(t *testing.T) {
	for _, typ := range []codec.Type{mustType(t, "json"), mustType(t, "json[]"), {}} {
		if _, err := typ.Canonical(nil, []byte("1")); err == nil {
			t.Errorf("%s has a canonical form", typ)
		}
		if _, _, err := typ.Comparand(nil, "1"); err == nil {
			t.Errorf("%s has a comparand", typ)
		}
	}
	_, err := mustType(t, "json").Canonical(nil, []byte("1"))
	if stateOf(err) != "42883" || !strings.Contains(err.Error(), "jsonb") {
		t.Errorf("the error %v does not name the remedy", err)
	}
}

// TestComparandIgnoresModifiers compares values that a column cannot hold as they are.
func TestComparandIgnoresModifiers(t *testing.T) {
	at := time.Date(2001, 2, 3, 4, 5, 6, 789_012_000, time.UTC)
	for _, c := range []struct {
		typ    string
		v      any
		stored string
		equal  bool
	}{
		{"varchar(3)", "abcd", "abc", false},
		{"varchar(3)", "abc ", "abc", false},
		{"varchar(3)", "abc", "abc", true},
		{"char(5)", "abc", "abc", true},
		{"char(5)", "abc          ", "abc", true},
		{"numeric(10,2)", "1.005", "1.01", false},
		{"numeric(10,2)", "1.0100", "1.01", true},
		{"numeric(10,2)", 1, "1", true},
		{"numeric(10,2)", uint64(math.MaxUint64), "1", false},
		{"numeric(3,2)", "1000000", "1", false},
		{"numeric(3,2)", math.Inf(1), "1", false},
		{"timestamp(3)", at, "2001-02-03 04:05:06.789", false},
		{"timestamp(3)", at.Truncate(time.Millisecond), "2001-02-03 04:05:06.789", true},
		{"int2", int64(7), "7", true},
		{"int2", 7.0, "7", true},
		{"int2", "7", "7", true},
		{"int4", pgtype.Int2{Int16: 7, Valid: true}, "7", true},
		{"float4", 0.5, "0.5", true},
		{"float4", float32(0.1), "0.1", true},
		{"float4", 0.1, "0.1", true},
		{"float8", math.Copysign(0, -1), "0", true},
		{"float8", math.NaN(), "NaN", true},
		{"jsonb", map[string]any{"b": 1.50, "a": nil}, `{"a":null,"b":1.5}`, true},
		{"int2[]", []int64{1, 2}, "{1,2}", true},
		{"int2[]", []int64{1, 70000}, "{1,2}", false},
		{"varchar(1)[]", []string{"a", "bc"}, "{a,b}", false},
	} {
		got := bytes.Equal(comparand(t, c.typ, c.v), canonical(t, c.typ, c.stored))
		if got != c.equal {
			t.Errorf("%s = %T(%v) where the column holds %s: %v", c.typ, c.v, c.v, c.stored, got)
		}
	}
}

// TestComparandBeyondTheFamily gives forms that no stored value has.
func TestComparandBeyondTheFamily(t *testing.T) {
	for _, c := range []struct {
		typ string
		v   any
	}{
		{"int2", uint64(1 << 63)},
		{"int8", new(big.Int).Lsh(big.NewInt(1), 80)},
		{"int4", 1.5},
		{"int4", math.NaN()},
		{"int4", "99999999999999999999"},
		{"float4", 1e300},
		{"float8", int64(1<<53 + 1)},
		{"numeric", "1e200000"},
		{"int8[]", []uint64{1, 1 << 63}},
	} {
		if got := comparand(t, c.typ, c.v); len(got) != 1 || got[0] != mustType(t, c.typ).Family() {
			t.Errorf("%s = %T(%v): %x, want the family byte alone", c.typ, c.v, c.v, got)
		}
	}
	if got := comparand(t, "int2", 70000); !bytes.Equal(got, canonical(t, "int8", "70000")) {
		t.Errorf("70000 beside an int2 is %x", got)
	}
	for _, word := range []string{"int2", "int4", "int8", "float4", "float8", "numeric", "int4[]"} {
		if got, err := mustType(t, word).Canonical(nil, nil); err == nil {
			t.Errorf("%s has the stored form %x for no bytes", word, got)
		}
	}
}

func TestComparandNull(t *testing.T) {
	for _, v := range []any{nil, (*string)(nil), pgtype.Text{}} {
		got, null, err := mustType(t, "text").Comparand([]byte("kept"), v)
		if !null || err != nil || string(got) != "kept" {
			t.Errorf("%T: %q, %v, %v", v, got, null, err)
		}
	}
}

func TestComparandErrorsNameTypesOnly(t *testing.T) {
	for _, c := range []struct {
		typ, state string
		v          any
	}{
		{"int2", "22P02", canary},
		{"int4", "42804", true},
		{"int4", "42804", struct{ S string }{canary}},
		{"uuid", "22P02", canary},
		{"timestamptz", "22007", canary},
		{"text", "22021", canary + "\x00"},
		{"inet", "22P02", canary},
		{"jsonb", "22P02", canary},
		{"int2[]", "22P02", "{" + canary + "}"},
		{"bool", "42804", leaky{}},
	} {
		got, null, err := mustType(t, c.typ).Comparand([]byte("kept"), c.v)
		var e *codec.Error
		if !errors.As(err, &e) || e.SQLState != c.state || e.Op != "compare" || e.Type != mustType(t, c.typ) || null || string(got) != "kept" {
			t.Errorf("%s = %T: %q, %v, %v; want SQLSTATE %s", c.typ, c.v, got, null, err, c.state)
			continue
		}
		silent(t, c.typ, err)
	}
}

func TestCanonicalDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 256)
	for word, literal := range map[string]string{
		"text": "naïve 日本語", "varchar(45)": "a", "char(5)": "a", "bytea": "abc", "bool": "t", "int2": "1", "int4": "1", "int8": "1", "float4": "1.5",
		"float8": "1.5", "numeric": "12345.6700", "date": "2001-02-03", "time": "04:05", "timestamp": "2001-02-03 04:05:06",
		"timestamptz": "2001-02-03 04:05:06Z", "interval": "1 mon 2 days", "uuid": sampleUUID.String(), "inet": "1.2.3.4/24",
	} {
		typ, src := mustType(t, word), stored(t, word, literal)
		if n := testing.AllocsPerRun(100, func() { _, _ = typ.Canonical(dst, src) }); n != 0 {
			t.Errorf("%s: %v allocations", word, n)
		}
	}
	s := benchText
	var boxed any = &s
	typ := mustType(t, "varchar(45)")
	if n := testing.AllocsPerRun(100, func() { _, _, _ = typ.Comparand(dst, boxed) }); n != 0 {
		t.Errorf("Comparand of a text: %v allocations", n)
	}
}

func BenchmarkCanonical(b *testing.B) {
	for word, literal := range map[string]string{
		"text": benchText, "int8": "7", "numeric": "12345.678", "timestamptz": "2001-02-03 04:05:06Z", "interval": "1 mon 2 days",
		"uuid": sampleUUID.String(), "inet": "1.2.3.4", "jsonb": `{"name":"n","tags":["a","b"],"age":5}`, "text[]": "{a,b,c}",
	} {
		b.Run(word, func(b *testing.B) {
			typ, src, dst := mustType(b, word), stored(b, word, literal), make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := typ.Canonical(dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkComparand(b *testing.B) {
	for word, v := range map[string]any{"text": benchText, "int4": 7, "numeric(10,2)": "12345.678", "timestamptz": sampleTime, "uuid": sampleUUID} {
		b.Run(word, func(b *testing.B) {
			typ, dst := mustType(b, word), make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := typ.Comparand(dst, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzCanonical gives arbitrary bytes to every type: nothing panics, Canonical takes exactly the bytes that are a
// binary form of the type without modifier, and two ways to write one value have one canonical form.
func FuzzCanonical(f *testing.F) {
	types := make([]codec.Type, 0, 40)
	for _, word := range typeWords() {
		types = append(types, mustType(f, word), mustType(f, word+"[]"))
	}
	for i, typ := range types {
		f.Add(uint8(i), []byte{})
		for _, literal := range serverLiterals()[typ.String()] {
			if src, err := typ.EncodeText(nil, literal); err == nil && len(src) < 500 {
				f.Add(uint8(i), src)
			}
		}
		for _, src := range malformed()[typ.String()] {
			f.Add(uint8(i), []byte(src))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, src []byte) {
		typ := types[int(n)%len(types)]
		got, err := typ.Canonical(nil, src)
		if !typ.HasEquality() {
			if err == nil {
				t.Fatalf("%s has a canonical form", typ)
			}
			return
		}
		plain, refused := typ.EncodeBinary(nil, src)
		if typ.Modifier() < 0 && (refused == nil) != (err == nil) {
			t.Fatalf("%s %x: EncodeBinary says %v, Canonical %v", typ, src, refused, err)
		}
		if err != nil || refused != nil {
			return
		}
		again, err := typ.Canonical(nil, plain)
		if err != nil || !bytes.Equal(again, got) || got[0] != typ.Family() {
			t.Fatalf("%s %x is %x, and %x, %v after EncodeBinary", typ, src, got, again, err)
		}
	})
}
