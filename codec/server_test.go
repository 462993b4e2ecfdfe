package codec_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/internal/testpg"
)

// server answers what PostgreSQL makes of a value assigned to a column.
type server struct {
	conn   *pgx.Conn
	db     *sql.DB
	tables map[string]string
}

func startServer(t *testing.T) *server {
	t.Helper()
	dsn := testpg.DSN(t)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	for _, set := range []string{"timezone to 'UTC'", "datestyle to 'ISO'", "intervalstyle to 'postgres'", "bytea_output to 'hex'", "client_min_messages to 'error'"} {
		if _, err := conn.Exec(ctx, "set "+set); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &server{conn: conn, db: db, tables: map[string]string{}}
}

// fatal is what testing.T and rapid.T share.
type fatal interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// table gives a table with one column c of that type.
func (s *server) table(t fatal, sqlType string) string {
	t.Helper()
	if name, ok := s.tables[sqlType]; ok {
		return name
	}
	name := fmt.Sprintf("t%d", len(s.tables))
	if _, err := s.conn.Exec(context.Background(), "create table "+name+" (c "+sqlType+")"); err != nil {
		t.Fatalf("create table: %v", err)
	}
	s.tables[sqlType] = name
	return name
}

// assign inserts a literal and gives the column's binary and text form, or the SQLSTATE of the refusal.
func (s *server) assign(t fatal, sqlType, literal string) (binary []byte, text, state string) {
	t.Helper()
	insert := "insert into " + s.table(t, sqlType) + " values ('" + strings.ReplaceAll(literal, "'", "''") + "') returning c, c"
	r := s.conn.PgConn().ExecParams(context.Background(), insert, nil, nil, nil, []int16{1, 0}).Read()
	var refused *pgconn.PgError
	switch {
	case errors.As(r.Err, &refused):
		return nil, "", refused.Code
	case r.Err != nil:
		t.Fatalf("insert: %v", r.Err)
	}
	return r.Rows[0][0], string(r.Rows[0][1]), ""
}

// stateOf is the SQLSTATE of a codec error.
func stateOf(err error) string {
	var e *codec.Error
	if errors.As(err, &e) {
		return e.SQLState
	}
	return ""
}

// agree compares everything that codec makes of a literal with what the server does.
func (s *server) agree(t fatal, sqlType, literal string) {
	t.Helper()
	typ, err := codec.ParseType(sqlType)
	if err != nil {
		t.Fatalf("%v", err)
	}
	want, text, state := s.assign(t, sqlType, literal)
	got, err := typ.EncodeText(nil, literal)
	if state != stateOf(err) {
		t.Errorf("%s %.200q: server answers SQLSTATE %q, codec %v", sqlType, literal, state, err)
		return
	}
	if err != nil {
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s %.200q:\nserver %.400x\ncodec  %.400x", sqlType, literal, want, got)
	}
	again, err := typ.EncodeBinary(nil, want)
	if err != nil || !bytes.Equal(again, want) {
		t.Errorf("%s %.200q: EncodeBinary of the server's bytes: %.200x, %v", sqlType, literal, again, err)
	}
	gotText, err := typ.AppendText(nil, want)
	if err != nil || string(gotText) != text {
		t.Errorf("%s %.200q: server prints %.200q, codec %.200q, %v", sqlType, literal, text, gotText, err)
	}
}

func TestServerAgreesOnLiterals(t *testing.T) {
	s := startServer(t)
	for sqlType, literals := range serverLiterals() {
		t.Run(sqlType, func(t *testing.T) {
			for _, literal := range literals {
				s.agree(t, sqlType, literal)
			}
		})
	}
}

// serverLiterals leaves out what only newer servers read: 1_000 and 0x10 (16), {{}} (17).
func serverLiterals() map[string][]string {
	long := strings.Repeat("é", 45)
	return map[string][]string{
		"text":        {"", "a", "  spaces  ", "naïve 日本語 🎉", `back\slash`, "line\nbreak\ttab", strings.Repeat("x", 100_000)},
		"varchar":     {"", "anything", long + long},
		"varchar(45)": {"", "a", long, long + "x", long + "   ", long + "  x", long[2:] + "   ", long + "\t", strings.Repeat(" ", 60)},
		"char":        {"", "a", "ab", "a ", " a", "日"},
		"char(5)":     {"", "a", "abcde", "abcdef", "abc  ", "abcde   ", "日本", "日本語日本語", "日本語日本  ", "  a", "     x"},
		"bytea":       {"", `\x`, `\x00ff10`, `\xDEAD beef`, "abc", `a\\b`, `a\001\377`, `\x1`, `\xzz`, `a\b`, `a\400`, `a\01`},
		"bool":        {"t", "true", "TRUE", " tru ", "y", "yes", "on", "1", "f", "false", "n", "no", "off", "of", "0", "o", "", "2", "truee", "null"},
		"int2":        {"0", "-1", "32767", "-32768", "32768", "-32769", " 5 ", "+5", "", "1.0", "abc", "99999999999999999999", "--1"},
		"int4":        {"0", "2147483647", "-2147483648", "2147483648", "-2147483649", "1e3", "\t7\n"},
		"int8":        {"0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "00012"},
		"float4": {
			"0", "-0", "1", "1.5", "3.14159274", "1e38", "3.4028235e38", "3.5e38", "1e-45", "1e-46", "NaN", "Infinity", "-Infinity", "inf", "-inf",
			"0.1", "1e5", "1e6", "123456", "1234567", "0.0001", "0.00001", "", "x", "1.2.3", "0e0", "16777217", "+1",
		},
		"float8": {
			"0", "-0", "1", "0.1", "1e15", "1e14", "123456789012345", "1234567890123456", "1e-4", "1e-5", "1.7976931348623157e308", "1e309", "-1e309", "5e-324",
			"1e-400", "NaN", "nan", "Infinity", "infinity", "+inf", "", "1e", "0_1", " 2.5 ", "9007199254740993", ".5", "5.",
		},
		"numeric": {
			"0", "-0", "0.00", "-0.00", "1", "-1", "10", "100", "1000", "10000", "100000000", "1.10", "0.1", "0.0001", "0.00001", "0.00010", "123456789.987654321",
			"1e2", "1.10e1", "1.10e5", "1e-5", "12345e-3", "1e100", "1e131071", "1e131072", "1e-16383", "1e-16384", "0e200", "0e-200", "0e-20000", "9999.9999",
			"NaN", "nan", "Infinity", "-Infinity", "inf", "+inf", ".5", "5.", "", ".", "1e", "e1", " 7 ", "+3", "- 3", "--3", "1.2.3", "+NaN",
			"10000.0000", "1234567890123456789012345678901234567890.0987654321",
		},
		"numeric(10,2)": {
			"1", "1.005", "1.004", "-1.005", "1.015", "0.005", "-0.005", "0.004", "-0.004", "99999999.994", "99999999.995", "-99999999.995", "100000000",
			"9.995", "99.995", "999.995", "NaN", "Infinity", "0", "1e7", "1e8", "1e-20000",
		},
		"numeric(5)":     {"1.5", "2.5", "-1.5", "99999.4", "99999.5", "0.4999", "12345"},
		"numeric(3,5)":   {"0.001", "0.00999", "0.009995", "0.01", "0.000005", "0.000004"},
		"numeric(3,-2)":  {"12345", "149", "150", "-150", "49", "50", "99949", "99950", "0"},
		"date":           {"2001-02-03", "2000-01-01", "1999-12-31", "0001-01-01", "0001-01-01 BC", "4714-11-24 BC", "4714-11-23 BC", "4713-01-01 BC", "5874897-12-31", "5874898-01-01", "10000-01-01", "infinity", "-infinity", "2000-02-29", "1900-02-29", "2001-02-30", "2001-13-01", "2001-00-01", "0000-01-01", "2001-02-03 04:05:06", "2001-02-03T04:05:06.7+02", "2001-2-3", " 2001-02-03 ", "0044-03-15 bc", "2001-02-03 24:00:00", "2001-02-03 AD", "2001-02-03T", "20x1-02-03", "2001-02", "2001-02-03 ab:cd", "2001-02-03 04:05:0x"},
		"time":           {"04:05", "04:05:06", "04:05:06.789", "00:00:00", "23:59:59.999999", "23:59:59.9999999", "24:00:00", "24:00:00.000001", "24:01:00", "23:60:00", "23:59:60", "23:59:61", "25:00", "04:05:06.1234565", "04:05:06.1234575", "04:05:06.0000005", "", "abc"},
		"time(3)":        {"04:05:06.7894", "04:05:06.7895", "04:05:06.789501", "23:59:59.9995", "23:59:59.9994"},
		"time(0)":        {"23:59:59.5", "00:00:00.5", "00:00:00.499999"},
		"timestamp":      {"2001-02-03 04:05:06", "2001-02-03T04:05:06.789", "2001-02-03", "2001-02-03 04:05:06+02", "1999-12-31 23:59:59.999999", "1969-07-20 20:17:40.1234565", "0044-03-15 00:00:00 BC", "4714-11-24 00:00:00 BC", "4714-11-23 23:59:59 BC", "294276-12-31 23:59:59.999999", "294277-01-01", "infinity", "-infinity", "2001-02-03 24:00:00", "2001-02-03 23:59:60", "2001-02-30 00:00:00", "2001-02-03 25:00:00", "2001-02-03 04:60:00", "1970-01-01 00:00:00.000001"},
		"timestamp(3)":   {"2001-02-03 04:05:06.7894", "2001-02-03 04:05:06.7895", "1999-12-31 23:59:59.9995", "1999-12-31 23:59:59.9994", "1999-12-31 23:59:59.4995", "infinity"},
		"timestamp(0)":   {"2000-01-01 00:00:00.5", "1999-12-31 23:59:58.5", "1999-12-31 23:59:59.5", "1999-12-31 23:59:59.499999"},
		"timestamptz":    {"2001-02-03 04:05:06+00", "2001-02-03 04:05:06Z", "2001-02-03T04:05:06.789+05:30", "2001-02-03 04:05:06 -0330", "2001-02-03 04:05:06+01:02:03", "2001-02-03 04:05:06 UTC", "0044-03-15 00:00:00+00 BC", "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "294276-12-31 23:59:59.999999-01", "4714-11-24 00:00:00+01 BC", "infinity", "2001-02-03 04:05:06+15:59", "2001-02-03 04:05:06+16", "2001-02-03 04:05:06+01:02:03:04", "2001-02-03 04:05:06+1x", "2001-02-03 04:05:06+01:60"},
		"timestamptz(2)": {"2001-02-03 04:05:06.785+00", "2001-02-03 04:05:06.784999+00", "1990-02-03 04:05:06.785+00"},
		"interval": {
			"1 year 2 mons -3 days 04:05:06.789", "1 mon", "30 days", "24:00:00", "-24:00:00", "00:00:00", "1 year", "-1 year", "-1 year -2 mons +3 days -04:05:06", "-1 days +02:03:00", "1 day -00:00:01",
			"P1Y2M-3DT4H5M6.789S", "PT1H", "PT-0.5S", "P1W", "-00:00:00.5", "100:00:00", "1 week", "2 weeks 3 days", "5 seconds", "1.5 seconds", "-1.5 secs", "10 ms", "7 us",
			"@ 1 year 2 mons ago", "@ 1 min", "1 day 12:30", "178956970 years 7 mons", "178956971 years", "2147483647 days", "2147483648 days", "2562047788:00:54.775807", "99999999999:00:00",
			"", "abc", "1 parsec", "1.2.3 s", "P", "PT", "P1YT", "PT1HT1M", "P1H", "-178956971 years", "2147483648 mons", "2147483640 mons 8 mons", "-2 mons 1 day", "12 mons", "-13 mons", "1x:00", "1.5:00", "1:99", "1:00:99", "1:xx", "+1:00", "2562047789:00", "99999999999999999999:00", "1 min 1 sec 3 hours", ".5 s", "-0.5 s", "1. s", "-2147483648 days ago",
		},
		"interval(3)": {"1.0005 s", "1.0004 s", "-1.0005 s", "1 day 00:00:00.9995"},
		"uuid":        {"00112233-4455-6677-8899-aabbccddeeff", "00112233445566778899AABBCCDDEEFF", "{00112233-4455-6677-8899-aabbccddeeff}", "0011-2233-4455-6677-8899-aabb-ccdd-eeff", "001122334455-66778899aabbccddeeff", "", "00112233-4455-6677-8899-aabbccddeef", "0011223-34455-6677-8899-aabbccddeeff", "{00112233-4455-6677-8899-aabbccddeeff", "g0112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff-", "-00112233445566778899aabbccddeeff", "0011--2233445566778899aabbccddeeff"},
		"json":        jsonLiterals(),
		"jsonb":       jsonLiterals(),
		"inet":        {"1.2.3.4", "1.2.3.4/24", "1.2.3.4/32", "0.0.0.0/0", "::1", "::", "2001:db8::1/64", "2001:DB8:0:0:1:0:0:1", "::ffff:1.2.3.4", "::ffff:1.2.3.4/120", "::1.2.3.4", "::0.1.0.0", "::0.0.1.2", "fe80::1/10", "1:2:3:4:5:6:7:8", "1:0:3:0:5:0:7:0", "::ffff:0:0", "0:0:0:0:0:fffe:1:2", "1.2.3.256", "1.2.3.4/33", "::1/129", "fe80::1%eth0", "", "abc"},
		"int4[]":      {"{}", "{1}", "{1,2,3}", "{1,NULL,3}", "{null}", " { 1 , 2 } ", "{{1,2},{3,4}}", "{{{1},{2}},{{3},{4}}}", "[0:2]={1,2,3}", "[-1:0][2:3]={{1,2},{3,4}}", "{1,2", "1,2", "{1,,2}", "{1,}", "{,1}", "{{1,2},{3}}", "{{1},2}", "{1,{2}}", "{1}x", "[1:2]={1}", "[1:1]={1,2}", "[2]={1,2}", "{{{{{{1}}}}}}", "{{{{{{{1}}}}}}}", `{"1"}`, "{x}", "{2147483648}", "[2:1]={}", "[x]={1}", "[1:x]={1}", "[1={1}", "[1:2147483647]={1}", "[1:1]{1}", "{1,{}}", "[1:1][1:1][1:1][1:1][1:1][1:1][1:1]={{{{{{{1}}}}}}}", "", "{", "}", "{1}}"},
		"text[]":      {`{a,b}`, `{"a b","c,d","e\"f","g\\h","","NULL",NULL}`, `{ a b , c }`, `{"null",nullx}`, `{a\ }`, `{"{}"}`, "{\"tab\there\"}", `{日本,"語 "}`, `{"a"b}`, `{a"b"}`, `{a{b}`, `{a\,b}`, `{"unterminated}`, `{\"}`, `{NuLl}`, `{a,,b}`, `{,}`, `{a,}`, `{a\`, `{"a\`, `{"a"`, `{"a",}`, `{ }`, `{a b , c d}`, `{N\ULL}`},
		"varchar(3)[]": {
			"{abc,de}", "{abcd}", `{"abc  "}`,
		},
		"char(3)[]":      {"{a,bc}", "{abcd}"},
		"numeric(6,2)[]": {"{1,2.005,NULL}", "{10000}", "{NaN}"},
		"bool[]":         {"{t,f,NULL,true}"},
		"bytea[]":        {`{"\\x00ff",abc,NULL}`},
		"float8[]":       {"{1.5,NaN,-Infinity}"},
		"date[]":         {"{2001-02-03,infinity,NULL}"},
		"time(2)[]":      {"{04:05:06.785}"},
		"timestamp[]":    {`{"2001-02-03 04:05:06"}`},
		"timestamptz(0)[]": {
			`{"2001-02-03 04:05:06.5+00",infinity}`,
		},
		"interval[]": {`{"1 day","@ 1 mon ago",04:05:06}`},
		"uuid[]":     {"{00112233-4455-6677-8899-aabbccddeeff}"},
		"json[]":     {`{"{\"b\": 1}","[1]"}`},
		"jsonb[]":    {`{"{\"b\":1,\"a\":2}","[1,2]",null}`},
		"inet[]":     {"{1.2.3.4,::1/64}"},
		"int2[]":     {"{1,-1}"},
		"int8[]":     {"{9223372036854775807}"},
		"float4[]":   {"{0.1}"},
	}
}

func jsonLiterals() []string {
	return []string{
		`null`, `true`, `false`, `0`, `-0`, `-0.0`, `1.10`, `1e2`, `1E+2`, `1.5e-3`, `1e400`, `1e131071`, `1e131072`, `1e-16383`, `1e-16384`, `123456789012345678901234567890`,
		`""`, `"a"`, `"é"`, `"\u00e9"`, `"\ud83c\udf89"`, `"\ud83c"`, `"\udf89"`, `"\ud83cx"`, `"\ud83c\u0041"`, `"\u0000"`, `"\u0001\u001f\u007f"`, `"\b\f\n\r\t\/\\\""`, `"a/b"`, `"\x"`, `"\u12"`, `"\u+123"`, `"`,
		`[]`, `[ ]`, `[1,2]`, ` [ 1 , [ ] , { } ] `, `[1,]`, `[,1]`, `[1 2]`, `{}`, `{ }`, `{"a":1}`, `{"b":1,"a":2}`, `{"bb":1,"a":2,"":3}`, `{"a":1,"a":2}`, `{"a":1,"b":2,"a":{"z":1,"y":2}}`,
		`{"é":1,"zz":2,"z":3}`, `{"\u0061":1,"a":2}`, `{"a\nb":1}`, `{"a"}`, `{a:1}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `{"x":[{"b":1,"a":[{"d":1,"c":2}]},3]}`, `{"k":"v"} `, `{"k":"v"}x`, `tru`, `nul`, `+1`, `01`, `.5`, `1.`, `-`, `1e`, `NaN`, ``, ` `,
		"\"tab\tinside\"", `{"a":[1,2,{"c":{},"b":[]}],"b":{"aa":null,"b":true}}`, `[[[[[[[[[[1]]]]]]]]]]`, "\n\t\r {\"a\"\n:\t1\r}", "\u00a01",
	}
}

// decimalLiteral draws numbers with long runs of zeros and nines, where rounding and grouping go wrong first.
func decimalLiteral() *rapid.Generator[string] {
	return rapid.StringMatching(`-?(0|[1-9][0-9]{0,12}|9{1,12}|10{1,12})(\.[0-9]{0,9}|\.9{1,9}|\.0{1,9}[0-9]|\.[0-9]{0,4}5)?(e-?[0-9])?`)
}

func momentLiteral() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		year := rapid.OneOf(rapid.IntRange(1, 9999), rapid.IntRange(1990, 2030), rapid.IntRange(10000, 294276)).Draw(t, "year")
		s := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", year, rapid.IntRange(1, 12).Draw(t, "m"), rapid.IntRange(1, 31).Draw(t, "d"),
			rapid.IntRange(0, 24).Draw(t, "h"), rapid.IntRange(0, 59).Draw(t, "min"), rapid.IntRange(0, 60).Draw(t, "s"))
		s += rapid.StringMatching(`(\.[0-9]{1,9})?`).Draw(t, "fraction")
		s += rapid.StringMatching(`\+0[0-9](:[0-5][0-9])?|-1[0-4]`).Draw(t, "zone")
		if year < 4713 && rapid.Bool().Draw(t, "bc") {
			s += " BC"
		}
		return s
	})
}

func intervalLiteral() *rapid.Generator[string] {
	return rapid.StringMatching(`(-?[0-9]{1,4} years? )?(-?[0-9]{1,3} mons? )?(-?[0-9]{1,5} days? )?-?[0-9]{1,5}:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,8})?`)
}

// jsonDocument draws valid documents, with odd spacing, equal keys and escapes.
func jsonDocument(depth int) *rapid.Generator[string] {
	space := rapid.StringMatching(`[ \n\t]?`)
	text := rapid.OneOf(
		rapid.StringMatching(`"([a-c]|é|\\u00e9|\\n|\\"|\\/|\\u001f|\\ud83d\\ude00|日){0,4}"`),
		rapid.StringMatching(`"[a-b]{0,3}"`))
	scalar := rapid.OneOf(
		text, rapid.SampledFrom([]string{"null", "true", "false"}),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?`))
	if depth == 0 {
		return scalar
	}
	return rapid.Custom(func(t *rapid.T) string {
		sp := func() string { return space.Draw(t, "space") }
		shape := rapid.IntRange(0, 3).Draw(t, "shape")
		if shape == 0 {
			return sp() + scalar.Draw(t, "scalar") + sp()
		}
		var items []string
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			item := sp() + jsonDocument(depth-1).Draw(t, "item") + sp()
			if shape > 1 {
				item = sp() + text.Draw(t, "key") + sp() + ":" + item
			}
			items = append(items, item)
		}
		if shape > 1 {
			return "{" + sp() + strings.Join(items, ",") + "}"
		}
		return "[" + sp() + strings.Join(items, ",") + "]"
	})
}

func arrayLiteral() *rapid.Generator[string] {
	elem := rapid.StringMatching(`[a-c ]{1,4}|"[a-c ,{}]{0,4}"|"\\\\"|NULL|日|a\\ |"a\\"b"`)
	return rapid.Custom(func(t *rapid.T) string {
		list := func() string {
			return "{" + strings.Join(rapid.SliceOfN(elem, 2, 2).Draw(t, "elems"), ",") + "}"
		}
		if rapid.Bool().Draw(t, "nested") {
			return "{" + list() + "," + list() + "}"
		}
		return list()
	})
}

func TestServerAgreesOnRandomValues(t *testing.T) {
	s := startServer(t)
	word := rapid.StringMatching(`([a-z]|é|日|🎉| ){0,6} {0,4}`)
	float := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%g", math.Float64frombits(rapid.Uint64().Draw(t, "bits")))
	})
	float4 := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%g", math.Float32frombits(rapid.Uint32().Draw(t, "bits")))
	})
	for sqlType, literals := range map[string]*rapid.Generator[string]{
		"numeric": decimalLiteral(), "numeric(10,2)": decimalLiteral(), "numeric(12,-3)": decimalLiteral(), "numeric(4,6)": decimalLiteral(),
		"timestamptz": momentLiteral(), "timestamptz(4)": momentLiteral(), "timestamp": momentLiteral(), "timestamp(1)": momentLiteral(), "date": momentLiteral(),
		"interval": intervalLiteral(), "interval(2)": intervalLiteral(),
		"jsonb": jsonDocument(4), "json": jsonDocument(3),
		"varchar(4)": word, "char(4)": word, "text[]": arrayLiteral(), "varchar(2)[]": arrayLiteral(),
		"float8": float, "float4": float4,
	} {
		t.Run(sqlType, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { s.agree(t, sqlType, literals.Draw(t, "literal")) })
		})
	}
}

func TestServerAgreesOnGoValues(t *testing.T) {
	s := startServer(t)
	local := time.FixedZone("somewhere", 5*3600+1800)
	at := time.Date(2001, 2, 3, 4, 5, 6, 789_012_345, local)
	for sqlType, values := range map[string][]any{
		"text":        {"a", "", pgtype.Text{String: "x", Valid: true}},
		"bool":        {true, false},
		"int2":        {int16(-7)},
		"int8":        {int64(math.MinInt64), 12, uint32(9)},
		"float8":      {1.5, math.Inf(-1), math.Copysign(0, -1)},
		"numeric":     {"1.10", pgtype.Numeric{NaN: true, Valid: true}, pgtype.Numeric{InfinityModifier: pgtype.Infinity, Valid: true}, 123.25, uint64(math.MaxUint64)},
		"date":        {at, pgtype.Date{InfinityModifier: pgtype.NegativeInfinity, Valid: true}},
		"time":        {pgtype.Time{Microseconds: 86400000000, Valid: true}, at},
		"timestamp":   {at, pgtype.Timestamp{InfinityModifier: pgtype.Infinity, Valid: true}},
		"timestamptz": {at, pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}},
		"interval":    {90 * time.Minute, pgtype.Interval{Months: 1, Days: -2, Microseconds: 3, Valid: true}},
		"uuid":        {[16]byte{1, 2, 3}},
		"jsonb":       {map[string]any{"b": 1, "a": []int{1}}, struct{ A, B int }{1, 2}},
		"int4[]":      {[]int32{1, 2}, [][]int32{{1, 2}, {3, 4}}, []*int32{nil}, []int32{}},
		"text[]":      {[]string{"a", ""}},
	} {
		t.Run(sqlType, func(t *testing.T) {
			typ, _ := codec.ParseType(sqlType)
			for _, v := range values {
				var want []byte
				rows, err := s.conn.Query(context.Background(), "insert into "+s.table(t, sqlType)+" values ($1) returning c", pgx.QueryResultFormats{1}, v)
				if err == nil && rows.Next() {
					want = bytes.Clone(rows.RawValues()[0])
				}
				rows.Close()
				if rows.Err() != nil {
					t.Fatalf("%v: %v", v, rows.Err())
				}
				got, _, err := typ.Encode(nil, v)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%T %v: through pgx the server has %x, codec %x, %v", v, v, want, got, err)
				}
			}
		})
	}
}

func TestNaturalGivesWhatTheDriverGives(t *testing.T) {
	s := startServer(t)
	for sqlType, literal := range map[string]string{
		"text": "a", "varchar(5)": "b", "char(3)": "c", "bytea": `\x01`, "bool": "t", "int2": "1", "int4": "2", "int8": "3", "float4": "0.1", "float8": "0.2",
		"numeric(5,2)": "1.5", "date": "2001-02-03", "time": "04:05:06.7", "timestamp": "2001-02-03 04:05:06", "timestamptz": "2001-02-03 04:05:06+02",
		"interval": "1 day 02:00:00", "uuid": "00112233-4455-6677-8899-aabbccddeeff", "json": `{"a":1}`, "jsonb": `{"a":1}`, "inet": "1.2.3.4/8",
		"int4[]": "{1,NULL}", "text[]": `{"a b"}`,
	} {
		t.Run(sqlType, func(t *testing.T) {
			typ, _ := codec.ParseType(sqlType)
			var want any
			if err := s.db.QueryRow("select '" + literal + "'::" + sqlType).Scan(&want); err != nil {
				t.Fatal(err)
			}
			src, err := typ.EncodeText(nil, literal)
			if err != nil {
				t.Fatal(err)
			}
			got, err := typ.Natural(src)
			if err != nil {
				t.Fatal(err)
			}
			if wt, ok := want.(time.Time); ok {
				want = wt.UTC()
			}
			if fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
				t.Errorf("codec gives %T %v, the driver %T %v", got, got, want, want)
			}
		})
	}
}

func TestTypeAgreesWithTheCatalog(t *testing.T) {
	s := startServer(t)
	for sqlType := range serverLiterals() {
		typ, _ := codec.ParseType(sqlType)
		var oid uint32
		var modifier int32
		err := s.conn.QueryRow(context.Background(),
			"select atttypid, atttypmod from pg_attribute where attrelid = $1::text::regclass and attname = 'c'", s.table(t, sqlType)).Scan(&oid, &modifier)
		if err != nil {
			t.Fatal(err)
		}
		if typ.OID() != oid || typ.Modifier() != modifier {
			t.Errorf("%s: OID %d and modifier %d, the catalog has %d and %d", sqlType, typ.OID(), typ.Modifier(), oid, modifier)
		}
	}
}
