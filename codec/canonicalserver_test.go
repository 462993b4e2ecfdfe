package codec_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/codec"
)

// guises draws literals from few values in many guises, so that two of them are often equal, and seldom the same.
func guises() map[string]*rapid.Generator[string] {
	whole := rapid.StringMatching(` ?[+-]?0{0,2}[0-3] ?|-?3276[78]|3276[89]|-?[1-9][0-9]{0,3}`)
	float := rapid.OneOf(
		rapid.StringMatching(`-?0(\.0)?|[+-]?0?1(\.00|e0|\.5|\.50)?|10e-1|-?inf|-?Infinity|nan|NaN`),
		rapid.StringMatching(`-?[0-2]\.[0-9]{1,9}(e-?[0-9])?`),
		rapid.SampledFrom([]string{"0.1", "0.10000000149011612", "0.100000001", "16777216", "16777217", "1e-40"}))
	number := rapid.OneOf(
		rapid.StringMatching(`-?0(\.0{1,6})?|[+-]?0{0,5}10{0,4}(\.0{0,6}|\.10{0,5})?|-?inf|nan|1e[0-4]|10{1,9}e-[1-9]`),
		rapid.StringMatching(`-?[01]?\.0{0,9}[12]0{0,9}`),
		decimalLiteral(),
		rapid.SampledFrom([]string{"1e131071", "10e131070", "1.0e131071", "1e-16383", "0.1e-16382", "1.005", "1.0050", "1.01"}))
	clock := rapid.StringMatching(`(2[34]|00):00:00|0[12]:[0-5]0(:00(\.[05]0{0,5}|\.78912[0-3])?)?`)
	day := rapid.StringMatching(`2001-02-0[3-4]|0001-01-0[12]( BC)?|infinity|-infinity`)
	stamp := rapid.OneOf(rapid.StringMatching(`2001-02-0[34][T ](2[34]|00):00:00(\.0{1,6}|\.0005)?(Z|\+00|\+01|-01:00)?`), rapid.SampledFrom([]string{"infinity", "-infinity"}))
	zoned := rapid.OneOf(rapid.StringMatching(`2001-02-0[34][T ](2[23]|0[01]):00:00(\.0{1,6}|\.0005)?(Z|\+00|\+01|-01:00)`), rapid.SampledFrom([]string{"infinity", "-infinity"}))
	span := rapid.OneOf(
		rapid.StringMatching(`(-?[0-2] mons? )?(-?(0|30|60|29) days? )?-?(0|24|48|720|1440|00):00:00(\.0{1,3})?`),
		rapid.StringMatching(`(-?[0-2] mons? )?(-?[0-3] days? )?-?(0|24|48|72):00:00`),
		rapid.SampledFrom([]string{
			"1 mon", "30 days", "720 hours", "1 day", "24 hours", "@ 1 mon", "1 year", "12 mons", "360 days", "365 days", "0", "-1 mon", "-30 days", "178956970 years 7 mons",
			"2147483647 mons", "2147483647 days 2147483640 mons", "2147483617 days 2147483641 mons", "2562047788:00:54.775807", "106751991 days 04:00:54.775807", "-2147483648 days -2147483648 mons",
		}))
	bytesOf := rapid.StringMatching(`(\\x)?(61|00){0,2}|\\x61 ?61|a{0,2}|\\141`)
	word := rapid.StringMatching(`[aAé]{0,2} {0,3}|a| a`)
	uid := rapid.StringMatching(`0011-?2233-?4455-?6677-?8899-?[aA]{2}bb-?ccddee[fF][01]|\{00112233-4455-6677-8899-aabbccddee[fF][01]\}`)
	addr := rapid.StringMatching(`1\.2\.3\.[45](/24|/32)?|(::|0::0:)(1|01|1\.2\.3\.4|ffff:1\.2\.3\.4|[fF]{4}:0102:0304)(/64|/128)?|10\.0\.0\.0/8`)
	element := rapid.StringMatching(`0?1|NULL|\+?2|"1"`)
	dims := rapid.SampledFrom([]string{"", "", "[0:1]=", "[1:2]="})
	array := rapid.Custom(func(t *rapid.T) string {
		a, b := element.Draw(t, "a"), element.Draw(t, "b")
		return rapid.OneOf(rapid.Just(dims.Draw(t, "dims")+"{"+a+", "+b+"}"), rapid.Just("{{"+a+"},{"+b+"}}"), rapid.Just("{"+a+"}"), rapid.Just("{}"), rapid.Just(" { } ")).Draw(t, "array")
	})
	return map[string]*rapid.Generator[string]{
		"int2": whole, "int4": whole, "int8": whole, "float4": float, "float8": float, "numeric": number, "numeric(10,2)": number,
		"text": word, "varchar": word, "varchar(2)": word, "char(3)": word, "bpchar": word, "bytea": bytesOf,
		"bool": rapid.SampledFrom([]string{"t", "true", "1", "on", "f", "no", "false", "0"}),
		"date": day, "time": clock, "time(3)": clock, "timestamp": stamp, "timestamp(3)": stamp, "timestamptz": zoned, "timestamptz(3)": zoned,
		"interval": span, "interval(0)": span, "uuid": uid, "inet": addr, "jsonb": documentGuise(),
		"int2[]": array, "int4[]": array, "text[]": array, "numeric[]": array, "float8[]": array, "char(2)[]": array, "jsonb[]": array,
	}
}

// documentGuise draws documents of a few shapes, whose members come in any order and more than once.
func documentGuise() *rapid.Generator[string] {
	scalar := rapid.StringMatching(`-?0(\.0)?|1(\.0{0,2}0|e0)?|10e-1|"a"|"\\u0061"|null|true|\[ ?\]|\{ ?\}|\[1(\.0)?,2\]|"1"`)
	member := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{`"a"`, ` "b" `, `"\u0061"`, `"bb"`}).Draw(t, "key") + ": " + scalar.Draw(t, "value")
	})
	return rapid.OneOf(
		scalar,
		jsonDocument(2),
		rapid.Custom(func(t *rapid.T) string {
			return "{" + strings.Join(rapid.SliceOfN(member, 0, 3).Draw(t, "members"), " ,") + "}"
		}))
}

// pair is two literals and what we say of them.
type pair struct {
	a, b  string
	equal bool
}

// ask lets the server compare the pairs, as left = right.
func (s *server) ask(t fatal, left, right string, pairs []pair) []bool {
	t.Helper()
	var a, b []string
	for _, p := range pairs {
		a, b = append(a, p.a), append(b, p.b)
	}
	query := fmt.Sprintf("select a::%s = b::%s from unnest($1::text[], $2::text[]) with ordinality u (a, b, n) order by n", left, right)
	rows, err := s.conn.Query(context.Background(), query, a, b)
	if err != nil {
		t.Fatalf("%v", err)
	}
	answers, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		t.Fatalf("%s = %s: %v", left, right, err)
	}
	return answers
}

// tally counts the answers, so that a test that only saw unequal values fails.
type tally struct{ equal, unequal int }

func (s *server) compare(t fatal, left, right string, pairs []pair, seen *tally) {
	t.Helper()
	for i, equal := range s.ask(t, left, right, pairs) {
		if p := pairs[i]; p.equal != equal {
			t.Fatalf("%q::%s = %q::%s is %v on the server, %v here", p.a, left, p.b, right, equal, p.equal)
		}
		if equal {
			seen.equal++
		} else {
			seen.unequal++
		}
	}
}

const pairsAtOnce = 40

// drawPairs draws pairs that both types can hold; form makes what is compared of each side.
func drawPairs(t *rapid.T, a, b *rapid.Generator[string], left, right func(string) []byte) (pairs []pair) {
	for range pairsAtOnce {
		x := a.Draw(t, "a")
		y := x
		if rapid.IntRange(0, 9).Draw(t, "same") > 0 {
			y = b.Draw(t, "b")
		}
		cx, cy := left(x), right(y)
		if cx != nil && cy != nil {
			pairs = append(pairs, pair{x, y, bytes.Equal(cx, cy)})
		}
	}
	return pairs
}

// canonicalOf gives nil for a literal that is none of typ's.
func canonicalOf(t *rapid.T, typ codec.Type) func(string) []byte {
	return func(literal string) []byte {
		plain, err := typ.EncodeText(nil, literal)
		if err != nil {
			return nil
		}
		out, err := typ.Canonical(nil, plain)
		if err != nil {
			t.Fatalf("%s %q: %v", typ, literal, err)
		}
		return out
	}
}

// TestServerAgreesOnEquality compares values of two types of one family.
func TestServerAgreesOnEquality(t *testing.T) {
	s := startServer(t)
	generators := guises()
	for left, right := range map[string]string{
		"int2": "int8", "int4": "int2", "int8": "int8", "float4": "float8", "float8": "float8", "numeric": "numeric", "text": "varchar", "varchar(2)": "text",
		"bpchar": "char(3)", "bytea": "bytea", "bool": "bool", "date": "date", "time": "time", "timestamp": "timestamp", "timestamptz": "timestamptz",
		"interval": "interval", "uuid": "uuid", "inet": "inet", "jsonb": "jsonb", "int4[]": "int4[]", "text[]": "text[]", "numeric[]": "numeric[]",
		"float8[]": "float8[]", "char(2)[]": "char(2)[]", "jsonb[]": "jsonb[]", "char(3)": "text",
	} {
		t.Run(left+" and "+right, func(t *testing.T) {
			var seen tally
			rapid.Check(t, func(t *rapid.T) {
				lt, _ := codec.ParseType(left)
				rt, _ := codec.ParseType(right)
				pairs := drawPairs(t, generators[left], generators[right], canonicalOf(t, lt), canonicalOf(t, rt))
				s.compare(t, left, right, pairs, &seen)
			})
			if seen.equal < 100 || seen.unequal < 100 {
				t.Errorf("%d equal and %d unequal pairs prove little", seen.equal, seen.unequal)
			}
		})
	}
}

// TestServerAgreesOnComparands compares what a column holds with an operand of the type without its modifier.
func TestServerAgreesOnComparands(t *testing.T) {
	s := startServer(t)
	generators := guises()
	for column, operand := range map[string]string{
		"int2": "int8", "float4": "float4", "numeric(10,2)": "numeric", "varchar(2)": "varchar", "char(3)": "bpchar", "time(3)": "time",
		"timestamp(3)": "timestamp", "timestamptz(3)": "timestamptz", "interval(0)": "interval", "jsonb": "jsonb", "char(2)[]": "bpchar[]",
	} {
		t.Run(column, func(t *testing.T) {
			var seen tally
			rapid.Check(t, func(t *rapid.T) {
				ct, _ := codec.ParseType(column)
				right := func(literal string) []byte {
					out, null, err := ct.Comparand(nil, literal)
					if err != nil || null {
						return nil
					}
					return out
				}
				pairs := drawPairs(t, generators[column], generators[strings.Replace(operand, "bpchar[]", "char(2)[]", 1)], canonicalOf(t, ct), right)
				s.compare(t, column, operand, pairs, &seen)
			})
			if seen.equal < 100 || seen.unequal < 100 {
				t.Errorf("%d equal and %d unequal pairs prove little", seen.equal, seen.unequal)
			}
		})
	}
}

// TestCharBesideVarchar keeps the one difference that the documentation names: the server takes both for char.
func TestCharBesideVarchar(t *testing.T) {
	s := startServer(t)
	if s.ask(t, "char(3)", "varchar", []pair{{a: "a", b: "a "}})[0] == bytes.Equal(canonical(t, "char(3)", "a"), canonical(t, "varchar", "a ")) {
		t.Error("the server now agrees; correct the documentation of Canonical")
	}
	if !s.ask(t, "char(3)", "varchar", []pair{{a: "a", b: "a"}})[0] || !bytes.Equal(canonical(t, "char(3)", "a"), canonical(t, "varchar", "a")) {
		t.Error("a char without padding does not equal its varchar")
	}
}
