package pgtext_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

var scalars = []string{
	"text", "varchar", "bpchar", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric",
	"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet",
}

func allTypes() []string {
	var all []string
	for _, name := range scalars {
		all = append(all, name, name+"[]")
	}
	return all
}

// columns makes a table for each type, with one column c, and names it by the type's OID.
func (s *server) columns(t fatal, names []string) {
	t.Helper()
	for _, name := range names {
		s.exec(t, "create table if not exists "+tableOf(t, name)+" (c "+name+")")
	}
}

func tableOf(t fatal, name string) string {
	typ := typeOf(t, name)
	return fmt.Sprintf("t%d_%d", typ.OID(), typ.Modifier()+1)
}

func (s *server) accepts(t fatal, sql string) bool {
	t.Helper()
	_, state := s.query(t, "explain "+sql, 25, 0, nil, 0)
	return state == ""
}

// TestTheServerAssignsTheSameTypes asks a server about every pair of types.
func TestTheServerAssignsTheSameTypes(t *testing.T) {
	s := startServer(t)
	s.columns(t, allTypes())
	for _, column := range allTypes() {
		for _, operand := range append(allTypes(), "name") {
			typ, oid := typeOf(t, column), uint32(19)
			if operand != "name" {
				oid = typeOf(t, operand).OID()
			}
			want := s.accepts(t, "insert into "+tableOf(t, column)+" select null::"+operand+" where $1 is null")
			if got := pgtext.CanAssign(oid, typ); got != want {
				t.Errorf("%s to a column of %s: server %t, pgtext %t", operand, column, want, got)
			}
			if pgtext.CanCompare(oid, typ) && !s.accepts(t, "select 1 from "+tableOf(t, column)+" where c = null::"+operand+" and $1 is null") {
				t.Errorf("%s = %s: the server has no such comparison", column, operand)
			}
		}
	}
	for _, oid := range []uint32{0, 705} {
		if !pgtext.CanAssign(oid, typeOf(t, "int4")) || !pgtext.CanCompare(oid, typeOf(t, "int4")) || pgtext.CanCompare(oid, typeOf(t, "json")) {
			t.Errorf("type %d is not what the column is", oid)
		}
	}
	if pgtext.CanAssign(99999, typeOf(t, "text")) || pgtext.CanAssign(25, codec.Type{}) || pgtext.CanCompare(99999, typeOf(t, "text")) {
		t.Error("an unknown type is assigned")
	}
}

// samples are texts of values, where casts round, overflow, pad or cut.
var samples = map[string][]string{
	"text": {"a", "", "ab  ", "abcdef", "日本語", "1"}, "varchar": {"ab ", "abcd", ""}, "bpchar": {"ab ", "abcd", "a"}, "name": {"ab ", "abcdef"},
	"bytea": {`\x00ff`, `a\\b`}, "bool": {"t", "f"},
	"int2": {"0", "-1", "32767"}, "int4": {"0", "7", "-1", "32768", "2147483647", "16777217"}, "int8": {"0", "7", "9223372036854775807", "-9223372036854775808", "9007199254740993", "16777217"},
	"float4":  {"0", "-0", "0.1", "1.5", "2.5", "7", "16777216", "1e10", "1e30", "NaN", "Infinity"},
	"float8":  {"0", "0.1", "0.10000000149011612", "-2.5", "3.5", "7", "32767.5", "1e15", "9007199254740992", "9007199254740994", "9223372036854775807", "1e300", "1e-300", "NaN", "-Infinity", "123456789.123456789"},
	"numeric": {"0", "0.1", "0.10", "-0.5", "1.5", "2.5", "7", "7.00", "7.000000000000000001", "32767.5", "9223372036854775807.4", "9223372036854775807.5", "-9223372036854775808", "1e400", "NaN", "Infinity", "16777217"},
	"date":    {"2020-03-29", "2020-10-25", "2000-01-01", "infinity", "-infinity", "5874897-12-31", "4714-11-24 BC", "294277-01-01"},
	"time":    {"00:00", "04:05:06.789", "24:00:00"},
	"timestamp": {
		"2020-03-29 00:00", "2020-03-29 02:30", "2020-10-25 02:30", "2000-01-01 04:05:06.789012", "infinity", "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC", "2000-01-01",
	},
	"timestamptz": {"2020-03-28 23:00+00", "2020-03-29 00:30+00", "2020-10-25 00:30+00", "2000-01-01 04:05:06.789012+00", "1999-12-31 23:00+00", "-infinity", "294276-12-31 23:59:59.999999+00", "4714-11-24 00:00:00+00 BC"},
	"interval":    {"00:00", "1 day", "-1 hour", "25:00:00.7896", "04:05:06.789", "1 mon", "24:00:00"},
	"uuid":        {"00112233-4455-6677-8899-aabbccddeeff"}, "json": {`{"b": 1,  "a": 2}`, `"a"`}, "jsonb": {`{"b": 1,  "a": 2}`, `"a"`},
	"inet":   {"1.2.3.4", "1.2.3.4/24", "::1"},
	"int4[]": {"{1,NULL,70000}", "{}"}, "int8[]": {"{1,2}", "[0:1]={9223372036854775807,1}"}, "float8[]": {"{1.5,2.5}"}, "text[]": {"{a,bcdef,NULL}"}, "bpchar[]": {`{"ab ",c}`}, "timestamptz[]": {`{"2020-03-29 00:30+00"}`}, "bool[]": {"{t,f}"}, "inet[]": {"{1.2.3.4}"},
}

// values gives the two wire forms that the server has of a type's samples.
func (s *server) values(t fatal, name string) (texts, binaries [][]byte) {
	t.Helper()
	for _, sample := range samples[name] {
		for format, list := range []*[][]byte{&texts, &binaries} {
			rows, state := s.query(t, "select $1::text::"+name, 25, 0, []byte(sample), int16(format))
			if state != "" {
				t.Fatalf("%s %q: %s", name, sample, state)
			}
			*list = append(*list, rows[0])
		}
	}
	return texts, binaries
}

var (
	settingsOfCasts       = words{"Postgres, DMY", "Europe/Berlin", "sql_standard", "escape", "-3"}
	settingsOfComparisons = words{"ISO, DMY", "Europe/Berlin", "postgres", "hex", "1"}
)

func oidOf(t fatal, name string) uint32 {
	if name == "name" {
		return 19
	}
	return typeOf(t, name).OID()
}

// TestTheServerCastsTheSame assigns the samples of every type to columns of every other.
func TestTheServerCastsTheSame(t *testing.T) {
	s := startServer(t)
	settings := s.use(t, settingsOfCasts)
	columns := append(allTypes(), "varchar(3)", "char(3)", "varchar(40)", "numeric(5,1)", "time(1)", "timestamp(2)", "timestamptz(0)", "interval(2)", "varchar(3)[]")
	s.columns(t, columns)
	for from := range samples {
		texts, binaries := s.values(t, from)
		for _, column := range columns {
			typ, oid := typeOf(t, column), oidOf(t, from)
			if !pgtext.CanAssign(oid, typ) {
				if _, err := settings.FromClient(nil, typ, oid, 1, binaries[0]); stateOf(err) != "42804" {
					t.Errorf("%s to %s: %v, want 42804", from, column, err)
				}
				continue
			}
			for i := range binaries {
				want, state := s.query(t, "insert into "+tableOf(t, column)+" values ($1) returning c", oid, 1, binaries[i], 1)
				got, err := settings.FromClient([]byte("x"), typ, oid, 1, binaries[i])
				if stateOf(err) == "22004" && state == "" && want[0] == nil {
					continue // NULL on the server, of which FromClient says to send NULL
				}
				if stateOf(err) == "22008" && state == "" && typ.Modifier() >= 0 {
					continue // rounded up out of the type's range, which the server does not notice
				}
				if state != stateOf(err) || err == nil && !bytes.Equal(got[1:], want[0]) {
					t.Errorf("%s %q to %s: server %q %q, pgtext %q, %v", from, texts[i], column, want, state, got, err)
				}
				again, err := settings.FromClient([]byte("x"), typ, oid, 0, texts[i])
				if state == "" && !bytes.Equal(again, got) && !refusedForZone(from, err) && settingsKeep(from) {
					t.Errorf("%s %q to %s: text gives %q, %v, binary %q", from, texts[i], column, again, err, got)
				}
			}
		}
	}
}

// settingsKeep says whether a type's text in settingsOfCasts tells its whole value.
func settingsKeep(name string) bool {
	return name != "float4" && name != "float8" && name != "float8[]"
}

// refusedForZone: abbreviations are not read.
func refusedForZone(name string, err error) bool {
	return (name == "timestamptz" || name == "timestamptz[]") && stateOf(err) == "22007"
}

// TestTheServerComparesTheSame compares stored samples of each type with operands of every type that it may be
// compared with: terms are the same bytes exactly where the server says equal.
func TestTheServerComparesTheSame(t *testing.T) {
	s := startServer(t)
	settings := s.use(t, settingsOfComparisons)
	columns := append(append([]string{}, scalars...), "varchar(3)", "char(3)", "numeric(5,1)", "timestamp(2)", "int4[]", "text[]")
	s.columns(t, columns)
	for operand := range samples {
		_, binaries := s.values(t, operand)
		for _, column := range columns {
			typ, oid := typeOf(t, column), oidOf(t, operand)
			if !pgtext.CanCompare(oid, typ) {
				if _, err := settings.Comparand(nil, typ, oid, 1, binaries[0]); stateOf(err) != "42883" {
					t.Errorf("%s = %s: %v, want 42883", column, operand, err)
				}
				continue
			}
			stored := s.stored(t, settings, column)
			for i, wire := range binaries {
				form, err := settings.Comparand([]byte("x"), typ, oid, 1, wire)
				for text, plain := range stored {
					want, state := s.query(t, "select c = $1 from "+tableOf(t, column)+" where c::text = '"+text+"'", oid, 1, wire, 0)
					if state != "" || err != nil {
						if state != stateOf(err) {
							t.Errorf("%s = %s %q: server %q, pgtext %v", column, operand, samples[operand][i], state, err)
						}
						continue
					}
					canonical, _ := typ.Canonical(nil, plain)
					if equal := bytes.Equal(canonical, form[1:]); equal != (string(want[0]) == "t") {
						t.Errorf("%s %q = %s %q: server %s, terms %t", column, text, operand, samples[operand][i], want[0], equal)
					}
				}
			}
		}
	}
}

// stored fills a column's table with all samples that it takes and gives their binary forms by text.
func (s *server) stored(t fatal, settings *pgtext.Settings, column string) map[string][]byte {
	t.Helper()
	name := tableOf(t, column)
	typ := typeOf(t, column)
	s.exec(t, "truncate "+name)
	kept := map[string][]byte{}
	base := typ
	for _, candidate := range append(scalars, "int4[]", "text[]") {
		if typeOf(t, candidate).OID() == typ.OID() {
			for _, sample := range samples[candidate] {
				plain, state := s.query(t, "insert into "+name+" select $1::text::"+candidate+" returning c", 25, 0, []byte(sample), 1)
				if state != "" {
					continue
				}
				text := s.exec(t, "select c::text from "+name+" order by ctid desc limit 1")[0][0]
				kept[string(text)] = plain[0]
			}
		}
	}
	if len(kept) == 0 {
		t.Fatalf("%v holds no sample", base)
	}
	return kept
}
