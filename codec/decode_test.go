package codec_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/rowseal/rowseal/codec"
)

// stored is the canonical form of a text literal.
func stored(t testing.TB, typ, literal string) []byte {
	t.Helper()
	out, err := mustType(t, typ).EncodeText([]byte{}, literal)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDecodeFillsEveryDestination(t *testing.T) {
	utc := time.Date(2001, 2, 3, 4, 5, 6, 789_012_000, time.UTC)
	day := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	const stamp, uid = "2001-02-03 04:05:06.789012+00", "00112233-4455-6677-8899-aabbccddeeff"
	for _, c := range []struct {
		typ, literal string
		want         any // the destination is a new value of its type
	}{
		{"text", "é", "é"},
		{"text", "", ""},
		{"text", "é", name("é")},
		{"text", "é", ptr("é")},
		{"text", "é", ptr(ptr("é"))},
		{"text", "é", []byte("é")},
		{"text", "", []byte{}},
		{"text", "é", blob("é")},
		{"text", "é", sql.NullString{String: "é", Valid: true}},
		{"text", "é", sql.Null[name]{V: "é", Valid: true}},
		{"text", "é", &sql.NullString{String: "é", Valid: true}},
		{"text", "é", pgtype.Text{String: "é", Valid: true}},
		{"text", "é", custom{value: "é"}},
		{"text", "color-3", color(3)},
		{"text", "color-3", ptr(color(3))},
		{"text", "color-3", sql.Null[color]{V: 3, Valid: true}},
		{"text", "::1", netip.MustParseAddr("::1")},
		{"text", "12", *big.NewInt(12)},
		{"char(3)", "a", "a  "},
		{"bytea", `\x0061`, []byte("\x00a")},
		{"bytea", `\x`, []byte{}},
		{"bytea", `\x5c`, `\`},
		{"bytea", `\x01020304`, key{1, 2, 3, 4}},
		{"bytea", `\x0102`, packed{1, 2}},
		{"bytea", `\x0102`, &packed{1, 2}},
		{"bytea", `\x01`, pgtype.PreallocBytes{1}},
		{"bytea", `\x01`, sql.Null[[]byte]{V: []byte{1}, Valid: true}},
		{"bytea", `\x01`, custom{value: []byte{1}}},
		{"bool", "t", true},
		{"bool", "t", flag(true)},
		{"bool", "f", sql.NullBool{Valid: true}},
		{"bool", "t", pgtype.Bool{Bool: true, Valid: true}},
		{"bool", "t", "t"},
		{"bool", "f", custom{value: false}},
		{"int2", "-1", int16(-1)},
		{"int2", "-1", int8(-1)},
		{"int2", "255", uint8(255)},
		{"int2", "7", level(7)},
		{"int2", "7", color(7)},
		{"int4", "7", 7},
		{"int4", "7", uint64(7)},
		{"int4", "7", 7.0},
		{"int4", "7", float32(7)},
		{"int4", "7", "7"},
		{"int4", "7", *big.NewInt(7)},
		{"int4", "7", sql.NullInt16{Int16: 7, Valid: true}},
		{"int4", "7", pgtype.Int2{Int16: 7, Valid: true}},
		{"int4", "7", pgtype.Float8{Float64: 7, Valid: true}},
		{"int4", "7", pgtype.Float4{Float32: 7, Valid: true}},
		{"int4", "7", pgtype.Numeric{Int: big.NewInt(7), Valid: true}},
		{"int4", "7", decimal.NewFromInt(7)},
		{"int8", "9223372036854775807", int64(math.MaxInt64)},
		{"int8", "7", custom{value: int64(7)}},
		{"int8", "7", time.Duration(7)},
		{"float4", "0.1", float32(0.1)},
		{"float4", "0.1", float64(float32(0.1))},
		{"float4", "0.1", "0.1"},
		{"float8", "0.1", 0.1},
		{"float8", "0.1", float32(0.1)},
		{"float8", "12", 12},
		{"float8", "12", uint8(12)},
		{"float8", "-Infinity", math.Inf(-1)},
		{"float8", "0.5", sql.NullFloat64{Float64: 0.5, Valid: true}},
		{"float8", "0.5", pgtype.Float8{Float64: 0.5, Valid: true}},
		{"float8", "0.5", ratio(0.5)},
		{"numeric", "1.10", "1.10"},
		{"numeric", "1.10", decimal.RequireFromString("1.10")},
		{"numeric", "1.10", decimal.NullDecimal{Decimal: decimal.RequireFromString("1.10"), Valid: true}},
		{"numeric", "1.10", pgtype.Numeric{Int: big.NewInt(110), Exp: -2, Valid: true}},
		{"numeric", "1e9", pgtype.Numeric{Int: big.NewInt(1), Exp: 9, Valid: true}},
		{"numeric", "0.00", pgtype.Numeric{Int: big.NewInt(0), Exp: -2, Valid: true}},
		{"numeric", "NaN", pgtype.Numeric{NaN: true, Valid: true}},
		{"numeric", "-Infinity", pgtype.Numeric{InfinityModifier: pgtype.NegativeInfinity, Valid: true}},
		{"numeric", "1.10", 1.1},
		{"numeric", "1.10", float32(1.1)},
		{"numeric", "Infinity", math.Inf(1)},
		{"numeric", "12.00", 12},
		{"numeric", "-9223372036854775808", int64(math.MinInt64)},
		{"numeric", "18446744073709551615", uint64(math.MaxUint64)},
		{"numeric", "0.000", uint8(0)},
		{"numeric", "1e30", *new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)},
		{"numeric", "-7", json.Number("-7")},
		{"date", "2001-02-03", day},
		{"date", "2001-02-03", moment(day)},
		{"date", "2001-02-03", "2001-02-03"},
		{"date", "2001-02-03", sql.NullTime{Time: day, Valid: true}},
		{"date", "2001-02-03", pgtype.Date{Time: day, Valid: true}},
		{"date", "infinity", pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}},
		{"date", "-infinity", "-infinity"},
		{"date", "infinity", custom{value: "infinity"}},
		{"time", "04:05:06.5", time.Date(2000, 1, 1, 4, 5, 6, 500_000_000, time.UTC)},
		{"time", "04:05:06", moment(time.Date(2000, 1, 1, 4, 5, 6, 0, time.UTC))},
		{"time", "24:00:00", pgtype.Time{Microseconds: 86400_000_000, Valid: true}},
		{"time", "04:05:06.50", "04:05:06.5"},
		{"timestamp", "2001-02-03 04:05:06.789012", utc},
		{"timestamp", "infinity", pgtype.Timestamp{InfinityModifier: pgtype.Infinity, Valid: true}},
		{"timestamp", "2001-02-03 04:05:06.789012", pgtype.Timestamp{Time: utc, Valid: true}},
		{"timestamptz", stamp, utc},
		{"timestamptz", stamp, ptr(utc)},
		{"timestamptz", stamp, moment(utc)},
		{"timestamptz", stamp, struct{ time.Time }{utc}},
		{"timestamptz", stamp, sql.Null[time.Time]{V: utc, Valid: true}},
		{"timestamptz", stamp, pgtype.Timestamptz{Time: utc, Valid: true}},
		{"timestamptz", "-infinity", pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}},
		{"timestamptz", stamp, custom{value: utc}},
		{"timestamptz", stamp, stamp},
		{"interval", "1 day 00:00:01", 24*time.Hour + time.Second},
		{"interval", "1 mon", pgtype.Interval{Months: 1, Valid: true}},
		{"interval", "1 mon", "1 mon"},
		{"interval", "00:00:01", sql.Null[time.Duration]{V: time.Second, Valid: true}},
		{"uuid", uid, sampleUUID},
		{"uuid", uid, [16]byte(sampleUUID)},
		{"uuid", uid, sampleUUID[:]},
		{"uuid", uid, uid},
		{"uuid", uid, uuid.NullUUID{UUID: sampleUUID, Valid: true}},
		{"uuid", uid, pgtype.UUID{Bytes: sampleUUID, Valid: true}},
		{"uuid", uid, custom{value: uid}},
		{"json", `{"b":1, "a":2}`, `{"b":1, "a":2}`},
		{"json", `{"b":1, "a":2}`, map[string]int{"a": 2, "b": 1}},
		{"jsonb", `{"b":1,"a":2}`, `{"a": 2, "b": 1}`},
		{"jsonb", `{"b":1}`, json.RawMessage(`{"b": 1}`)},
		{"jsonb", `{"b":1}`, []byte(`{"b": 1}`)},
		{"jsonb", `{"b":1}`, pgtype.Text{String: `{"b": 1}`, Valid: true}},
		{"jsonb", `{"b":1}`, sql.NullString{String: `{"b": 1}`, Valid: true}},
		{"jsonb", `{"b":1}`, custom{value: []byte(`{"b": 1}`)}},
		{"jsonb", `{"name":"n","code":"id7","pet":{"name":"p","code":"id0"}}`, person{Name: "n", Code: 7, Pet: &person{Name: "p"}}},
		{"jsonb", `{"name":"n","code":"id7"}`, &person{Name: "n", Code: 7}},
		{"jsonb", `{"name":"n","code":"id7"}`, sql.Null[person]{V: person{Name: "n", Code: 7}, Valid: true}},
		{"jsonb", `[1,2]`, []int{1, 2}},
		{"jsonb", `"color-3"`, color(3)},
		{"jsonb", `5`, 5},
		{"jsonb", `true`, true},
		{"inet", "1.2.3.4", netip.MustParseAddr("1.2.3.4")},
		{"inet", "1.2.3.4", netip.MustParsePrefix("1.2.3.4/32")},
		{"inet", "1.2.3.4/8", netip.MustParsePrefix("1.2.3.4/8")},
		{"inet", "1.2.3.4/8", "1.2.3.4/8"},
		{"inet", "::1", net.ParseIP("::1")},
		{"inet", "10.0.0.0/8", net.IPNet{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}},
		{"int4[]", "{1,2}", []int{1, 2}},
		{"int4[]", "{1,2}", [2]int8{1, 2}},
		{"int4[]", "{}", []int{}},
		{"int4[]", "{}", [][]int{}},
		{"int4[]", "{1,NULL}", []*int{ptr(1), nil}},
		{"int4[]", "{1,NULL}", []sql.NullInt32{{Int32: 1, Valid: true}, {}}},
		{"int4[]", "{1,NULL}", []any{int64(1), nil}},
		{"int4[]", "{{1,2},{3,4}}", [][]int{{1, 2}, {3, 4}}},
		{"int4[]", "{1,2}", ptr([]int{1, 2})},
		{"int4[]", "{1,2}", sql.Null[[]int]{V: []int{1, 2}, Valid: true}},
		{"int4[]", "{1,2}", pgtype.FlatArray[int]{1, 2}},
		{"int4[]", "[0:1]={1,2}", pgtype.Array[int]{Elements: []int{1, 2}, Dims: []pgtype.ArrayDimension{{Length: 2}}, Valid: true}},
		{"int4[]", "{{1,NULL}}", "{{1,NULL}}"},
		{"int4[]", "{1}", []byte("{1}")},
		{"int4[]", "{1}", custom{value: "{1}"}},
		{"text[]", `{"a b",c}`, []string{"a b", "c"}},
		{"bytea[]", `{"\\x01"}`, [][]byte{{1}}},
		{"uuid[]", "{" + uid + "}", []uuid.UUID{sampleUUID}},
		{"jsonb[]", `{"{\"a\": 1}","[2]"}`, []json.RawMessage{json.RawMessage(`{"a": 1}`), json.RawMessage(`[2]`)}},
		{"jsonb[]", `{"{\"a\": 1}"}`, []map[string]int{{"a": 1}}},
		{"inet[]", "{::1}", []net.IP{net.ParseIP("::1")}},
		{"timestamptz[]", "{" + `"` + stamp + `"}`, []time.Time{utc}},
	} {
		dst := reflect.New(reflect.TypeOf(c.want))
		src := stored(t, c.typ, c.literal)
		if err := mustType(t, c.typ).Decode(src, dst.Interface()); err != nil {
			t.Errorf("%s %s into %T: %v", c.typ, c.literal, dst.Interface(), err)
			continue
		}
		for i := range src {
			src[i] = 0xaa // what is decoded must not change with it
		}
		if got := dst.Elem().Interface(); !equal(got, c.want) {
			t.Errorf("%s %s: %#v, want %#v", c.typ, c.literal, got, c.want)
		}
	}
}

// equal compares decimals by value, since they have more than one inside for it.
func equal(a, b any) bool {
	switch x := a.(type) {
	case decimal.Decimal:
		return x.String() == b.(decimal.Decimal).String()
	case decimal.NullDecimal:
		return fmt.Sprint(x) == fmt.Sprint(b)
	case big.Int:
		y := b.(big.Int)
		return x.Cmp(&y) == 0
	case pgtype.Numeric:
		return fmt.Sprint(x) == fmt.Sprint(b)
	}
	return reflect.DeepEqual(a, b)
}

func TestDecodeOverwritesWhatWasThere(t *testing.T) {
	p := person{Name: "old", Tags: []string{"old"}, Pet: &person{}}
	if err := mustType(t, "jsonb").Decode(stored(t, "jsonb", `{"name":"new","code":"id1"}`), &p); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, person{Name: "new", Code: 1}) {
		t.Errorf("parts of the old value stayed: %+v", p)
	}
	shared := ptr(1)
	dst := shared
	if err := mustType(t, "int4").Decode(stored(t, "int4", "2"), &dst); err != nil || *dst != 2 || *shared != 1 {
		t.Errorf("a pointer was written through: %d, %d, %v", *dst, *shared, err)
	}
}

func TestDecodeOfNull(t *testing.T) {
	for _, c := range []struct {
		typ string
		dst any // filled, to see that it is emptied
	}{
		{"text", ptr(ptr("x"))},
		{"text", ptr([]byte("x"))},
		{"text", ptr(any("x"))},
		{"text", &sql.NullString{String: "x", Valid: true}},
		{"text", &sql.Null[name]{V: "x", Valid: true}},
		{"text", &pgtype.Text{String: "x", Valid: true}},
		{"text", &custom{value: 1}},
		{"bytea", ptr(blob{1})},
		{"int4", ptr(ptr(1))},
		{"int4", &sql.NullInt32{Int32: 1, Valid: true}},
		{"numeric", &decimal.NullDecimal{Valid: true}},
		{"numeric", &pgtype.Numeric{Int: big.NewInt(1), Valid: true}},
		{"timestamptz", &sql.NullTime{Time: sampleTime, Valid: true}},
		{"interval", &pgtype.Interval{Days: 1, Valid: true}},
		{"uuid", &uuid.NullUUID{UUID: sampleUUID, Valid: true}},
		{"jsonb", &json.RawMessage{'1'}},
		{"jsonb", &map[string]any{"a": 1}},
		{"jsonb", ptr(&person{})},
		{"inet", ptr(netip.MustParseAddr("::1"))},
		{"inet", ptr(netip.MustParsePrefix("::1/64"))},
		{"inet", &net.IP{1, 2, 3, 4}},
		{"int4[]", &[]int{1}},
		{"int4[]", &pgtype.FlatArray[int]{1}},
		{"int4[]", &pgtype.Array[int]{Elements: []int{1}, Dims: []pgtype.ArrayDimension{{Length: 1}}, Valid: true}},
	} {
		err := mustType(t, c.typ).Decode(nil, c.dst)
		if got := reflect.ValueOf(c.dst).Elem(); err != nil || !got.IsZero() {
			t.Errorf("NULL %s into %T: %v, %v; want its zero value", c.typ, c.dst, got, err)
		}
	}
}

func TestDecodeOfNullIntoPlainTypesIsErrNull(t *testing.T) {
	for typ, dst := range map[string]any{
		"text": ptr("x"), "bool": ptr(true), "int8": ptr(int64(1)), "int4": ptr(1), "float8": ptr(1.0), "timestamptz": ptr(sampleTime), "numeric": new(big.Int),
		"jsonb": &person{}, "uuid": ptr([16]byte{}), "interval": ptr(time.Second), "date": &leakyScanner{}, "int4[]": ptr([2]int{}), "bytea": ptr(key{}),
	} {
		before := fmt.Sprint(reflect.ValueOf(dst).Elem())
		err := mustType(t, typ).Decode(nil, dst)
		if !errors.Is(err, codec.ErrNull) || stateOf(err) != "22004" || !strings.Contains(err.Error(), "pointer or a sql.Null type") {
			t.Errorf("NULL %s into %T: %v; want ErrNull", typ, dst, err)
		}
		if after := fmt.Sprint(reflect.ValueOf(dst).Elem()); after != before {
			t.Errorf("NULL %s into %T changed it from %s to %s", typ, dst, before, after)
		}
	}
	if err := mustType(t, "int4[]").Decode(stored(t, "int4[]", "{1,NULL}"), &[]int{}); !errors.Is(err, codec.ErrNull) {
		t.Errorf("NULL element: %v; want ErrNull", err)
	}
	if err := mustType(t, "int4").Decode([]byte{1}, ptr(1)); err == nil || errors.Is(err, codec.ErrNull) {
		t.Errorf("another error passes for ErrNull: %v", err)
	}
}

func TestEmptyIsNotNull(t *testing.T) {
	for _, word := range []string{"text", "varchar", "bytea"} {
		out, null, err := mustType(t, word).Encode(nil, "")
		if out == nil || null || err != nil {
			t.Errorf("Encode of an empty %s: %v, %v, %v", word, out, null, err)
		}
		if out, err := mustType(t, word).EncodeText(nil, ""); out == nil || err != nil {
			t.Errorf("EncodeText of an empty %s: %v, %v", word, out, err)
		}
		if out, err := mustType(t, word).EncodeBinary(nil, []byte{}); out == nil || err != nil {
			t.Errorf("EncodeBinary of an empty %s: %v, %v", word, out, err)
		}
	}
	var p *string
	var b []byte
	if err := mustType(t, "text").Decode([]byte{}, &p); err != nil || p == nil || *p != "" {
		t.Errorf("empty text: %v, %v", p, err)
	}
	if err := mustType(t, "bytea").Decode([]byte{}, &b); err != nil || b == nil {
		t.Errorf("empty bytea: %v, %v", b, err)
	}
	if v, err := mustType(t, "bytea").Natural([]byte{}); err != nil || v.([]byte) == nil {
		t.Errorf("natural empty bytea: %v, %v", v, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		typ, literal string
		dst          any
		state, hint  string
	}{
		{"text", "x", nil, "42804", "pointer"},
		{"text", "x", "x", "42804", "pointer"},
		{"text", "x", (*string)(nil), "42804", "pointer"},
		{"text", "x", new(int), "42804", ""},
		{"text", "x", new(chan int), "42804", ""},
		{"text", "x", new(error), "42804", ""},
		{"text", "x", &leaky{}, "42804", "UnmarshalText"},
		{"text", "x", &leakyScanner{}, "42804", "Scan method"},
		{"text", "x", &key{}, "42804", ""},
		{"bytea", "x", &key{}, "22001", "Go array"},
		{"bytea", "x", &leaky{}, "42804", "UnmarshalBinary"},
		{"bytea", "x", new(int), "42804", ""},
		{"bool", "t", new(int), "42804", ""},
		{"int2", "256", new(uint8), "22003", "uint8"},
		{"int2", "-1", new(uint), "22003", "uint"},
		{"int4", "32768", new(int16), "22003", "int16"},
		{"int4", "32768", new(sql.NullInt16), "22003", "int16"},
		{"int4", "32768", new(pgtype.Int2), "22003", ""},
		{"int4", "16777217", new(float32), "22003", "float32"},
		{"int4", "16777217", new(pgtype.Float4), "22003", "float32"},
		{"int8", "9007199254740993", new(float64), "22003", "float64"},
		{"int8", "9007199254740993", new(pgtype.Float8), "22003", "float64"},
		{"int8", "9223372036854775807", new(float64), "22003", "float64"},
		{"int8", "1", new(bool), "42804", ""},
		{"float8", "1.5", new(int), "22003", "int"},
		{"float8", "1e300", new(float32), "22003", "float32"},
		{"float8", "NaN", new(int), "22003", "int"},
		{"float8", "300", new(uint8), "22003", "uint8"},
		{"numeric", "1.5", new(int), "22003", "int"},
		{"numeric", "NaN", new(int), "22003", "int"},
		{"numeric", "NaN", new(uint), "22003", "uint"},
		{"numeric", "-1", new(uint), "22003", "uint"},
		{"numeric", "1.5", new(uint), "22003", "uint"},
		{"numeric", "18446744073709551616", new(uint64), "22003", "uint64"},
		{"numeric", "1e30", new(int64), "22003", "int64"},
		{"numeric", "1e400", new(float64), "22003", "float64"},
		{"numeric", "1.5", new(big.Int), "22003", "big.Int"},
		{"numeric", "Infinity", new(big.Int), "22003", "big.Int"},
		{"date", "infinity", new(time.Time), "22008", "infinite"},
		{"date", "2001-01-01", new(int), "42804", ""},
		{"date", "infinity", new(moment), "22008", "infinite"},
		{"time", "24:00:00", new(time.Time), "22008", "24:00:00"},
		{"timestamp", "-infinity", new(time.Time), "22008", "infinite"},
		{"timestamptz", "infinity", new(time.Time), "22008", "infinite"},
		{"timestamptz", "infinity", new(sql.NullTime), "22008", "infinite"},
		{"interval", "1 mon", new(time.Duration), "22015", "months"},
		{"interval", "200000 days", new(time.Duration), "22015", "292 years"},
		{"interval", "00:00:01", new(int64), "42804", ""},
		{"uuid", "00112233-4455-6677-8899-aabbccddeeff", &key{}, "42804", ""},
		{"jsonb", `{"name":1}`, new(person), "42804", "json.Unmarshal"},
		{"jsonb", `{"a":1}`, new(leaky), "42804", "json.Unmarshal"},
		{"jsonb", `"x"`, new(int), "42804", "json.Unmarshal"},
		{"inet", "1.2.3.4/8", new(netip.Addr), "42804", "netip.Prefix"},
		{"inet", "1.2.3.4/8", new(net.IP), "42804", "netip.Prefix"},
		{"int4[]", "{1,2}", new([3]int), "42804", "as many"},
		{"int4[]", "{1,2}", new([][]int), "42804", "dimensions"},
		{"int4[]", "{{1,2}}", new([]int), "42804", "dimensions"},
		{"int4[]", "{1,2}", new(int), "42804", ""},
		{"int4[]", "{1000}", new([]int8), "22003", "int8"},
		{"int4[]", "{1}", &leakyScanner{}, "42804", "Scan method"},
	} {
		err := mustType(t, c.typ).Decode(stored(t, c.typ, c.literal), c.dst)
		var e *codec.Error
		if !errors.As(err, &e) || e.SQLState != c.state || !strings.Contains(e.Reason, c.hint) || e.Op != "decode" || e.Type != mustType(t, c.typ) {
			t.Errorf("%s %s into %T: %v; want SQLSTATE %s and %q", c.typ, c.literal, c.dst, err, c.state, c.hint)
		}
	}
}

// malformed lists bytes that are no binary form of their type.
func malformed() map[string][]string {
	return map[string][]string{
		"text":         {"a\x00", "\xff"},
		"varchar":      {"\xc0\x80"},
		"char(1)":      {"\x00"},
		"bool":         {"", "\x02", "\x01\x01"},
		"int2":         {"", "\x00", "\x00\x00\x00"},
		"int4":         {"\x00\x00\x00", "\x00\x00\x00\x00\x00"},
		"int8":         {"1234567", "123456789"},
		"float4":       {"123", "12345"},
		"float8":       {"1234567"},
		"numeric":      {"", "\x00\x00\x00\x00\x00\x00\x00", "\x00\x01\x00\x00\x00\x00\x00\x00", "\x00\x01\x00\x00\x00\x00\x00\x00\x27\x10", "\x00\x00\x00\x00\x12\x34\x00\x00", "\x00\x00\x00\x00\x00\x00\x40\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		"date":         {"123", "\x7f\xff\xff\xfe", "\x80\x00\x00\x01"},
		"time":         {"", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x14\x1d\xd7\x60\x01"},
		"timestamp":    {"", "\x7f\xff\xff\xff\xff\xff\xff\xfe", "\x80\x00\x00\x00\x00\x00\x00\x01"},
		"timestamptz":  {"1234567"},
		"interval":     {"123456789012345", "12345678901234567"},
		"uuid":         {"123456789012345", "12345678901234567"},
		"json":         {"", "{", "\xff", `"` + "\xff" + `"`},
		"jsonb":        {"", "\x02{}", "\x01", "\x01{", "{}"},
		"inet":         {"", "\x02\x20\x00", "\x02\x21\x00\x04abcd", "\x03\x20\x00\x04abcd", "\x02\x20\x02\x04abcd", "\x02\x20\x00\x04abc", "\x02\x08\x00\x05abcde", "\x02\x00\x00\x00"},
		"int4[]":       malformedArrays(),
		"text[]":       {"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x19\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\xff"},
		"varchar(1)[]": {"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19"},
	}
}

func malformedArrays() []string {
	const head, one = "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17", "\x00\x00\x00\x01\x00\x00\x00\x01"
	return []string{
		"", head, head[:11], head + one,
		head + one + "\x00\x00\x00\x04\x00\x00\x00",                                                      // element cut off
		head + one + "\x00\x00\x00\x04\x00\x00\x00\x01x",                                                 // a byte too many
		head + "\x00\x00\x00\x02\x00\x00\x00\x01" + "\x00\x00\x00\x04\x00\x00\x00\x01",                   // the second element is missing
		head + one + "\xff\xff\xff\xfe",                                                                  // negative length
		head + "\x00\x00\x00\x00\x00\x00\x00\x01",                                                        // a dimension without length
		head + "\xff\xff\xff\xff\x00\x00\x00\x01",                                                        // negative
		head + "\x7f\xff\xff\xff\x00\x00\x00\x01" + "\xff\xff\xff\xff",                                   // 2^31-1 elements claimed
		head + "\x00\x00\x00\x01\x7f\xff\xff\xff" + "\xff\xff\xff\xff",                                   // upper bound overflows
		"\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x17" + strings.Repeat(one, 7) + "\xff\xff\xff\xff", // seven dimensions
		"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x17" + strings.Repeat("\x00\x01\x00\x00\x00\x00\x00\x01", 2) + "\xff\xff\xff\xff",
		"\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x17" + one + "\xff\xff\xff\xff", // unknown flag
		"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x19" + one + "\xff\xff\xff\xff", // elements of another type
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17x",                           // an empty array with a tail
	}
}

func TestMalformedBytesAreRefused(t *testing.T) {
	for word, list := range malformed() {
		typ := mustType(t, word)
		for _, s := range list {
			src := []byte(s)
			dsts := []any{new(any), new(string), &custom{}, new([]byte)}
			if typ.IsArray() {
				dsts = append(dsts, new([]any), new([]*string), &pgtype.FlatArray[any]{}, &pgtype.Array[any]{})
			}
			for _, dst := range dsts {
				if err := typ.Decode(src, dst); stateOf(err) != "22P03" && stateOf(err) != "22021" {
					t.Errorf("%s %x into %T: %v; want an error", word, s, dst, err)
				}
			}
			if _, err := typ.AppendText(nil, src); err == nil {
				t.Errorf("AppendText of %s %x: no error", word, s)
			}
			if _, err := typ.EncodeBinary(nil, src); err == nil {
				t.Errorf("EncodeBinary of %s %x: no error", word, s)
			}
		}
	}
}

func TestHugeArrayClaimsAllocateNothing(t *testing.T) {
	head := "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x7f\xff\xff\xff\x00\x00\x00\x01"
	src := []byte(head + strings.Repeat("\xff", 400))
	typ := mustType(t, "int4[]")
	var dst []*int
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = typ.Decode(src, &dst)
	runtime.ReadMemStats(&after)
	bytes := after.TotalAlloc - before.TotalAlloc
	if bytes > 1<<20 {
		t.Errorf("a header claiming 2^31-1 elements cost %d bytes", bytes)
	}
}
