package codec_test

import (
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
)

const benchText = "123-45-6789-abcd" // sixteen bytes

func benchmarkEncode(b *testing.B, word string, v any) {
	typ := mustType(b, word)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := typ.Encode(dst, v); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDecode[T any](b *testing.B, word, literal string) {
	typ := mustType(b, word)
	src := stored(b, word, literal)
	var dst T
	b.ReportAllocs()
	for b.Loop() {
		if err := typ.Decode(src, &dst); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	s := benchText
	for _, c := range []struct {
		name, typ string
		v         any
	}{
		{"text/string", "text", s},
		{"text/*string", "text", &s},
		{"varchar(45)/string", "varchar(45)", s},
		{"bytea/[]byte", "bytea", []byte(s)},
		{"int8/int64", "int8", int64(7)},
		{"bool/bool", "bool", true},
		{"timestamptz/time", "timestamptz", sampleTime},
		{"int4/int", "int4", 7},
		{"numeric/string", "numeric", "12345.678"},
		{"date/time", "date", sampleTime},
		{"uuid/uuid", "uuid", sampleUUID},
		{"jsonb/string", "jsonb", `{"name":"n","tags":["a","b"],"age":5}`},
		{"jsonb/struct", "jsonb", person{Name: "n", Tags: []string{"a", "b"}}},
		{"text[]/strings", "text[]", []string{"a", "b", "c"}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkEncode(b, c.typ, c.v) })
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("text/string", func(b *testing.B) { benchmarkDecode[string](b, "text", benchText) })
	b.Run("bytea/[]byte", func(b *testing.B) { benchmarkDecode[[]byte](b, "bytea", benchText) })
	b.Run("int8/int64", func(b *testing.B) { benchmarkDecode[int64](b, "int8", "7") })
	b.Run("bool/bool", func(b *testing.B) { benchmarkDecode[bool](b, "bool", "t") })
	b.Run("timestamptz/time", func(b *testing.B) { benchmarkDecode[time.Time](b, "timestamptz", "2001-02-03 04:05:06Z") })
	b.Run("text/any", func(b *testing.B) { benchmarkDecode[any](b, "text", benchText) })
	b.Run("text/*string", func(b *testing.B) { benchmarkDecode[*string](b, "text", benchText) })
	b.Run("int4/int", func(b *testing.B) { benchmarkDecode[int](b, "int4", "7") })
	b.Run("numeric/string", func(b *testing.B) { benchmarkDecode[string](b, "numeric", "12345.678") })
	b.Run("jsonb/struct", func(b *testing.B) {
		benchmarkDecode[person](b, "jsonb", `{"name":"n","tags":["a","b"],"code":"id1"}`)
	})
	b.Run("text[]/strings", func(b *testing.B) { benchmarkDecode[[]string](b, "text[]", "{a,b,c}") })
}

// TestFastPathsDoNotAllocate keeps the promise that callers with a buffer rely on.
func TestFastPathsDoNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 64)
	s := benchText
	var out string
	var at time.Time
	var n int64
	var ok bool
	one, src, stamp := []byte{1}, []byte(s), stored(t, "timestamptz", "2001-02-03 04:05:06Z")
	for _, c := range []struct {
		name string
		want float64
		run  func(typ codec.Type) error
		typ  string
	}{
		{"Encode *string", 0, func(typ codec.Type) error { _, _, err := typ.Encode(dst, &s); return err }, "text"},
		{"Encode *string", 0, func(typ codec.Type) error { _, _, err := typ.Encode(dst, &s); return err }, "varchar(45)"},
		{"Encode bool", 0, func(typ codec.Type) error { _, _, err := typ.Encode(dst, true); return err }, "bool"},
		{"Encode small int64", 0, func(typ codec.Type) error { _, _, err := typ.Encode(dst, int64(7)); return err }, "int8"},
		{"Decode string", 1, func(typ codec.Type) error { return typ.Decode(src, &out) }, "text"},
		{"Decode time", 0, func(typ codec.Type) error { return typ.Decode(stamp, &at) }, "timestamptz"},
		{"Decode int64", 0, func(typ codec.Type) error { return typ.Decode(src[:8], &n) }, "int8"},
		{"Decode bool", 0, func(typ codec.Type) error { return typ.Decode(one, &ok) }, "bool"},
	} {
		typ := mustType(t, c.typ)
		got := testing.AllocsPerRun(100, func() {
			if err := c.run(typ); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.want {
			t.Errorf("%s as %s: %v allocations, want %v", c.name, c.typ, got, c.want)
		}
	}
}
