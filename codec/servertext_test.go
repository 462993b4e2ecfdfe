package codec_test

import (
	"context"
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/codec"
)

func TestTheServerRefusesTheseTextsToo(t *testing.T) {
	s := startServer(t)
	for sqlType, literals := range map[string][]string{
		"date":        {"+infinity", "Infinity", "-INFINITY"},
		"timestamp":   {"+infinity"},
		"timestamptz": {"+infinity"},
		"bytea":       {`\x0 f`, `\x0f 0`, `\x 0f`, `\x0f `, `\x0f  0a`, "\\x0f\n\t\r0a", "\\x0f\v0a", `\x 0`, ` \x0f`, `\X0f`, `\x0g 00`},
		"bytea[]":     {`{"\\x0 f"}`, `{"\\x0f 0a"}`},
		"interval": {
			"1 day 1 day", "1 year 1 yr", "1 mon 2 months", "1 week 1 w", "1 day 1 week", "1 hour 1 hour", "1 hour 01:00", "01:00 1 hour", "00:01 1 us", "1 us 00:01",
			"1 sec 1 ms", "1.5 sec 1 ms", "1.0 sec 1 ms", "1. sec 1 ms", "1 ms 1.5 s", "1 s 1 s", "00:01 00:01", "00:01 1 day", "0 s 0 s", "1 m 1 min", "1 mon 1 m",
			"-1 day1 hour", "1 day1 hour", "1day-1hour", "1day 1hour", "1 day+1 hour", "1 day01:00", "1w1d", "1.s", "1.5s", "+.5 s", "-.5 s", ".5 s",
			"1 mon2 days", "1 d2 h", "1 sec2 ms", "1h2m3s", "1y2mon3d", "1 d+2 h", "1 d-2 h", "1 s.5 s", "1 d02:00", "1 h02:00", "1 d-02:00", "1 ms2 s",
			"P+0D", "P+1D", "PT+1S", "PT+.5S", "PT-.5S", "P1D1D", "PT1.5S1.5S", "p1y", "P1y", "PT1h", "P1Y ", " P1Y", "\tP1D", "P1D\n", "Pt1H", "P1Y2M-3W4DT5H6M7.5S",
		},
		"interval[]": {`{"1 day 1 day"}`, "{P+0D}", "{P1D1D}"},
	} {
		t.Run(sqlType, func(t *testing.T) {
			for _, literal := range literals {
				s.agree(t, sqlType, literal)
			}
		})
	}
}

// TestWhatIsReadIsWhatTheServerReads is about texts of which only some are read: nothing may come of them that the server
// does not make of them.
func TestWhatIsReadIsWhatTheServerReads(t *testing.T) {
	s := startServer(t)
	field := rapid.StringMatching(`[+-]?([0-9]{1,3}|[0-9]?\.[0-9]{0,2}) ?(y|yrs|mon|months|w|weeks|d|days|h|hours|m|mins|s|sec|ms|us)|[+-]?[0-9]{1,2}:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,2})?)?`)
	iso := rapid.StringMatching(`[Pp]([+-]?[0-9]{0,2}(\.[0-9])?[YMWDymd]){0,3}(T([+-]?[0-9]{0,2}(\.[0-9])?[HMSs]){0,3})? ?`)
	interval := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 3).Draw(t, "iso") == 0 {
			return iso.Draw(t, "text")
		}
		text := rapid.SampledFrom([]string{"", "", "", "@ ", " "}).Draw(t, "begin")
		for range rapid.IntRange(1, 4).Draw(t, "fields") {
			text += field.Draw(t, "field") + rapid.SampledFrom([]string{" ", " ", " ", "", "\t"}).Draw(t, "between")
		}
		return text + rapid.SampledFrom([]string{"", "", "", "ago", " ago"}).Draw(t, "end")
	})
	for sqlType, literals := range map[string]*rapid.Generator[string]{
		"interval": interval, "bytea": rapid.StringMatching(`\\x([0-9a-fA-F]{2}|[0-9a-f]?|[ \t\n\r]?){0,6}`),
	} {
		typ, err := codec.ParseType(sqlType)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(sqlType, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				literal := literals.Draw(t, "literal")
				if _, err := typ.EncodeText(nil, literal); err == nil {
					s.agree(t, sqlType, literal)
				}
			})
		})
	}
}

// floats draws values where shortest texts go wrong: any bits, powers of two and ten and their neighbours, numbers
// with few digits, halves, and what lies in the middle between two floats.
func floats(r *rand.Rand, n int) []float64 {
	list := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 1 << 54, 1 << 55, 9007199254740993}
	for e := -1074; e < 1024; e++ {
		p := math.Ldexp(1, e)
		list = append(list, p, math.Nextafter(p, 0), math.Nextafter(p, math.Inf(1)), 3*p, 5*p)
	}
	for e := -323; e < 309; e++ {
		p, _ := strconv.ParseFloat("1e"+strconv.Itoa(e), 64) // an infinity is a value too
		list = append(list, p, math.Nextafter(p, 0), math.Nextafter(p, math.Inf(1)), -p)
	}
	for len(list) < n {
		switch len(list) % 5 {
		case 0, 1:
			list = append(list, math.Float64frombits(r.Uint64()))
		case 2: // ties of digits
			list = append(list, math.Ldexp(float64(r.Int64N(1<<53)), -r.IntN(60)))
		case 3: // few digits
			f, _ := new(big.Rat).SetFrac64(r.Int64N(1_000_000), int64(math.Pow10(r.IntN(12)))).Float64()
			list = append(list, f)
		case 4: // large whole numbers with few digits, and their neighbours
			f := float64(r.Int64N(1<<20)) * math.Pow10(r.IntN(40))
			list = append(list, f, math.Nextafter(f, math.Inf(1)), math.Nextafter(f, 0))
		}
	}
	return list[:n]
}

func floats32(r *rand.Rand, n int) []float64 {
	var list []float64
	for e := -149; e < 128; e++ {
		p := float32(math.Ldexp(1, e))
		list = append(list, float64(p), float64(math.Nextafter32(p, 0)), float64(math.Nextafter32(p, float32(math.Inf(1)))))
	}
	for len(list) < n {
		x := math.Float32frombits(r.Uint32())
		switch len(list) % 3 {
		case 1: // where ties and middles are
			x = math.Float32frombits(uint32(127+r.IntN(40))<<23 | r.Uint32()&(1<<23-1))
		case 2:
			x = float32(r.IntN(10_000)) * float32(math.Pow10(r.IntN(30)-10))
		}
		list = append(list, float64(x))
	}
	return list
}

func TestFloatsAreWrittenAsTheServerWritesThem(t *testing.T) {
	s := startServer(t)
	const n = 120_000
	r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for sqlType, list := range map[string][]float64{"float8": floats(r, n), "float4": floats32(r, n)} {
		typ, err := codec.ParseType(sqlType)
		if err != nil {
			t.Fatal(err)
		}
		arrays, err := codec.ParseType(sqlType + "[]")
		if err != nil {
			t.Fatal(err)
		}
		param, _, err := arrays.Encode(nil, list)
		if err != nil {
			t.Fatal(err)
		}
		got := s.conn.PgConn().ExecParams(context.Background(), "select x, x from unnest($1::"+sqlType+"[]) x",
			[][]byte{param}, nil, []int16{1}, []int16{0, 1}).Read()
		if got.Err != nil || len(got.Rows) != n {
			t.Fatalf("%d rows, %v", len(got.Rows), got.Err)
		}
		wrong := 0
		for _, row := range got.Rows {
			text, err := typ.AppendText(nil, row[1])
			if err != nil || string(text) != string(row[0]) {
				if wrong++; wrong <= 10 {
					t.Errorf("%s %x: server prints %s, codec %s, %v", sqlType, row[1], row[0], text, err)
				}
			}
		}
		if wrong > 10 {
			t.Errorf("%s: %d texts differ", sqlType, wrong)
		}
	}
}

// FuzzIntervalText is for texts that nobody thought of: what is read must be written and read again as the same.
func FuzzIntervalText(f *testing.F) {
	for _, text := range []string{"1 day -01:00", "P1Y2M-3DT4H5M6.789S", "@ 1 mon 2 days ago", "1d+2h", "1.5 s 1 us"} {
		f.Add(text)
	}
	typ, err := codec.ParseType("interval")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := typ.EncodeText(nil, text)
		if err != nil {
			return
		}
		if len(value) != 16 || int32(binary.BigEndian.Uint32(value[12:])) == math.MinInt32 {
			return // a number that its own text cannot say
		}
		written, err := typ.AppendText(nil, value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := typ.EncodeText(nil, string(written))
		if err != nil || string(again) != string(value) {
			t.Errorf("%q gives %x, which is written %q and read as %x, %v", text, value, written, again, err)
		}
	})
}
