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
			return date + pick("space", "", " ", "  ") + era
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
				for _, text := range rapid.SliceOfN(dateText(), 30, 60).Draw(t, "texts") {
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
