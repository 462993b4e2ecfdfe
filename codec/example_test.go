package codec_test

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/rowseal/rowseal/codec"
)

func Example() {
	typ, err := codec.ParseType("varchar(45)")
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, null, err := typ.Encode(nil, "Grace Hopper")
	if err != nil || null {
		fmt.Println(null, err)
		return
	}
	var name string
	if err := typ.Decode(stored, &name); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %d bytes, code %d\n", name, len(stored), typ.Code())
	// Output: Grace Hopper: 12 bytes, code 2
}

func ExampleParseType() {
	typ, _ := codec.ParseType("timestamp(3) with time zone[]")
	fmt.Println(typ, typ.OID(), codec.CodeName(typ.Code()))
	// Output: timestamptz(3)[] 1185 timestamptz[]
}

func ExampleTypeOf() {
	for _, v := range []any{"", 0, []string{}, time.Time{}, map[string]any{}} {
		typ, _ := codec.TypeOf(reflect.TypeOf(v))
		fmt.Println(typ)
	}
	// Output:
	// text
	// int8
	// text[]
	// timestamptz
	// jsonb
}

func ExampleType_Encode() {
	typ, _ := codec.ParseType("numeric(10,2)")
	stored, _, _ := typ.Encode(nil, "1.005") // rounds as PostgreSQL does
	v, _ := typ.Natural(stored)
	fmt.Println(v)

	typ, _ = codec.ParseType("varchar(3)")
	_, _, err := typ.Encode(nil, "Hopper")
	fmt.Println(err)
	// Output:
	// 1.01
	// codec: encode string as varchar(3): too long: varchar(3) holds at most 3 characters (SQLSTATE 22001)
}

func ExampleType_Decode_null() {
	typ, _ := codec.ParseType("text")
	var name string
	err := typ.Decode(nil, &name)
	fmt.Println(errors.Is(err, codec.ErrNull))

	var maybe *string
	err = typ.Decode(nil, &maybe)
	fmt.Println(maybe == nil, err)
	// Output:
	// true
	// true <nil>
}

func ExampleType_EncodeText() {
	typ, _ := codec.ParseType("jsonb")
	stored, _ := typ.EncodeText(nil, `{"name":"Grace", "id":1e2, "id":7}`)
	text, _ := typ.AppendText(nil, stored)
	fmt.Println(string(text))
	// Output: {"id": 7, "name": "Grace"}
}
