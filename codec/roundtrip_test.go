package codec_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/codec"
)

// roundTrip checks, for random values of T, that a value comes back equal through T, *T, sql.Null[T] and every
// neutral form (natural, text, binary), always with the same bytes.
func roundTrip[T any](t *testing.T, word string, gen *rapid.Generator[T]) {
	t.Helper()
	typ := mustType(t, word)
	t.Run(fmt.Sprintf("%s as %s", word, reflect.TypeFor[T]()), func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			v := gen.Draw(t, "value")
			enc, null, err := typ.Encode([]byte{}, v)
			if err != nil || null {
				t.Fatalf("Encode: %v, %v", null, err)
			}
			sameBytes(t, typ, enc, &v, "a pointer")
			sameBytes(t, typ, enc, sql.Null[T]{V: v, Valid: true}, "sql.Null")
			comesBack(t, typ, enc, v)
			neutralForms(t, typ, enc)
		})
	})
}

func sameBytes(t *rapid.T, typ codec.Type, want []byte, v any, what string) {
	got, null, err := typ.Encode(nil, v)
	if err != nil || null || !bytes.Equal(got, want) {
		t.Fatalf("%s encodes to %x, %v, %v; the value to %x", what, got, null, err, want)
	}
}

func comesBack[T any](t *rapid.T, typ codec.Type, enc []byte, v T) {
	var plain T
	var pointer *T
	var null sql.Null[T]
	for _, dst := range []any{&plain, &pointer, &null} {
		src := bytes.Clone(enc)
		if err := typ.Decode(src, dst); err != nil {
			t.Fatalf("Decode into %T: %v", dst, err)
		}
		clear(src) // whatever refers to src shows it now
	}
	if !same(plain, v) || !same(*pointer, v) || !null.Valid || !same(null.V, v) {
		t.Fatalf("%v came back as %v, %v, %v", v, plain, *pointer, null)
	}
	if _, ok := any(v).(time.Time); ok && any(plain).(time.Time).Location() != time.UTC {
		t.Fatalf("the location is %v", any(plain).(time.Time).Location())
	}
}

func neutralForms(t *rapid.T, typ codec.Type, enc []byte) {
	natural, err := typ.Natural(enc)
	if err != nil {
		t.Fatalf("Natural: %v", err)
	}
	sameBytes(t, typ, enc, natural, "the natural value")
	text, err := typ.AppendText(nil, enc)
	if err != nil {
		t.Fatalf("AppendText: %v", err)
	}
	if again, err := typ.EncodeText(nil, string(text)); err != nil || !bytes.Equal(again, enc) {
		t.Fatalf("the text %q encodes to %x, %v; the value to %x", text, again, err, enc)
	}
	if again, err := typ.EncodeBinary(nil, enc); err != nil || !bytes.Equal(again, enc) {
		t.Fatalf("EncodeBinary gives %x, %v; the value %x", again, err, enc)
	}
}

// same compares by meaning: instants, NaN, decimals.
func same(a, b any) bool {
	switch x := a.(type) {
	case time.Time:
		return x.Equal(b.(time.Time))
	case float64:
		return math.Float64bits(x) == math.Float64bits(b.(float64)) || math.IsNaN(x) && math.IsNaN(b.(float64))
	case float32:
		return x == b.(float32) || x != x && b.(float32) != b.(float32)
	case []time.Time:
		for i, y := range b.([]time.Time) {
			if !x[i].Equal(y) {
				return false
			}
		}
		return len(x) == len(b.([]time.Time))
	case pgtype.Timestamptz:
		y := b.(pgtype.Timestamptz)
		return x.Time.Equal(y.Time) && x.InfinityModifier == y.InfinityModifier && x.Valid == y.Valid
	}
	return equal(a, b)
}

// text draws what PostgreSQL can hold.
func text() *rapid.Generator[string] {
	return rapid.Map(rapid.String(), func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "") })
}

// instant draws microseconds from the whole range of timestamptz, in some zone.
func instant() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		micros := rapid.OneOf(
			rapid.Int64Range(-211813488000000000, 9223371331199999999),
			rapid.Int64Range(-1e15, 1e15)).Draw(t, "micros")
		seconds := micros / 1e6
		x := time.Unix(946684800+seconds, (micros-seconds*1e6)*1000)
		return x.In(time.FixedZone("", rapid.IntRange(-50000, 50000).Draw(t, "zone")))
	})
}

func utc(g *rapid.Generator[time.Time]) *rapid.Generator[time.Time] {
	return rapid.Map(g, time.Time.UTC)
}

func TestRoundTripOfText(t *testing.T) {
	roundTrip(t, "text", text())
	roundTrip(t, "varchar", text())
	roundTrip(t, "text", rapid.Map(text(), func(s string) name { return name(s) }))
	roundTrip(t, "text", rapid.Map(text(), func(s string) []byte { return []byte(s) }))
	roundTrip(t, "text", rapid.Map(text(), func(s string) pgtype.Text { return pgtype.Text{String: s, Valid: true} }))
	roundTrip(t, "text", rapid.Map(rapid.Int(), func(n int) color { return color(n) }))
	roundTrip(t, "varchar(20)", rapid.StringMatching(`([a-z]|日){0,20}`))
	roundTrip(t, "char(4)", rapid.StringMatching(`([a-z ]|日){4}`))
	roundTrip(t, "text[]", rapid.SliceOf(text()))
	roundTrip(t, "text[]", rapid.SliceOf(rapid.Ptr(text(), true)))
}

func TestRoundTripOfBytes(t *testing.T) {
	raw := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) []byte { return append([]byte{}, b...) })
	roundTrip(t, "bytea", raw)
	roundTrip(t, "bytea", rapid.Map(raw, func(b []byte) string { return string(b) }))
	roundTrip(t, "bytea", rapid.Map(raw, func(b []byte) blob { return blob(b) }))
	roundTrip(t, "bytea", rapid.Map(rapid.Uint32(), func(n uint32) key { return key{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }))
	roundTrip(t, "bytea", rapid.Map(rapid.Byte(), func(b byte) packed { return packed{b, ^b} }))
	roundTrip(t, "bytea[]", rapid.SliceOf(raw))
	id := rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) [16]byte { return [16]byte(b) })
	roundTrip(t, "uuid", id)
	roundTrip(t, "uuid", rapid.Map(id, func(b [16]byte) uuid.UUID { return b }))
	roundTrip(t, "uuid", rapid.Map(id, func(b [16]byte) pgtype.UUID { return pgtype.UUID{Bytes: b, Valid: true} }))
	roundTrip(t, "uuid[]", rapid.SliceOf(rapid.Map(id, func(b [16]byte) uuid.UUID { return b })))
}

func TestRoundTripOfNumbers(t *testing.T) {
	roundTrip(t, "bool", rapid.Bool())
	roundTrip(t, "bool", rapid.Map(rapid.Bool(), func(b bool) flag { return flag(b) }))
	roundTrip(t, "bool[]", rapid.SliceOf(rapid.Bool()))
	roundTrip(t, "int2", rapid.Int16())
	roundTrip(t, "int2", rapid.Int8())
	roundTrip(t, "int2", rapid.Uint8())
	roundTrip(t, "int4", rapid.Int32())
	roundTrip(t, "int4", rapid.Uint16())
	roundTrip(t, "int4", rapid.Map(rapid.Int32(), func(n int32) pgtype.Int4 { return pgtype.Int4{Int32: n, Valid: true} }))
	roundTrip(t, "int8", rapid.Int64())
	roundTrip(t, "int8", rapid.Int())
	roundTrip(t, "int8", rapid.Uint32())
	roundTrip(t, "int8[]", rapid.SliceOf(rapid.Int64()))
	roundTrip(t, "int4[]", rapid.Map(rapid.SliceOfN(rapid.Int32(), 6, 6), func(n []int32) [][]int32 { return [][]int32{n[:3], n[3:]} }))
	roundTrip(t, "float4", rapid.Float32())
	roundTrip(t, "float8", rapid.Float64())
	roundTrip(t, "float8", rapid.Map(rapid.Uint64(), math.Float64frombits))
	roundTrip(t, "float8[]", rapid.SliceOf(rapid.Float64()))
}

func TestRoundTripOfNumeric(t *testing.T) {
	literal := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?`)
	literal = rapid.Map(literal, func(s string) string {
		if strings.Trim(s, "-0.") == "" {
			return strings.TrimPrefix(s, "-") // numeric has no negative zero
		}
		return s
	})
	roundTrip(t, "numeric", literal)
	roundTrip(t, "numeric", rapid.Map(literal, decimal.RequireFromString))
	roundTrip(t, "numeric", rapid.Uint64())
	roundTrip(t, "numeric", rapid.Int64())
	positive := func(x float64) float64 { return x + 0 } // numeric has no negative zero
	roundTrip(t, "numeric", rapid.Map(rapid.Float64(), positive))
	roundTrip(t, "numeric", rapid.Map(rapid.Float32(), func(x float32) float32 { return x + 0 }))
	roundTrip(t, "numeric", rapid.Map(literal, func(s string) pgtype.Numeric {
		var n pgtype.Numeric
		_ = n.Scan(strings.Replace(s, ".", "", 1))
		n.Exp = int32(-len(s) % 40)
		return n
	}).Filter(func(n pgtype.Numeric) bool {
		return n.Int.Sign() != 0 && new(big.Int).Mod(n.Int, big.NewInt(10)).Sign() != 0
	}))
	roundTrip(t, "numeric[]", rapid.SliceOf(literal))
}

func TestRoundTripOfTimes(t *testing.T) {
	roundTrip(t, "timestamptz", instant())
	roundTrip(t, "timestamp", utc(instant()))
	roundTrip(t, "date", rapid.Map(rapid.Int64Range(-2451545, 2145031948), func(d int64) time.Time { return time.Unix((d+10957)*86400, 0).UTC() }))
	roundTrip(t, "timestamptz[]", rapid.SliceOf(instant()))
	roundTrip(t, "timestamptz", rapid.Custom(func(t *rapid.T) pgtype.Timestamptz {
		if inf := rapid.SampledFrom([]pgtype.InfinityModifier{pgtype.Finite, pgtype.Infinity, pgtype.NegativeInfinity}).Draw(t, "infinity"); inf != pgtype.Finite {
			return pgtype.Timestamptz{InfinityModifier: inf, Valid: true}
		}
		return pgtype.Timestamptz{Time: instant().Draw(t, "time"), Valid: true}
	}))
	roundTrip(t, "time", rapid.Map(rapid.Int64Range(0, 86400e6), func(n int64) pgtype.Time { return pgtype.Time{Microseconds: n, Valid: true} }))
	roundTrip(t, "time", rapid.Map(rapid.Int64Range(0, 86400e6-1), func(n int64) time.Time {
		return time.Date(2000, 1, 1, 0, 0, int(n/1e6), int(n%1e6)*1000, time.UTC)
	}))
	roundTrip(t, "interval", rapid.Custom(func(t *rapid.T) pgtype.Interval {
		return pgtype.Interval{
			Microseconds: rapid.Int64().Draw(t, "micros"), Days: rapid.Int32().Draw(t, "days"), Months: rapid.Int32().Draw(t, "months"), Valid: true,
		}
	}))
	roundTrip(t, "interval", rapid.Map(rapid.Int64Range(-9e15, 9e15), func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }))
}

func TestRoundTripOfDocuments(t *testing.T) {
	document := rapid.Map(jsonDocument(3), func(s string) json.RawMessage { return json.RawMessage(s) })
	roundTrip(t, "json", document)
	roundTrip(t, "json", rapid.Map(document, func(d json.RawMessage) string { return string(d) }))
	roundTrip(t, "jsonb", rapid.Custom(func(t *rapid.T) person {
		return person{Name: text().Draw(t, "name"), Age: rapid.Int().Draw(t, "age"), Code: pointerID(rapid.Int32().Draw(t, "code"))}
	}))
	roundTrip(t, "jsonb", rapid.MapOf(text(), rapid.Int()))
	roundTrip(t, "jsonb", rapid.SliceOf(rapid.Float64Range(-1e20, 1e20)))
	roundTrip(t, "jsonb[]", rapid.SliceOf(rapid.MapOf(text(), rapid.Bool())))
}

func TestRoundTripOfAddresses(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := [16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 1, 0xff, 0xab}), 16, 16).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrFrom16(b)
	})
	roundTrip(t, "inet", addr)
	roundTrip(t, "inet", rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := addr.Draw(t, "addr")
		return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
	}))
	roundTrip(t, "inet[]", rapid.SliceOf(addr))
}

// TestPgtypeReadsTheBytes checks the stored form against the other implementation that exists in Go.
func TestPgtypeReadsTheBytes(t *testing.T) {
	m := pgtype.NewMap()
	for word, literal := range map[string]string{
		"text": "é", "varchar(5)": "x", "char(3)": "y", "bytea": `\x01`, "bool": "t", "int2": "-2", "int4": "3", "int8": "-4", "float4": "0.5", "float8": "0.1",
		"numeric": "-12345.67800", "numeric(10,2)": "100000", "date": "2001-02-03", "time": "04:05:06.7", "timestamp": "2001-02-03 04:05:06", "timestamptz": "2001-02-03 04:05:06Z",
		"interval": "1 mon 2 days 00:00:03", "uuid": sampleUUID.String(), "json": `{"a":1}`, "jsonb": `{"a":1}`, "inet": "10.1.2.3/8",
		"int4[]": "{1,NULL,3}", "text[]": `{"a b"}`, "timestamptz[]": `{"2001-02-03 04:05:06Z"}`,
	} {
		typ := mustType(t, word)
		src := stored(t, word, literal)
		var v any
		if err := m.Scan(typ.OID(), pgtype.BinaryFormatCode, src, &v); err != nil {
			t.Errorf("%s: pgtype cannot read %x: %v", word, src, err)
			continue
		}
		wire, err := m.Encode(typ.OID(), pgtype.BinaryFormatCode, v, nil)
		if err != nil {
			t.Errorf("%s: pgtype cannot write %T: %v", word, v, err)
			continue
		}
		if again, err := typ.EncodeBinary(nil, wire); err != nil || !bytes.Equal(again, src) {
			t.Errorf("%s: pgtype's %x is %x here, %v; want %x", word, wire, again, err, src)
		}
	}
}
