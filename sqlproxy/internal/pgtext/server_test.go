package pgtext_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
)

// server is a session whose settings tests change.
type server struct{ conn *pgconn.PgConn }

func startServer(t *testing.T) *server {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &server{conn.PgConn()}
}

// fatal is what testing.T and rapid.T share.
type fatal interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// words are a session's settings in the order of pgtext.Parse.
type words [5]string

var names = words{"DateStyle", "TimeZone", "IntervalStyle", "bytea_output", "extra_float_digits"}

// use sets the session's settings and makes the same ones for pgtext, of what SHOW says of them.
func (s *server) use(t fatal, w words) *pgtext.Settings {
	t.Helper()
	var shown words
	for i, value := range w {
		s.exec(t, "set "+names[i]+" to '"+value+"'")
		shown[i] = string(s.exec(t, "show "+names[i])[0][0])
	}
	settings, err := pgtext.Parse(shown[0], shown[1], shown[2], shown[3], shown[4])
	if err != nil {
		t.Fatalf("%v", err)
	}
	return settings
}

func (s *server) exec(t fatal, sql string) [][][]byte {
	t.Helper()
	results, err := s.conn.Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return results[0].Rows
}

// query gives the first column of a query with one parameter, or the SQLSTATE of the refusal.
func (s *server) query(t fatal, sql string, oid uint32, format int16, param []byte, result int16) (rows [][]byte, state string) {
	t.Helper()
	r := s.conn.ExecParams(context.Background(), sql, [][]byte{param}, []uint32{oid}, []int16{format}, []int16{result}).Read()
	var refused *pgconn.PgError
	if errors.As(r.Err, &refused) {
		return nil, refused.Code
	}
	if r.Err != nil {
		t.Fatalf("%s: %v", sql, r.Err)
	}
	for _, row := range r.Rows {
		rows = append(rows, row[0])
	}
	return rows, ""
}

func typeOf(t fatal, name string) codec.Type {
	t.Helper()
	typ, err := codec.ParseType(name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return typ
}

func stateOf(err error) string {
	var e *codec.Error
	if errors.As(err, &e) {
		return e.SQLState
	}
	return ""
}

var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Monrovia",
	"Pacific/Apia", "Europe/Dublin", "Europe/Moscow", "America/St_Johns", "Asia/Tehran", "Etc/GMT+5", "GMT", "EST5EDT", "<+03>-03", "<-03:30>+03:30", "FOO4", "Asia/Kathmandu",
}

func anySettings() *rapid.Generator[words] {
	return rapid.Custom(func(t *rapid.T) words {
		return words{
			rapid.SampledFrom([]string{"ISO", "SQL", "Postgres", "German"}).Draw(t, "style") + ", " + rapid.SampledFrom([]string{"MDY", "DMY", "YMD"}).Draw(t, "order"),
			rapid.SampledFrom(zones).Draw(t, "zone"),
			rapid.SampledFrom([]string{"postgres", "postgres_verbose", "sql_standard", "iso_8601"}).Draw(t, "interval"),
			rapid.SampledFrom([]string{"hex", "escape"}).Draw(t, "bytea"),
			strconv.Itoa(rapid.IntRange(-15, 3).Draw(t, "digits")),
		}
	})
}

// stampBits draws microseconds since 2000: mostly of our times, some near changes of the clocks, some of the whole range.
func stampBits() *rapid.Generator[int64] {
	const first, last = -2451545 * 86400000000, 106751983*86400000000 - 1
	return rapid.OneOf(
		rapid.Int64Range(-100*365*86400000000, 100*365*86400000000),
		rapid.Int64Range(first, last),
		rapid.Map(rapid.Int64Range(-200*365*24, 60*365*24), func(hours int64) int64 { return hours * 3600000000 }),
		rapid.SampledFrom([]int64{first, last, math.MaxInt64, math.MinInt64, 0, -1, 1}),
	)
}

// binaryOf draws the binary form of a type.
func binaryOf(name string) *rapid.Generator[[]byte] {
	be := binary.BigEndian
	switch name {
	case "date":
		days := rapid.OneOf(rapid.Int32Range(-2451545, 2145031948), rapid.Int32Range(-50000, 50000), rapid.SampledFrom([]int32{math.MaxInt32, math.MinInt32}))
		return rapid.Map(days, func(n int32) []byte { return be.AppendUint32(nil, uint32(n)) })
	case "timestamp", "timestamptz":
		return rapid.Map(stampBits(), func(n int64) []byte { return be.AppendUint64(nil, uint64(n)) })
	case "time":
		return rapid.Map(rapid.Int64Range(0, 86400000000), func(n int64) []byte { return be.AppendUint64(nil, uint64(n)) })
	case "float4":
		return rapid.Map(rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{0.1, 1.0 / 4096, -3.0 / 8192, 100000, 1e15, 1234567, float32(math.Inf(1)), float32(math.NaN())})), func(x float32) []byte { return be.AppendUint32(nil, math.Float32bits(x)) })
	case "float8":
		return rapid.Map(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0.1, 1e5, 1e14, 1e15, 1e16, 123456789012345678, math.Inf(-1), math.NaN(), math.Copysign(0, -1)})), func(x float64) []byte { return be.AppendUint64(nil, math.Float64bits(x)) })
	case "interval":
		small := rapid.Custom(func(t *rapid.T) []byte {
			part := rapid.SampledFrom([]int64{0, 0, 1, -1, 2, -13, 12, 100})
			out := be.AppendUint64(nil, uint64(part.Draw(t, "h")*3600000000+part.Draw(t, "m")*60000000+part.Draw(t, "s")*1000000+part.Draw(t, "us")))
			out = be.AppendUint32(out, uint32(part.Draw(t, "d")))
			return be.AppendUint32(out, uint32(part.Draw(t, "mon")))
		})
		return rapid.OneOf(small, small, rapid.SliceOfN(rapid.Byte(), 16, 16))
	case "bytea":
		return rapid.SliceOfN(rapid.Byte(), 0, 12)
	}
	panic("no values for " + name)
}

func arrayBytes(elem codec.Type, values [][]byte) []byte {
	be := binary.BigEndian
	out := be.AppendUint32(nil, 1)
	out = be.AppendUint32(out, 1)
	out = be.AppendUint32(out, elem.OID())
	out = be.AppendUint32(out, uint32(len(values)))
	out = be.AppendUint32(out, 1)
	for _, v := range values {
		if v == nil {
			out = be.AppendUint32(out, math.MaxUint32)
			continue
		}
		out = append(be.AppendUint32(out, uint32(len(v))), v...)
	}
	return out
}

// TestServerPrintsTheSame compares thousands of values in random settings, each by itself and in an array.
func TestServerPrintsTheSame(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"date", "timestamp", "timestamptz", "time", "float4", "float8", "interval", "bytea"} {
		t.Run(name, func(t *testing.T) {
			typ, list := typeOf(t, name), typeOf(t, name+"[]")
			rapid.Check(t, func(t *rapid.T) {
				w := anySettings().Draw(t, "settings")
				settings := s.use(t, w)
				values := rapid.SliceOfN(binaryOf(name), 20, 60).Draw(t, "values")
				wire := arrayBytes(typ, values)
				want, state := s.query(t, "select unnest($1::"+name+"[])", list.OID(), 1, wire, 0)
				if state != "" {
					t.Fatalf("the server refuses: %s", state)
				}
				for i, v := range values {
					got, err := settings.AppendText([]byte("x"), typ, v)
					if err != nil || string(got) != "x"+string(want[i]) {
						t.Errorf("%v %x: server prints %q, pgtext %q, %v", w, v, want[i], got, err)
					}
				}
				whole, _ := s.query(t, "select $1::"+name+"[]", list.OID(), 1, wire, 0)
				got, err := settings.AppendText(nil, list, wire)
				if err != nil || !bytes.Equal(got, whole[0]) {
					t.Errorf("%v: server prints %q, pgtext %q, %v", w, whole[0], got, err)
				}
			})
		})
	}
}
