package codec_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/rowseal/rowseal/codec"
)

// deletedAt is defined over a Null type and keeps its methods by hand, as gorm.DeletedAt does.
type deletedAt sql.NullTime

func (d *deletedAt) Scan(v any) error            { return (*sql.NullTime)(d).Scan(v) }
func (d deletedAt) Value() (driver.Value, error) { return sql.NullTime(d).Value() }

// undecided is a Valuer and a TextMarshaler whose name says nothing.
type undecided struct{ custom }

func (undecided) MarshalText() ([]byte, error) { return nil, nil }

// jsonOnly and endlessSlice are what their names say.
type (
	jsonOnly     struct{}
	endlessSlice []endlessSlice
)

func (jsonOnly) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func TestTypeOfChoosesTheType(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{"", "text"},
		{name(""), "text"},
		{[]byte{}, "bytea"},
		{blob{}, "bytea"},
		{key{}, "bytea"},
		{false, "bool"},
		{flag(false), "bool"},
		{int8(0), "int2"},
		{int16(0), "int2"},
		{uint8(0), "int2"},
		{level(0), "int2"},
		{int32(0), "int4"},
		{uint16(0), "int4"},
		{0, "int8"},
		{int64(0), "int8"},
		{uint32(0), "int8"},
		{uint(0), "numeric"},
		{uint64(0), "numeric"},
		{float32(0), "float4"},
		{0.0, "float8"},
		{time.Time{}, "timestamptz"},
		{moment{}, "timestamptz"},
		{time.Duration(0), "interval"},
		{[16]byte{}, "uuid"},
		{uuid.UUID{}, "uuid"},
		{uuid.NullUUID{}, "uuid"},
		{json.RawMessage{}, "jsonb"},
		{map[string]any{}, "jsonb"},
		{map[int]string{}, "jsonb"},
		{url.Values{}, "jsonb"},
		{person{}, "jsonb"},
		{jsonOnly{}, "jsonb"},
		{struct{ A int }{}, "jsonb"},
		{custom{}, "jsonb"},
		{big.Int{}, "numeric"},
		{new(big.Int), "numeric"},
		{json.Number(""), "numeric"},
		{decimal.Decimal{}, "numeric"},
		{decimal.NullDecimal{}, "numeric"},
		{netip.Addr{}, "inet"},
		{netip.Prefix{}, "inet"},
		{net.IP{}, "inet"},
		{net.IPNet{}, "inet"},
		{netip.AddrPort{}, "text"},
		{color(0), "text"},
		{packed{}, "bytea"},
		{&packed{}, "bytea"},
		{sql.NullString{}, "text"},
		{sql.NullInt16{}, "int2"},
		{sql.NullInt32{}, "int4"},
		{sql.NullInt64{}, "int8"},
		{sql.NullByte{}, "int2"},
		{sql.NullBool{}, "bool"},
		{sql.NullFloat64{}, "float8"},
		{sql.NullTime{}, "timestamptz"},
		{sql.Null[name]{}, "text"},
		{sql.Null[[]int]{}, "int8[]"},
		{sql.Null[person]{}, "jsonb"},
		{&sql.NullString{}, "text"},
		{deletedAt{}, "timestamptz"},
		{new(string), "text"},
		{ptr(new(int32)), "int4"},
		{pgtype.Text{}, "text"},
		{pgtype.Bool{}, "bool"},
		{pgtype.Int2{}, "int2"},
		{pgtype.Int4{}, "int4"},
		{pgtype.Int8{}, "int8"},
		{pgtype.Float4{}, "float4"},
		{pgtype.Float8{}, "float8"},
		{pgtype.Numeric{}, "numeric"},
		{pgtype.Date{}, "date"},
		{pgtype.Time{}, "time"},
		{pgtype.Timestamp{}, "timestamp"},
		{pgtype.Timestamptz{}, "timestamptz"},
		{pgtype.Interval{}, "interval"},
		{pgtype.UUID{}, "uuid"},
		{pgtype.Uint32{}, "int8"},
		{pgtype.Uint64{}, "numeric"},
		{pgtype.Array[string]{}, "text[]"},
		{pgtype.FlatArray[int32]{}, "int4[]"},
		{[]string{}, "text[]"},
		{[]*string{}, "text[]"},
		{[][]int32{}, "int4[]"},
		{[3]bool{}, "bool[]"},
		{[][]byte{}, "bytea[]"},
		{[]uuid.UUID{}, "uuid[]"},
		{[]time.Time{}, "timestamptz[]"},
		{[]person{}, "jsonb[]"},
		{[]sql.NullInt32{}, "int4[]"},
		{[]color{}, "text[]"},
		{[]net.IP{}, "inet[]"},
	} {
		got, err := codec.TypeOf(reflect.TypeOf(c.v))
		if err != nil || got != mustType(t, c.want) {
			t.Errorf("TypeOf(%T) = %v, %v; want %s", c.v, got, err, c.want)
		}
	}
}

func TestTypeOfRefuses(t *testing.T) {
	for rt, hint := range map[reflect.Type]string{
		nil:                                  "no Go type",
		reflect.TypeFor[chan int]():          "chan",
		reflect.TypeFor[func()]():            "func",
		reflect.TypeFor[complex64]():         "complex64",
		reflect.TypeFor[complex128]():        "complex128",
		reflect.TypeFor[uintptr]():           "uintptr",
		reflect.TypeFor[unsafe.Pointer]():    "unsafe.Pointer",
		reflect.TypeFor[any]():               "type=",
		reflect.TypeFor[io.Reader]():         "type=",
		reflect.TypeFor[[]any]():             "type=",
		reflect.TypeFor[[]chan int]():        "chan",
		reflect.TypeFor[*func()]():           "func",
		reflect.TypeFor[undecided]():         "type=numeric",
		reflect.TypeFor[pgtype.Point]():      "no logical type",
		reflect.TypeFor[pgtype.Range[int]](): "no logical type",
		reflect.TypeFor[endlessSlice]():      "never end",
	} {
		got, err := codec.TypeOf(rt)
		if err == nil || got.Valid() || !strings.Contains(err.Error(), hint) || (rt != nil && !strings.Contains(err.Error(), rt.String())) {
			t.Errorf("TypeOf(%v) = %v, %v; want an error that names it, with %q", rt, got, err, hint)
		}
	}
}

// Every default must be a type that takes the zero value of the Go type there and back.
func TestDefaultTypesTakeTheirGoType(t *testing.T) {
	for _, v := range []any{
		"x", name("x"), []byte("x"), blob("x"),
		key{1},
		true, int8(-1), int16(-1), uint8(255), int32(-1), uint16(65535), -1, uint32(1<<32 - 1), uint64(1<<64 - 1), float32(0.1), 0.1,
		sampleTime.UTC().Truncate(time.Microsecond), time.Minute, sampleUUID, [16]byte(sampleUUID),
		map[string]any{"a": "b"},
		person{Name: "n"},
		*big.NewInt(5), json.Number("5"), decimal.New(15, -1),
		netip.MustParseAddr("::1"), netip.MustParsePrefix("1.0.0.0/8"), netip.MustParseAddrPort("1.2.3.4:5"), color(1),
		packed{1, 2},
		sql.NullString{String: "x", Valid: true},
		sql.Null[person]{V: person{Name: "n"}, Valid: true},
		[]string{"a"},
		[]*string{nil},
		[][]int32{{1}},
		[2]bool{true},
		[]person{{Name: "n"}},
		[]net.IP{net.ParseIP("::1")},
		pgtype.Int4{Int32: 1, Valid: true},
		pgtype.FlatArray[int32]{1},
		ptr("x"),
	} {
		typ, err := codec.TypeOf(reflect.TypeOf(v))
		if err != nil {
			t.Error(err)
			continue
		}
		enc, null, err := typ.Encode(nil, v)
		if err != nil || null {
			t.Errorf("%T as %s: %v, %v", v, typ, null, err)
			continue
		}
		dst := reflect.New(reflect.TypeOf(v))
		if err := typ.Decode(enc, dst.Interface()); err != nil || !equal(dst.Elem().Interface(), v) {
			t.Errorf("%T as %s: %v came back as %v, %v", v, typ, v, dst.Elem(), err)
		}
	}
}
