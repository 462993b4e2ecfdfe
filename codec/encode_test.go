package codec_test

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/rowseal/rowseal/codec"
)

func ptr[T any](v T) *T { return &v }

var (
	sampleTime = time.Date(2001, 2, 3, 4, 5, 6, 789_012_999, time.FixedZone("", 3600))
	sampleUUID = uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff")
)

func TestEncodeGivesThePostgreSQLForm(t *testing.T) {
	const uuidHex = "00112233445566778899aabbccddeeff"
	for _, c := range []struct {
		typ  string
		v    any
		want string // hex, or text after "="
	}{
		{"text", "é", "=é"},
		{"text", "", "="},
		{"text", ptr("é"), "=é"},
		{"text", ptr(ptr("é")), "=é"},
		{"text", []byte("x"), "=x"},
		{"text", []byte{}, "="},
		{"text", name("n"), "=n"},
		{"text", ptr(name("n")), "=n"},
		{"text", blob("b"), "=b"},
		{"text", color(3), "=color-3"},
		{"text", sql.NullString{String: "s", Valid: true}, "=s"},
		{"text", sql.Null[string]{V: "s", Valid: true}, "=s"},
		{"text", sql.Null[name]{V: "s", Valid: true}, "=s"},
		{"text", pgtype.Text{String: "p", Valid: true}, "=p"},
		{"text", &pgtype.Text{String: "p", Valid: true}, "=p"},
		{"text", custom{value: "c"}, "=c"},
		{"text", custom{value: []byte("c")}, "=c"},
		{"text", &custom{value: "c"}, "=c"},
		{"text", custom{value: custom{value: "c"}}, "=c"},
		{"text", pointerValuer{"v"}, "=v"},
		{"text", &pointerValuer{"v"}, "=v"},
		{"text", sampleTime, "=2001-02-03T04:05:06.789012999+01:00"},
		{"text", netip.MustParseAddr("::1"), "=::1"},
		{"text", big.NewInt(12), "=12"},
		{"varchar(3)", "日本語", "=日本語"},
		{"varchar(3)", "日本語  ", "=日本語"},
		{"char(3)", "日", "=日  "},
		{"char(3)", "abc   ", "=abc"},
		{"bpchar", "a ", "=a "},
		{"bytea", []byte{0, 1}, "0001"},
		{"bytea", []byte{}, "="},
		{"bytea", "\x00\\x61", "=\x00\\x61"},
		{"bytea", blob{1}, "01"},
		{"bytea", key{1, 2, 3, 4}, "01020304"},
		{"bytea", &key{1, 2, 3, 4}, "01020304"},
		{"bytea", packed{1, 2}, "0102"},
		{"bytea", pgtypeBytes("b"), "=b"},
		{"bytea", &packed{1, 2}, "0102"},
		{"bytea", custom{value: []byte{7}}, "07"},
		{"bytea", sql.Null[[]byte]{V: []byte{7}, Valid: true}, "07"},
		{"bool", true, "01"},
		{"bool", flag(false), "00"},
		{"bool", "yes", "01"},
		{"bool", sql.NullBool{Bool: true, Valid: true}, "01"},
		{"bool", pgtype.Bool{Valid: true}, "00"},
		{"int2", 258, "0102"},
		{"int2", level(-1), "ffff"},
		{"int2", uint8(255), "00ff"},
		{"int2", "32767", "7fff"},
		{"int2", 12.0, "000c"},
		{"int2", sql.NullByte{Byte: 1, Valid: true}, "0001"},
		{"int2", color(5), "0005"},
		{"int4", int32(-2), "fffffffe"},
		{"int4", pgtype.Int8{Int64: 7, Valid: true}, "00000007"},
		{"int4", pgtype.Float8{Float64: 7, Valid: true}, "00000007"},
		{"int4", pgtype.Numeric{Int: big.NewInt(70), Exp: -1, Valid: true}, "00000007"},
		{"int4", decimal.RequireFromString("7"), "00000007"},
		{"int8", int64(math.MinInt64), "8000000000000000"},
		{"int8", uint64(math.MaxInt64), "7fffffffffffffff"},
		{"int8", ptr(1), "0000000000000001"},
		{"int8", *big.NewInt(2), "0000000000000002"},
		{"int8", time.Duration(3), "0000000000000003"},
		{"int8", json.Number("4"), "0000000000000004"},
		{"float4", float32(1.5), "3fc00000"},
		{"float4", 0.1, "3dcccccd"},
		{"float4", ratio(-2), "c0000000"},
		{"float4", math.NaN(), "7fc00000"},
		{"float4", 1 << 24, "4b800000"},
		{"float8", 1.5, "3ff8000000000000"},
		{"float8", math.Copysign(0, -1), "8000000000000000"},
		{"float8", math.Float64frombits(0xfff8000000000123), "7ff8000000000000"},
		{"float8", math.Inf(1), "7ff0000000000000"},
		{"float8", int64(1 << 60), "43b0000000000000"},
		{"float8", uint64(3), "4008000000000000"},
		{"float8", "1.5", "3ff8000000000000"},
		{"float8", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}, "3ff8000000000000"},
		{"float8", decimal.RequireFromString("1.5"), "3ff8000000000000"},
		{"numeric", "1.10", "0002000000000002" + "0001" + "03e8"},
		{"numeric", 0, "0000000000000000"},
		{"numeric", int64(math.MinInt64), "0005000440000000" + "039a" + "0d2c" + "0170" + "1565" + "16b0"},
		{"numeric", uint64(math.MaxUint64), "0005000400000000" + "0734" + "1a58" + "02e1" + "03bb" + "064f"},
		{"numeric", 0.1, "0001ffff00000001" + "03e8"},
		{"numeric", float32(0.1), "0001ffff00000001" + "03e8"},
		{"numeric", 10000.0, "0001000100000000" + "0001"},
		{"numeric", decimal.RequireFromString("-1.50"), "0002000040000001" + "0001" + "1388"},
		{"numeric", big.NewInt(10000), "0001000100000000" + "0001"},
		{"numeric", pgtype.Numeric{Int: big.NewInt(1), Exp: 5, Valid: true}, "0001000100000000" + "000a"},
		{"numeric", math.Inf(-1), "00000000f0000020"},
		{"numeric", math.NaN(), "00000000c0000000"},
		{"numeric(10,2)", decimal.RequireFromString("1.005"), "0002000000000002" + "0001" + "0064"},
		{"date", sampleTime, "0000018f"},
		{"date", "2000-01-01", "00000000"},
		{"date", []byte("2000-01-02"), "00000001"},
		{"date", pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}, "7fffffff"},
		{"date", "infinity", "7fffffff"},
		{"date", pgtype.Date{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, "80000000"},
		{"date", pgtype.Date{Time: sampleTime, Valid: true}, "0000018f"},
		{"time", sampleTime, hex8(4*3600e6 + 5*60e6 + 6e6 + 789012)},
		{"time", "24:00:00", hex8(86400e6)},
		{"time", pgtype.Time{Microseconds: 1, Valid: true}, hex8(1)},
		{"time(2)", "04:05:06.785", hex8(4*3600e6 + 5*60e6 + 6e6 + 790000)},
		{"timestamp", sampleTime, hex8(399*86400e6 + 4*3600e6 + 5*60e6 + 6e6 + 789012)},
		{"timestamptz", sampleTime, hex8(399*86400e6 + 3*3600e6 + 5*60e6 + 6e6 + 789012)},
		{"timestamptz", moment(sampleTime), hex8(399*86400e6 + 3*3600e6 + 5*60e6 + 6e6 + 789012)},
		{"timestamptz", struct{ time.Time }{sampleTime}, hex8(399*86400e6 + 3*3600e6 + 5*60e6 + 6e6 + 789013)},
		{"timestamptz", sql.NullTime{Time: sampleTime, Valid: true}, hex8(399*86400e6 + 3*3600e6 + 5*60e6 + 6e6 + 789012)},
		{"timestamptz(0)", sampleTime, hex8(399*86400e6 + 3*3600e6 + 5*60e6 + 7e6)},
		{"timestamptz", time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), hex8(-1)},
		{"timestamptz", "-infinity", "8000000000000000"},
		{"timestamp", pgtype.Timestamp{InfinityModifier: pgtype.Infinity, Valid: true}, "7fffffffffffffff"},
		{"interval", 90 * time.Minute, hex8(90*60e6) + "0000000000000000"},
		{"interval", pgtype.Interval{Months: 1, Days: -2, Microseconds: 3, Valid: true}, hex8(3) + "fffffffe00000001"},
		{"interval", "P1M-2DT0.000003S", hex8(3) + "fffffffe00000001"},
		{"interval(0)", 1500 * time.Millisecond, hex8(2e6) + "0000000000000000"},
		{"uuid", sampleUUID, uuidHex},
		{"uuid", [16]byte(sampleUUID), uuidHex},
		{"uuid", ptr(sampleUUID), uuidHex},
		{"uuid", sampleUUID.String(), uuidHex},
		{"uuid", sampleUUID[:], uuidHex},
		{"uuid", uuid.NullUUID{UUID: sampleUUID, Valid: true}, uuidHex},
		{"uuid", sql.Null[uuid.UUID]{V: sampleUUID, Valid: true}, uuidHex},
		{"uuid", pgtype.UUID{Bytes: sampleUUID, Valid: true}, uuidHex},
		{"json", ` {"b":1, "a":2,"a":3}`, `= {"b":1, "a":2,"a":3}`},
		{"json", json.RawMessage(`[ 1]`), "=[ 1]"},
		{"json", map[string]int{"b": 1}, `={"b":1}`},
		{"jsonb", `{"bb":1.10,"a":1e2, "a":[1,{}]}`, "=\x01" + `{"a": [1, {}], "bb": 1.10}`},
		{"jsonb", []byte(`"\u00e9\/"`), "=\x01" + `"é/"`},
		{"jsonb", name("1"), "=\x011"},
		{"jsonb", ptr("1"), "=\x011"},
		{"jsonb", sql.NullString{String: "[]", Valid: true}, "=\x01[]"},
		{"jsonb", custom{value: []byte("{}")}, "=\x01{}"},
		{"jsonb", map[string]any{}, "=\x01{}"},
		{"jsonb", []int{1, 2}, "=\x01[1, 2]"},
		{"jsonb", 5, "=\x015"},
		{"jsonb", true, "=\x01true"},
		{"jsonb", color(1), "=\x01" + `"color-1"`},
		{"jsonb", sampleTime, "=\x01" + `"2001-02-03T04:05:06.789012999+01:00"`},
		{"jsonb", person{Name: "n", Code: 7}, "=\x01" + `{"code": "id7", "name": "n"}`},
		{"jsonb", &person{Name: "n", Code: 7}, "=\x01" + `{"code": "id7", "name": "n"}`},
		{"jsonb", sql.Null[person]{V: person{Code: 7}, Valid: true}, "=\x01" + `{"code": "id7", "name": ""}`},
		{"inet", netip.MustParseAddr("1.2.3.4"), "02200004" + "01020304"},
		{"inet", netip.MustParsePrefix("1.2.3.4/8"), "02080004" + "01020304"},
		{"inet", net.ParseIP("1.2.3.4"), "02200004" + "01020304"},
		{"inet", net.IPNet{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}, "02080004" + "0a000000"},
		{"inet", &net.IPNet{IP: net.ParseIP("10.0.0.0"), Mask: net.CIDRMask(104, 128)}, "02080004" + "0a000000"},
		{"inet", []byte("1.2.3.4"), "02200004" + "01020304"},
		{"inet", "::1", "03800010" + "00000000000000000000000000000001"},
		{"int2[]", []int{1, 2}, "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", [2]int8{1, 2}, "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", []*int{ptr(1), nil}, "00000001" + "00000001" + "00000015" + "0000000200000001" + "000000020001" + "ffffffff"},
		{"int2[]", []sql.Null[int]{{V: 1, Valid: true}, {}}, "00000001" + "00000001" + "00000015" + "0000000200000001" + "000000020001" + "ffffffff"},
		{"int2[]", [][]int{{1}, {2}}, "00000002" + "00000000" + "00000015" + "0000000200000001" + "0000000100000001" + "000000020001" + "000000020002"},
		{"int2[]", []any{1, "2"}, "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", "{1,2}", "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", custom{value: "{1,2}"}, "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", pgtype.FlatArray[int]{1, 2}, "00000001" + "00000000" + "00000015" + "0000000200000001" + "000000020001" + "000000020002"},
		{"int2[]", pgtype.Array[int]{Elements: []int{1, 2}, Dims: []pgtype.ArrayDimension{{Length: 2, LowerBound: 0}}, Valid: true}, "00000001" + "00000000" + "00000015" + "0000000200000000" + "000000020001" + "000000020002"},
		{"int2[]", []int{}, "00000000" + "00000000" + "00000015"},
		{"int2[]", [][]int{{}, {}}, "00000000" + "00000000" + "00000015"},
		{"int2[]", &[]int{}, "00000000" + "00000000" + "00000015"},
		{"bytea[]", [][]byte{{1}}, "00000001" + "00000000" + "00000011" + "0000000100000001" + "0000000101"},
		{"bytea[]", []key{{1, 2, 3, 4}}, "00000001" + "00000000" + "00000011" + "0000000100000001" + "0000000401020304"},
		{"varchar(2)[]", []string{"ab  "}, "00000001" + "00000000" + "00000413" + "0000000100000001" + "000000026162"},
		{"jsonb[]", []map[string]int{{"a": 1}}, "00000001" + "00000000" + "00000eda" + "0000000100000001" + "00000009" + "01" + hex.EncodeToString([]byte(`{"a": 1}`))},
		{"uuid[]", []uuid.UUID{sampleUUID}, "00000001" + "00000000" + "00000b86" + "0000000100000001" + "00000010" + uuidHex},
		{"inet[]", []net.IP{{1, 2, 3, 4}}, "00000001" + "00000000" + "00000365" + "0000000100000001" + "00000008" + "0220000401020304"},
	} {
		want := []byte(strings.TrimPrefix(c.want, "="))
		if !strings.HasPrefix(c.want, "=") {
			want, _ = hex.DecodeString(c.want)
		}
		out, null, err := mustType(t, c.typ).Encode([]byte("kept"), c.v)
		if err != nil || null || string(out) != "kept"+string(want) {
			t.Errorf("%s from %T %v: %x, %v, %v; want %x behind the prefix", c.typ, c.v, c.v, bytes.TrimPrefix(out, []byte("kept")), null, err, want)
		}
	}
}

func hex8(n float64) string { return hex.EncodeToString(be64(int64(n))) }

func be64(n int64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

func TestEncodeRecognisesNull(t *testing.T) {
	for _, c := range []struct {
		typ string
		v   any
	}{
		{"text", nil},
		{"text", (*string)(nil)},
		{"text", ptr((*string)(nil))},
		{"text", sql.NullString{}},
		{"text", sql.Null[string]{}},
		{"text", &sql.NullString{}},
		{"text", pgtype.Text{}},
		{"text", (*pgtype.Text)(nil)},
		{"text", custom{}},
		{"text", (*custom)(nil)},
		{"text", (*pointerValuer)(nil)},
		{"text", []byte(nil)},
		{"bytea", []byte(nil)},
		{"bytea", pgtypeBytes("")},
		{"bytea", (*packed)(nil)},
		{"bool", pgtype.Bool{}},
		{"int4", pgtype.Int4{}},
		{"int4", pgtype.Float8{}},
		{"int4", pgtype.Numeric{}},
		{"int4", (*int)(nil)},
		{"float8", pgtype.Float8{}},
		{"float8", pgtype.Numeric{}},
		{"numeric", pgtype.Numeric{}},
		{"numeric", decimal.NullDecimal{}},
		{"numeric", (*big.Int)(nil)},
		{"date", pgtype.Date{}},
		{"time", pgtype.Time{}},
		{"timestamp", pgtype.Timestamp{}},
		{"timestamptz", sql.NullTime{}},
		{"interval", pgtype.Interval{}},
		{"uuid", pgtype.UUID{}},
		{"uuid", uuid.NullUUID{}},
		{"jsonb", map[string]int(nil)},
		{"jsonb", json.RawMessage(nil)},
		{"jsonb", (*person)(nil)},
		{"json", []int(nil)},
		{"inet", netip.Addr{}},
		{"inet", netip.Prefix{}},
		{"inet", net.IP(nil)},
		{"int4[]", []int(nil)},
		{"int4[]", (*[]int)(nil)},
		{"int4[]", pgtype.Array[int]{}},
		{"int4[]", pgtype.FlatArray[int](nil)},
		{"int4[]", custom{}},
	} {
		out, null, err := mustType(t, c.typ).Encode([]byte("kept"), c.v)
		if err != nil || !null || string(out) != "kept" {
			t.Errorf("%s from %T %v: %q, %v, %v; want NULL", c.typ, c.v, c.v, out, null, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		typ   string
		v     any
		state string
		hint  string // a part of the reason
	}{
		{"varchar(3)", "abcd", "22001", "varchar(3) holds at most 3 characters"},
		{"varchar(3)", "abc x", "22001", "at most 3"},
		{"char(3)", "日本語語", "22001", "char(3) holds at most 3"},
		{"varchar(2)[]", []string{"abc"}, "22001", "at most 2"},
		{"text", "a\x00b", "22021", "U+0000"},
		{"text", "a\xffb", "22021", "UTF-8"},
		{"varchar", "\xed\xa0\x80", "22021", "UTF-8"},
		{"char(3)", "\x00", "22021", "U+0000"},
		{"text", 5, "42804", "declare another type="},
		{"text", true, "42804", ""},
		{"text", key{}, "42804", ""},
		{"text", struct{ X int }{1}, "42804", ""},
		{"text", make(chan int), "42804", ""},
		{"text", func() {}, "42804", ""},
		{"text", endless{}, "42804", ""},
		{"text", leaky{}, "42804", "MarshalText"},
		{"text", leakyValuer{}, "42804", "Value method"},
		{"bytea", leaky{}, "42804", "MarshalBinary"},
		{"bytea", 5, "42804", ""},
		{"bytea", struct{ X int }{1}, "42804", ""},
		{"bool", 1, "42804", ""},
		{"bool", "maybe", "22P02", "true or false"},
		{"int2", 32768, "22003", "int2 holds whole numbers from -32768 to 32767"},
		{"int2", -32769, "22003", "-32768"},
		{"int4", int64(1) << 31, "22003", "-2147483648 to 2147483647"},
		{"int8", uint64(1) << 63, "22003", "9223372036854775807"},
		{"int8", 1.5, "22003", ""},
		{"int8", math.NaN(), "22003", ""},
		{"int8", 9223372036854775808.0, "22003", ""},
		{"int8", "12x", "22P02", "whole number"},
		{"int8", "12.0", "22P02", "whole number"},
		{"int8", pgtype.Float8{Float64: 1.5, Valid: true}, "22003", ""},
		{"int8", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}, "22003", ""},
		{"int8", pgtype.Numeric{NaN: true, Valid: true}, "22003", ""},
		{"int8", new(big.Int).Lsh(big.NewInt(1), 63), "22003", ""},
		{"int8", true, "42804", ""},
		{"int8", sampleTime, "22P02", ""},
		{"float4", 1e39, "22003", "float4"},
		{"float4", 1e-46, "22003", "float4"},
		{"float4", 1<<24 + 1, "22003", "exact"},
		{"float8", int64(1)<<53 + 1, "22003", "exact"},
		{"float8", int64(math.MaxInt64), "22003", "exact"},
		{"float8", uint64(math.MaxUint64), "22003", "exact"},
		{"float8", "0x1p4", "22P02", ""},
		{"float8", "1e999", "22003", ""},
		{"numeric", "1,5", "22P02", "decimal number"},
		{"numeric", "1_000", "22P02", "decimal number"},
		{"numeric", "0x10", "22P02", "decimal number"},
		{"numeric", "1e131072", "22003", "131072 digits before"},
		{"numeric", "1e999999999999", "22003", ""},
		{"numeric", pgtype.Numeric{Int: big.NewInt(1), Exp: math.MaxInt32, Valid: true}, "22003", ""},
		{"numeric", new(big.Int).Lsh(big.NewInt(1), 10_000_000), "22003", ""},
		{"numeric(4,2)", 100, "22003", "less than 10^2"},
		{"numeric(4,2)", "99.995", "22003", "less than 10^2"},
		{"numeric(4,2)", math.Inf(1), "22003", "infinite"},
		{"numeric", true, "42804", ""},
		{"date", "2001-02-30", "22008", "4714-11-24 BC"},
		{"date", "03/02/2001", "22007", "ISO 8601"},
		{"date", "", "22007", "ISO 8601"},
		{"date", time.Date(5874898, 1, 1, 0, 0, 0, 0, time.UTC), "22008", "5874897"},
		{"date", time.Unix(math.MaxInt64, 0), "22008", "5874897"},
		{"date", time.Unix(math.MinInt64, 0), "22008", "4714"},
		{"date", 5, "42804", ""},
		{"time", "25:00:00", "22008", "24:00:00"},
		{"time", pgtype.Time{Microseconds: 86400_000_001, Valid: true}, "22008", "24:00:00"},
		{"time", pgtype.Time{Microseconds: -1, Valid: true}, "22008", "24:00:00"},
		{"time", "noon", "22007", "HH:MM:SS"},
		{"time", time.Minute, "42804", ""},
		{"timestamp", time.Date(294277, 1, 1, 0, 0, 0, 0, time.UTC), "22008", "294276"},
		{"timestamptz", time.Date(-4713, 11, 23, 23, 0, 0, 0, time.UTC), "22008", "4714"},
		{"timestamptz", time.Unix(math.MaxInt64, 0), "22008", "294276"},
		{"timestamptz", "2001-02-03 04:05:06", "22007", "zone"},
		{"timestamptz", "2001-02-03 04:05:06 Europe/Berlin", "22007", "ISO"},
		{"timestamptz(0)", time.Date(294276, 12, 31, 23, 59, 59, 999_999_000, time.UTC), "22008", "294276"},
		{"timestamptz", 5, "42804", ""},
		{"interval", "1.5 days", "22007", "only seconds"},
		{"interval", "9999999999 days", "22015", "32 bits"},
		{"interval(2)", pgtype.Interval{Microseconds: math.MaxInt64, Valid: true}, "22015", ""},
		{"interval", 5, "42804", ""},
		{"uuid", "00112233", "22P02", "32 hex digits"},
		{"uuid", []byte{1, 2, 3}, "22P02", "32 hex digits"},
		{"uuid", key{}, "42804", ""},
		{"json", `{"a":}`, "22P02", "JSON"},
		{"json", "\"\xff\"", "22021", ""},
		{"jsonb", `{"a":1`, "22P02", "JSON"},
		{"jsonb", `{} x`, "22P02", "JSON"},
		{"jsonb", `"\u0000"`, "22P05", "U+0000"},
		{"jsonb", "\"\xff\"", "22021", ""},
		{"jsonb", "1e131072", "22003", ""},
		{"jsonb", strings.Repeat("[", 10001) + strings.Repeat("]", 10001), "54001", "10000 levels"},
		{"jsonb", make(chan int), "42804", "json.Marshal"},
		{"jsonb", map[string]any{"a": func() {}}, "42804", "json.Marshal"},
		{"jsonb", math.NaN(), "42804", "json.Marshal"},
		{"jsonb", leaky{}, "42804", "json.Marshal"},
		{"inet", "1.2.3", "22P02", "IPv4 or IPv6"},
		{"inet", netip.MustParseAddr("fe80::1%eth0"), "22P02", "zone"},
		{"inet", net.IP{1, 2}, "22P02", ""},
		{"inet", net.IPNet{IP: net.IP{1, 2, 3, 4}, Mask: net.IPMask{255, 0, 255, 0}}, "22P02", ""},
		{"inet", net.IPNet{IP: net.IP{1, 2, 3, 4}, Mask: net.CIDRMask(64, 128)}, "22P02", ""},
		{"int4[]", [][]int{{1}, {2, 3}}, "2202E", "rectangular"},
		{"int4[]", [][]int{{}, {2}}, "2202E", "rectangular"},
		{"int4[]", [][]int{{2}, nil}, "2202E", "rectangular"},
		{"int4[]", [][][][][][][]int{{{{{{{1}}}}}}}, "54000", "6 dimensions"},
		{"int4[]", 5, "42804", ""},
		{"int4[]", map[int]int{1: 1}, "42804", ""},
		{"int4[]", []string{"x"}, "22P02", ""},
		{"int4[]", "{1", "22P02", "array text"},
		{"int4[]", "{{}}", "22P02", "array text"},
		{"interval", "PTT1H", "22007", "ISO 8601"},
		{"int4[]", leakyValuer{}, "42804", "Value method"},
		{"int4[]", pgtype.Array[int]{Dims: []pgtype.ArrayDimension{{Length: math.MaxInt32, LowerBound: 1}}, Valid: true}, "54000", ""},
		{"int4[]", pgtype.Array[int]{Dims: []pgtype.ArrayDimension{{Length: -1, LowerBound: 1}}, Valid: true}, "54000", ""},
		{"int4[]", pgtype.Array[int]{Elements: []int{1}, Dims: []pgtype.ArrayDimension{{Length: 1, LowerBound: math.MaxInt32}}, Valid: true}, "54000", ""},
	} {
		out, null, err := mustType(t, c.typ).Encode([]byte("kept"), c.v)
		var e *codec.Error
		if !errors.As(err, &e) || e.SQLState != c.state || !strings.Contains(e.Reason, c.hint) || null || string(out) != "kept" {
			t.Errorf("%s from %T: %.100q, %v, %v; want SQLSTATE %s and %q", c.typ, c.v, out, null, err, c.state, c.hint)
			continue
		}
		if e.Op != "encode" || e.Type != mustType(t, c.typ) || !strings.Contains(e.Error(), e.GoType) || !strings.Contains(e.Error(), c.typ) {
			t.Errorf("the error does not name its parts: %+v", e)
		}
	}
}

func TestCyclicSlicesEnd(t *testing.T) {
	type ring []ring
	r := ring{nil}
	r[0] = r
	if _, _, err := mustType(t, "int4[]").Encode(nil, r); stateOf(err) != "54000" {
		t.Errorf("a slice that holds itself: %v", err)
	}
}

func TestEncodeTextReadsServerInput(t *testing.T) {
	if out, err := mustType(t, "bytea").EncodeText([]byte("k"), `\x0aFF`); err != nil || string(out) != "k\x0a\xff" {
		t.Errorf("bytea: %x, %v", out, err)
	}
	if out, err := mustType(t, "int4").EncodeText([]byte("k"), "x"); stateOf(err) != "22P02" || string(out) != "k" {
		t.Errorf("an error changed dst: %x, %v", out, err)
	}
}

func TestEncodeBinaryCanonicalises(t *testing.T) {
	for _, c := range []struct{ typ, in, want string }{
		{"numeric", "0003000100000002" + "0001" + "0000" + "0000", "0001000100000002" + "0001"},
		{"numeric", "0002000100000000" + "0000" + "0007", "0001000000000000" + "0007"},
		{"numeric", "0002000000000001" + "0001" + "04d2", "0002000000000001" + "0001" + "03e8"},
		{"numeric(4,1)", "0002000000000002" + "0001" + "04e2", "0002000000000001" + "0001" + "03e8"},
		{"numeric", "0000000540000000", "0000000000000000"},
		{"float8", "fff8000000000001", "7ff8000000000000"},
		{"jsonb", "01" + hex.EncodeToString([]byte(`{"b":1,"a":2}`)), "01" + hex.EncodeToString([]byte(`{"a": 2, "b": 1}`))},
		{"char(3)", "61", "612020"},
		{"inet", "0220010401020304", "0220000401020304"},
		{
			"numeric[]", "00000001" + "00000001" + "000006a4" + "0000000200000001" + "0000000a" + "00010001000000000000" + "ffffffff",
			"00000001" + "00000001" + "000006a4" + "0000000200000001" + "00000008" + "0000000000000000" + "ffffffff",
		},
		{"int4[]", "00000001" + "00000001" + "00000017" + "0000000100000001" + "0000000400000001", "00000001" + "00000000" + "00000017" + "0000000100000001" + "0000000400000001"},
	} {
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := mustType(t, c.typ).EncodeBinary(nil, in)
		if err != nil || hex.EncodeToString(out) != c.want {
			t.Errorf("%s %s: %x, %v; want %s", c.typ, c.in, out, err, c.want)
		}
	}
}

func TestEncodeBinaryRefusesAfterModifiers(t *testing.T) {
	for typ, in := range map[string]string{"varchar(2)": "abc", "char(2)": "abc"} {
		if out, err := mustType(t, typ).EncodeBinary([]byte("k"), []byte(in)); stateOf(err) != "22001" || string(out) != "k" {
			t.Errorf("%s: %q, %v", typ, out, err)
		}
	}
}
