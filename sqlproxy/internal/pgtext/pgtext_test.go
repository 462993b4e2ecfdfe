package pgtext_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

func TestUnknownSettingsAreRefused(t *testing.T) {
	good := words{"ISO, MDY", "UTC", "postgres", "hex", "1"}
	if _, err := pgtext.Parse(good[0], good[1], good[2], good[3], good[4]); err != nil {
		t.Fatal(err)
	}
	for i, bad := range [][]string{
		{"", "ISO", "XML, MDY", "ISO, XYZ"},
		{"", "Local", "localtime", "posixrules", "Nowhere/Land", "Europe//Berlin", "../etc/passwd", "right/UTC", "EST5EDT4,M3.2.0,M11.1.0", "FOO4BAR", "FOO99", "FOO4:61"},
		{"", "roman"},
		{"", "base64"},
		{"", "x", "4", "-16"},
	} {
		for _, value := range bad {
			w := good
			w[i] = value
			if s, err := pgtext.Parse(w[0], w[1], w[2], w[3], w[4]); err == nil || s != nil {
				t.Errorf("%s %q is accepted", names[i], value)
			}
		}
	}
}

func TestErrorsHoldNoValue(t *testing.T) {
	const canary = "78secret78"
	s := pgtext.Defaults()
	for _, name := range allTypes() {
		typ := typeOf(t, name)
		for _, format := range []int16{0, 1, 2} {
			for _, oid := range []uint32{0, 25, 1700, 99999, typ.OID()} {
				_, err := s.FromClient(nil, typ, oid, format, []byte(canary))
				_, err2 := s.Comparand(nil, typ, oid, format, []byte(canary))
				for _, err := range []error{err, err2} {
					var known *codec.Error
					switch {
					case err == nil:
					case !errors.As(err, &known) || len(known.SQLState) != 5:
						t.Errorf("%s: %v is no codec.Error with a state", name, err)
					case strings.Contains(err.Error(), canary[:4]):
						t.Errorf("%s: %v holds the value", name, err)
					}
				}
			}
		}
	}
}

func TestWhatTheServerWouldEvaluateIsRefused(t *testing.T) {
	s, _ := pgtext.Parse("SQL, MDY", "Europe/Berlin", "postgres", "hex", "1")
	for _, text := range []string{"now", "today", "tomorrow", "yesterday", "allballs", "2020-01-01 10:00 CET", "2020-01-01 10:00 America/New_York", "J2451187", "2020-060", "2020-01-01 10:00 PM"} {
		for _, name := range []string{"date", "timestamp", "timestamptz", "timestamptz[]"} {
			literal := text
			if strings.HasSuffix(name, "[]") {
				literal = `{"` + text + `"}`
			}
			out, err := s.FromText([]byte("x"), typeOf(t, name), literal)
			if stateOf(err) != "22007" || string(out) != "x" {
				t.Errorf("%s %q: %q, %v", name, text, out, err)
			}
		}
	}
}

func TestMalformedBinaryIsRefused(t *testing.T) {
	s, _ := pgtext.Parse("SQL, MDY", "Europe/Berlin", "iso_8601", "escape", "0")
	for _, name := range []string{"date", "timestamp", "timestamptz", "interval", "float4", "float8", "date[]", "bytea[]"} {
		for _, src := range []string{"", "ff", "7fffff00", "7ffffffffffffff0", "00000001000000000000043a0000000100000001", "000000010000000000000011000000010000000100000009", strings.Repeat("ff", 17)} {
			raw, _ := hex.DecodeString(src)
			if name[:4] == "floa" && (len(raw) == 4 && name == "float4" || len(raw) == 8 && name == "float8") {
				continue
			}
			out, err := s.AppendText([]byte("x"), typeOf(t, name), raw)
			if stateOf(err) != "22P03" || string(out) != "x" {
				t.Errorf("%s %s: %q, %v", name, src, out, err)
			}
		}
	}
}

func TestAnOperandsElementsAreComparedEach(t *testing.T) {
	s := pgtext.Defaults()
	int4, text := typeOf(t, "int4"), typeOf(t, "varchar(3)")
	for _, c := range []struct {
		t     codec.Type
		oid   uint32
		text  string
		elems []string // one by one, "" for NULL
		each  uint32
	}{
		{int4, 0, "{1,NULL,7}", []string{"1", "", "7"}, 0},
		{int4, 1016, "{1,9223372036854775807}", []string{"1", "9223372036854775807"}, 20},
		{int4, 1231, "{1.0,1.5}", []string{"1.0", "1.5"}, 1700},
		{text, 1009, `{abcdef,"a "}`, []string{"abcdef", "a "}, 25},
		{text, 1015, `{}`, nil, 1043},
	} {
		i := 0
		err := s.Comparands(c.t, c.oid, 0, []byte(c.text), func(canonical []byte) error {
			var want []byte
			if c.elems[i] != "" {
				want, _ = s.Comparand(nil, c.t, c.each, 0, []byte(c.elems[i]))
			}
			if !bytes.Equal(canonical, want) || (canonical == nil) != (want == nil) {
				t.Errorf("%s element %d: %x, want %x", c.text, i, canonical, want)
			}
			i++
			return nil
		})
		if err != nil || i != len(c.elems) {
			t.Errorf("%s: %d elements, %v", c.text, i, err)
		}
	}
	stop := errors.New("stop")
	if err := s.Comparands(int4, 0, 0, []byte("{1,2}"), func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	for _, oid := range []uint32{23, 1009, 99999} {
		if err := s.Comparands(int4, oid, 0, []byte("{1}"), func([]byte) error { return nil }); stateOf(err) != "42883" {
			t.Errorf("%d: %v", oid, err)
		}
	}
	if err := s.Comparands(int4, 0, 0, []byte("{x}"), func([]byte) error { return nil }); stateOf(err) != "22P02" {
		t.Error(err)
	}
}

func TestSizesAreTheCatalogs(t *testing.T) {
	s := startServer(t)
	for _, name := range allTypes() {
		typ := typeOf(t, name)
		want, _ := s.query(t, "select typlen from pg_type where oid = $1::int8::oid", 20, 1, []byte{0, 0, 0, 0, byte(typ.OID() >> 24), byte(typ.OID() >> 16), byte(typ.OID() >> 8), byte(typ.OID())}, 1)
		if size := pgtext.Size(typ); size != int16(want[0][0])<<8|int16(want[0][1]) {
			t.Errorf("%s: %d", name, size)
		}
	}
}

// fastPaths are what is commonest: they need no memory but the caller's.
var fastPaths = []struct{ name, typ, text string }{
	{"text", "text", "Ada Lovelace, 10 December 1815"},
	{"varchar", "varchar(45)", "Ada Lovelace"},
	{"int4", "int4", "1815"},
	{"int8", "int8", "-9007199254740993"},
	{"bool", "bool", "t"},
	{"date", "date", "1815-12-10"},
	{"timestamptz", "timestamptz", "2020-03-04 05:06:07.891234+00"},
}

func TestTheCommonestNeedNoMemory(t *testing.T) {
	s := pgtext.Defaults()
	for _, c := range fastPaths {
		typ := typeOf(t, c.typ)
		wire, room := []byte(c.text), make([]byte, 0, 128)
		binary, err := s.FromClient(nil, typ, 0, 0, wire)
		if err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func(){
			"FromClient of text":   func() { _, _ = s.FromClient(room, typ, 0, 0, wire) },
			"FromClient of binary": func() { _, _ = s.FromClient(room, typ, typ.OID(), 1, binary) },
			"AppendText":           func() { _, _ = s.AppendText(room, typ, binary) },
		} {
			if n := testing.AllocsPerRun(100, do); n != 0 {
				t.Errorf("%s, %s: %v allocations", c.name, what, n)
			}
		}
	}
}

func FuzzFromText(f *testing.F) {
	seeds := []string{"2020-03-04 05:06:07.8+01", "03/04/2020", "Wed Mar 04 10:00:00 2020", "4-Mar-2020 BC", "1-2 3 4:05:06", "@ 1 day ago", "{\"1 day\",NULL}", "P1Y", "-infinity", "\x00", "1.", "::", "1:1:"}
	for _, seed := range seeds {
		for style := range byte(12) {
			f.Add(seed, style)
		}
	}
	types := []codec.Type{typeOf(f, "date"), typeOf(f, "timestamp(3)"), typeOf(f, "timestamptz"), typeOf(f, "interval"), typeOf(f, "date[]"), typeOf(f, "interval[]")}
	var all []*pgtext.Settings
	for _, style := range []string{"ISO, MDY", "SQL, DMY", "Postgres, YMD"} {
		for _, interval := range []string{"postgres", "sql_standard"} {
			for _, zone := range []string{"UTC", "America/St_Johns"} {
				s, err := pgtext.Parse(style, zone, interval, "hex", "1")
				if err != nil {
					f.Fatal(err)
				}
				all = append(all, s)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, style byte) {
		s := all[int(style)%len(all)]
		for _, typ := range types {
			got, err := s.FromText(nil, typ, text)
			if err != nil {
				if stateOf(err) == "" {
					t.Fatalf("%v: no state", err)
				}
				continue
			}
			if again, err := typ.EncodeBinary(nil, got); err != nil || !bytes.Equal(again, got) {
				t.Fatalf("%v %q: %x is not the type's own form: %x, %v", typ, text, got, again, err)
			}
			if _, err := s.AppendText(nil, typ, got); err != nil {
				t.Fatalf("%v %q: %x is not printed: %v", typ, text, got, err)
			}
		}
	})
}

func BenchmarkFromClientText(b *testing.B) {
	s := pgtext.Defaults()
	for _, c := range append(fastPaths, struct{ name, typ, text string }{"uuid", "uuid", "00112233-4455-6677-8899-aabbccddeeff"}) {
		b.Run(c.name, func(b *testing.B) {
			typ, wire, room := typeOf(b, c.typ), []byte(c.text), make([]byte, 0, 128)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.FromClient(room, typ, 0, 0, wire)
			}
		})
	}
}

func BenchmarkAppendText(b *testing.B) {
	for _, zone := range []string{"UTC", "Europe/Berlin"} {
		s, err := pgtext.Parse("ISO, MDY", zone, "postgres", "hex", "1")
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range append(fastPaths, struct{ name, typ, text string }{"uuid", "uuid", "00112233-4455-6677-8899-aabbccddeeff"}, struct{ name, typ, text string }{"float8", "float8", "0.1"}) {
			b.Run(zone+"/"+c.name, func(b *testing.B) {
				typ, room := typeOf(b, c.typ), make([]byte, 0, 128)
				src, err := s.FromText(nil, typ, c.text)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					_, _ = s.AppendText(room, typ, src)
				}
			})
		}
	}
}
