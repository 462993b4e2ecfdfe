package pgtext_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// agree reads a text both ways. A text that the server refuses must be refused; one that it takes may be
// refused, with the states that say so, but never read as another value.
func (s *server) agree(t fatal, w words, settings *pgtext.Settings, sqlType, text string) (read bool) {
	t.Helper()
	typ := typeOf(t, sqlType)
	want, state := s.query(t, "select $1::text::"+sqlType, 25, 0, []byte(text), 1)
	got, err := settings.FromText([]byte("x"), typ, text)
	switch {
	case err != nil && len(got) != 1:
		t.Errorf("%v %s %q: refused, and yet something was appended", w, sqlType, text)
	case err == nil && state != "":
		t.Errorf("%v %s %q: server refuses with %s, pgtext reads %x", w, sqlType, text, state, got)
	case err == nil && !bytes.Equal(got[1:], want[0]):
		t.Errorf("%v %s %q:\nserver %x\npgtext %x", w, sqlType, text, want[0], got[1:])
	case err != nil && stateOf(err) == "":
		t.Errorf("%v %s %q: an error without SQLSTATE: %v", w, sqlType, text, err)
	}
	return err == nil
}

// dateText draws texts of dates and times: right, nearly right and wrong ones.
func dateText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
		two := func(label string, most int) string {
			return fmt.Sprintf(pick(label+"width", "%02d", "%02d", "%d"), rapid.IntRange(0, most).Draw(t, label))
		}
		year := rapid.OneOf(rapid.StringMatching(`[12][0-9]{3}`), rapid.StringMatching(`[0-9]{2}`), rapid.StringMatching(`[0-9]{1,7}`)).Draw(t, "year")
		month := pick("month", "Jan", "feb", "MARCH", "Apr", "may", "Sept", "dec", "xyz")
		day := two("d", 31)
		clock := two("h", 24) + ":" + two("m", 60) + rapid.StringMatching(`(:[0-5][0-9](\.[0-9]{0,9})?)?`).Draw(t, "s")
		zone := pick("zone", "", "", "", "+01", "-0330", "+05:45", " +1:2:3", "Z", " UTC", " gmt", " Europe/Berlin", " CET", " EST", " +16", "-04:60", " PM")
		era := pick("era", "", "", "", "", " BC", " ad", "BC")
		del := pick("delimiter", "-", "/", ".", "-", " ")
		numbers := pick("numbers", "ymd", "mdy", "dmy")
		var date string
		switch n := two("mon", 13); numbers {
		case "ymd":
			date = year + del + n + del + day
		case "mdy":
			date = n + del + day + del + year
		default:
			date = day + del + n + del + year
		}
		weekday := pick("weekday", "", "", "Mon ", "tuesday ", "Wed, ")
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			return weekday + month + " " + day + " " + clock + " " + year + zone + era
		case 1:
			return weekday + day + " " + month + " " + clock + " " + year + zone + era
		case 2:
			return weekday + month + " " + day + pick("comma", "", ",") + " " + year + " " + clock + zone + era
		case 3:
			return day + "-" + month + "-" + year + " " + clock + zone + era
		case 4:
			return year + del + month + del + day + pick("t", " ", "T") + clock + zone
		case 5:
			return month + del + day + del + year + era
		case 6:
			return rapid.StringMatching(`[12][0-9]{3}[01][0-9][0-3][0-9]`).Draw(t, "compact") + pick("t", "", " ", "T") + pick("c", "", clock+zone)
		case 7:
			offset := pick("offset", "", " +00", " -05", "  +0530", " -03:30", "+01", " +1:2:3", " -", " +16")
			return date + pick("space", "", " ", "  ") + era + offset + pick("late era", "", "", " BC", "AD")
		case 8:
			return pick("word", "epoch", "infinity", " -Infinity ", "+infinity", "now", "today", "tomorrow", "yesterday", "allballs", "", " ", "J2451187", "inf", "2020-060", "20200304 101112", "04:05:06", "1.2.2020 4:5")
		}
		return weekday + date + pick("t", " ", "T", "  ") + clock + zone + era
	})
}

func TestServerReadsTheSameDates(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"date", "timestamp", "timestamptz", "timestamptz(3)", "timestamp(0)"} {
		t.Run(name, func(t *testing.T) {
			read := 0
			rapid.Check(t, func(t *rapid.T) {
				w := anySettings().Draw(t, "settings")
				settings := s.use(t, w)
				for _, text := range rapid.SliceOfN(dateText(), 10, 30).Draw(t, "texts") {
					if s.agree(t, w, settings, name, text) {
						read++
					}
				}
			})
			if read == 0 {
				t.Error("nothing was read")
			}
		})
	}
}

// intervalText draws intervals in all styles, with signs where they matter.
func intervalText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[+-]?[0-9]{1,3}-[0-9]{1,2}( [+-]?[0-9]{1,3})?( [+-]?[0-9]{1,3}:[0-9]{1,2}(:[0-9]{2}(\.[0-9]{0,8})?)?)?`),
		rapid.StringMatching(`[+-]?[0-9]{1,4}( [+-]?[0-9]{1,3}:[0-9]{1,2}(:[0-9]{2}(\.[0-9]{0,8})?)?)?`),
		rapid.StringMatching(`(@ )?([+-]?[0-9]{1,3} years? )?([+-]?[0-9]{1,3} mons? )?([+-]?[0-9]{1,3} days?)?( [+-]?[0-9]{1,3}:[0-9]{2}(:[0-9]{2})?)?( ago)?`),
		rapid.StringMatching(`@ ([+-]?[0-9]{1,3} (years?|mons?|days?|hours?|mins?) ){0,3}([+-]?[0-9]{1,2}(\.[0-9]{1,6})? secs?)?( ago)?`),
		rapid.StringMatching(`P([+-]?[0-9]{1,3}Y)?([+-]?[0-9]{1,2}M)?([+-]?[0-9]{1,3}D)?(T([+-]?[0-9]{1,3}H)?([+-]?[0-9]{1,3}M)?([+-]?[0-9]{1,3}(\.[0-9]{1,6})?S)?)?`),
		rapid.SampledFrom([]string{"0", "@ 0", "", "-", "infinity", "5", "-5", "+5", "1 2", "1-2 3", "1-2 3 4", "1-12", "3 days 4", "00:00:00", "-0-3", "12:34.5", "1 2 3:4", "-1 days 2 days", "-1-2 3 4:05:06", "- 1 day", "99999999-1", "1:2 3", "178956970-7", "178956970-8", "-178956970-8", "@-1 day", "@ - 1 day", "-1 day, 2 hours", "-1 year@2 days", "-1 day1 hour"}),
	)
}

func TestServerReadsTheSameIntervals(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"interval", "interval(2)"} {
		t.Run(name, func(t *testing.T) {
			read := 0
			rapid.Check(t, func(t *rapid.T) {
				w := anySettings().Draw(t, "settings")
				settings := s.use(t, w)
				for _, text := range rapid.SliceOfN(intervalText(), 10, 30).Draw(t, "texts") {
					if s.agree(t, w, settings, name, text) {
						read++
					}
				}
			})
			if read == 0 {
				t.Error("nothing was read")
			}
		})
	}
}

// TestWhatIsPrintedIsRead takes values through their text in the session's own settings and back. What is not read
// again is refused: the abbreviations of zones.
func TestWhatIsPrintedIsRead(t *testing.T) {
	for _, name := range []string{"date", "timestamp", "timestamptz", "time", "float4", "float8", "interval", "bytea"} {
		t.Run(name, func(t *testing.T) {
			typ := typeOf(t, name)
			rapid.Check(t, func(t *rapid.T) {
				w := anySettings().Draw(t, "settings")
				w[0] = rapid.SampledFrom([]string{"ISO, MDY", "ISO, YMD", "SQL, MDY", "SQL, DMY", "Postgres, MDY", "Postgres, DMY", "German, DMY"}).Draw(t, "order") // the others are misread by the server too
				w[4] = "1"
				settings, err := pgtext.Parse(w[0], w[1], w[2], w[3], w[4])
				if err != nil {
					t.Fatalf("%v", err)
				}
				value, err := typ.EncodeBinary(nil, binaryOf(name).Draw(t, "value"))
				if err != nil {
					t.Fatalf("%v", err)
				}
				text, err := settings.AppendText(nil, typ, value)
				if err != nil {
					t.Fatalf("%v", err)
				}
				got, err := settings.FromText(nil, typ, string(text))
				switch {
				case err == nil && bytes.Equal(got, value):
				case err != nil && name == "timestamptz" && stateOf(err) == "22007" && w[0][0] != 'I':
				case err != nil && name == "interval": // the ends of its range have no text of the other sign
				case err == nil && name == "timestamptz":
					// Where a clock shows a time twice, its abbreviation would tell; refused above.
					t.Errorf("%v: %q is read as %x, not %x", w, text, got, value)
				default:
					t.Errorf("%v: %q is read as %x, not %x: %v", w, text, got, value, err)
				}
			})
		})
	}
}

func TestArraysOfWhatSettingsDecide(t *testing.T) {
	s := startServer(t)
	w := words{"SQL, DMY", "Europe/Berlin", "sql_standard", "escape", "1"}
	settings := s.use(t, w)
	for _, c := range [][2]string{
		{"date[]", `{03/04/2020,NULL,"infinity"}`},
		{"date[]", `[0:1]={03/04/2020,31.12.1999}`},
		{"date[]", `{{03/04/2020},{04/03/2020}}`},
		{"date[]", `{}`},
		{"date[]", `{now}`},
		{"date[]", `{03/04/2020`},
		{"timestamptz[]", `{"01/02/2003 04:05:06","2003-07-02 04:05:06.5+01"}`},
		{"interval[]", `{"-1-2",@ 3 days,"-1 2:03:04"}`},
		{"interval(0)[]", `{"1.5 secs"}`},
		{"bytea[]", `{"\\x01ff",abc}`},
	} {
		s.agree(t, w, settings, c[0], c[1])
	}
}

// otherText draws texts of the types that no setting decides about.
func otherText(name string) *rapid.Generator[string] {
	numbers := rapid.OneOf(
		rapid.StringMatching(` ?[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})? ?`),
		rapid.SampledFrom([]string{"NaN", "nan", "inf", "-Infinity", "+Infinity", "infinity", "1_000", "0x1F", "0b1", "0o7", "1e", ".", "", "1.", ".5", "--1", "1 2", "0x1p3", "iNf", "1e400", "1e-400", "32768", "2147483648", "9223372036854775808", "nan()", "1__0", "١"}),
	)
	switch name {
	case "bool":
		return rapid.OneOf(rapid.StringMatching(` ?[tTfFyYnNoO][a-zA-Z]{0,4} ?`), rapid.SampledFrom([]string{"1", "0", "01", "true", "TRUE", "fals", "on", "off", "of", "o", "yes", "no", "", " "}))
	case "bytea":
		return rapid.OneOf(rapid.StringMatching(`\\x[0-9a-fA-F \n]{0,8}`), rapid.StringMatching(`([a-zé]|\\\\|\\[0-7]{3}|\\){0,6}`))
	case "uuid":
		return rapid.StringMatching(`\{?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?([0-9a-f]{4}-?){6}\}?`)
	case "inet":
		return rapid.OneOf(rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){0,4}(/[0-9]{1,3})?`), rapid.StringMatching(`([0-9a-f]{0,4}:){1,8}[0-9a-f]{0,4}(/[0-9]{1,3})?`))
	case "json", "jsonb":
		return rapid.StringMatching(` ?[\[{]?("[a-z\\"u0]{0,4}"|-?[0-9]{1,3}(\.[0-9]{1,2})?|null|true|,|:| ){0,5}[\]}]?`)
	case "time":
		return rapid.StringMatching(` ?[0-2]?[0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{0,8})?)?( ?(Z|\+01|PM))?`)
	case "text[]":
		return rapid.StringMatching(`(\[[0-2]:[0-2]\]=)?\{("[a-z\\" ,{}]{0,4}"|[a-zN ]{0,4}|NULL|,|\{|\}|\\){0,5}\}`)
	}
	return numbers
}

func TestServerReadsTheSameOtherwise(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"bool", "bytea", "uuid", "inet", "json", "jsonb", "time", "text[]", "int2", "int4", "int8", "float4", "float8", "numeric", "numeric(8,2)"} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := anySettings().Draw(t, "settings")
				settings := s.use(t, w)
				for _, text := range rapid.SliceOfN(otherText(name), 5, 15).Draw(t, "texts") {
					s.agree(t, w, settings, name, text)
				}
			})
		})
	}
}
