package codec

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// TypeOf gives the logical type that a Go type has when none is declared:
//
//	string, encoding.TextMarshaler               text
//	[]byte, [n]byte, encoding.BinaryMarshaler    bytea ([16]byte is uuid)
//	bool                                         bool
//	int8, int16, uint8                           int2
//	int32, uint16                                int4
//	int, int64, uint32                           int8
//	uint, uint64, big.Int                        numeric
//	float32, float64                             float4, float8
//	time.Time, time.Duration                     timestamptz, interval
//	[16]byte and named types over it             uuid
//	netip.Addr, netip.Prefix, net.IP, net.IPNet  inet
//	json.RawMessage, json.Marshaler, maps,
//	other structs                                jsonb
//	pgtype's types                               the type they are named after
//	slices and arrays                            an array of the element's type
//	pointers, sql.Null types, and other structs
//	of a value and Valid bool                    the type of what is inside
//
// A struct that is a driver.Valuer and a TextMarshaler could be anything. When its name ends in "Decimal" it is
// numeric; otherwise the error asks for an explicit type=. Channels, functions, complex numbers, interfaces and
// unsafe pointers are refused.
func TypeOf(rt reflect.Type) (Type, error) {
	if rt == nil {
		return Type{}, errors.New("codec: no Go type given (nil); declare the logical type with type=")
	}
	t, f := typeOf(rt, 0)
	if f != "" {
		return Type{}, fmt.Errorf("codec: Go type %s: %s", rt, f)
	}
	return t, nil
}

const supportedGoTypes = "supported are strings, byte slices, bool, integers, floats, time.Time, time.Duration, UUIDs, " +
	"addresses, pgtype and sql.Null types, marshalers, maps and structs (as jsonb), and pointers and slices of these"

// typeOf gives a reason instead of a type when there is none.
func typeOf(rt reflect.Type, depth int) (Type, string) {
	if depth > maxUnwrap {
		return Type{}, "its pointers or slices never end; " + supportedGoTypes
	}
	if t, ok := exactType(rt); ok {
		return t, ""
	}
	switch rt.Kind() {
	case reflect.Pointer:
		return typeOf(rt.Elem(), depth+1)
	case reflect.Interface:
		return Type{}, "an interface can hold anything; declare the logical type with type="
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		return Type{}, "a " + rt.Kind().String() + " cannot be stored; " + supportedGoTypes
	case reflect.Struct:
		return structType(rt, depth)
	}
	if isUUIDArray(rt) {
		return Type{kind: kindUUID}, ""
	}
	if t, ok := marshalerType(rt); ok {
		return t, ""
	}
	switch rt.Kind() {
	case reflect.Map:
		return Type{kind: kindJSONB}, ""
	case reflect.Slice, reflect.Array:
		return sliceType(rt, depth)
	}
	return basicType(rt.Kind()), ""
}

// exactType knows single types by name, mostly pgtype's.
func exactType(rt reflect.Type) (Type, bool) {
	k := map[reflect.Type]kind{
		reflect.TypeFor[time.Time]():          kindTimestamptz,
		reflect.TypeFor[time.Duration]():      kindInterval,
		reflect.TypeFor[json.RawMessage]():    kindJSONB,
		reflect.TypeFor[json.Number]():        kindNumeric,
		reflect.TypeFor[big.Int]():            kindNumeric,
		reflect.TypeFor[netip.Addr]():         kindInet,
		reflect.TypeFor[netip.Prefix]():       kindInet,
		reflect.TypeFor[net.IP]():             kindInet,
		reflect.TypeFor[net.IPNet]():          kindInet,
		reflect.TypeFor[pgtype.Text]():        kindText,
		reflect.TypeFor[pgtype.Bool]():        kindBool,
		reflect.TypeFor[pgtype.Int2]():        kindInt2,
		reflect.TypeFor[pgtype.Int4]():        kindInt4,
		reflect.TypeFor[pgtype.Int8]():        kindInt8,
		reflect.TypeFor[pgtype.Float4]():      kindFloat4,
		reflect.TypeFor[pgtype.Float8]():      kindFloat8,
		reflect.TypeFor[pgtype.Numeric]():     kindNumeric,
		reflect.TypeFor[pgtype.Date]():        kindDate,
		reflect.TypeFor[pgtype.Time]():        kindTime,
		reflect.TypeFor[pgtype.Timestamp]():   kindTimestamp,
		reflect.TypeFor[pgtype.Timestamptz](): kindTimestamptz,
		reflect.TypeFor[pgtype.Interval]():    kindInterval,
		reflect.TypeFor[pgtype.UUID]():        kindUUID,
		reflect.TypeFor[pgtype.Uint32]():      kindInt8,
		reflect.TypeFor[pgtype.Uint64]():      kindNumeric,
	}[rt]
	return Type{kind: k}, k.valid()
}

// structType decides between Null wrappers, decimals, marshalers and documents.
func structType(rt reflect.Type, depth int) (Type, string) {
	if rt.PkgPath() == reflect.TypeFor[pgtype.Text]().PkgPath() {
		return pgtypeStruct(rt, depth)
	}
	if rt.ConvertibleTo(reflect.TypeFor[time.Time]()) {
		return Type{kind: kindTimestamptz}, ""
	}
	if isWrapper(rt) {
		return typeOf(rt.Field(0).Type, depth+1)
	}
	if implementsValuer(rt) && implements[encoding.TextMarshaler](rt) {
		if strings.HasSuffix(rt.Name(), "Decimal") {
			return Type{kind: kindNumeric}, ""
		}
		return Type{}, "it decides its own form (driver.Valuer); declare the logical type with type=, for example type=numeric for a decimal"
	}
	if t, ok := marshalerType(rt); ok {
		return t, ""
	}
	return Type{kind: kindJSONB}, ""
}

// pgtypeStruct handles what exactType does not list: pgtype.Array, by its elements, and unsupported types.
func pgtypeStruct(rt reflect.Type, depth int) (Type, string) {
	elements, ok := rt.FieldByName("Elements")
	if !ok || !implements[pgtype.ArrayGetter](rt) {
		return Type{}, "it has no logical type here; " + supportedGoTypes
	}
	return sliceType(elements.Type, depth)
}

// isWrapper recognises sql.Null types, types defined over them such as gorm.DeletedAt, and others of the same
// shape such as uuid.NullUUID: a value and Valid bool, with a Value method.
func isWrapper(rt reflect.Type) bool {
	return rt.NumField() == 2 && rt.Field(0).IsExported() && rt.Field(1).Name == "Valid" &&
		rt.Field(1).Type.Kind() == reflect.Bool && implementsValuer(rt)
}

// marshals says whether rt decides its own encoding.
func marshals(rt reflect.Type) bool {
	_, ok := marshalerType(rt)
	return ok
}

// marshalerType prefers text, then JSON, then binary: what people would want to read first.
func marshalerType(rt reflect.Type) (Type, bool) {
	switch {
	case implements[encoding.TextMarshaler](rt):
		return Type{kind: kindText}, true
	case implements[json.Marshaler](rt):
		return Type{kind: kindJSONB}, true
	case implements[encoding.BinaryMarshaler](rt):
		return Type{kind: kindBytea}, true
	}
	return Type{}, false
}

func sliceType(rt reflect.Type, depth int) (Type, string) {
	if rt.Elem().Kind() == reflect.Uint8 {
		return Type{kind: kindBytea}, ""
	}
	t, reason := typeOf(rt.Elem(), depth+1)
	if reason != "" {
		return Type{}, reason
	}
	t.array = true
	return t, ""
}

func basicType(k reflect.Kind) Type {
	switch k {
	case reflect.String:
		return Type{kind: kindText}
	case reflect.Bool:
		return Type{kind: kindBool}
	case reflect.Int8, reflect.Int16, reflect.Uint8:
		return Type{kind: kindInt2}
	case reflect.Int32, reflect.Uint16:
		return Type{kind: kindInt4}
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return Type{kind: kindInt8}
	case reflect.Float32:
		return Type{kind: kindFloat4}
	case reflect.Float64:
		return Type{kind: kindFloat8}
	default: // uint and uint64: int8 could overflow
		return Type{kind: kindNumeric}
	}
}
