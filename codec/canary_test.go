package codec_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"
)

// canaryNumber is the canary for numbers: no permitted range prints it.
const canaryNumber = 73917391

// silent fails the test when err prints a canary, in any way of printing.
func silent(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(format, err); strings.Contains(s, "CANARY") || strings.Contains(s, "7391") {
			t.Errorf("%s: the error tells the value: %s", what, s)
		}
	}
}

// canaryValues are values of every sort that carry a canary; most types refuse most of them.
func canaryValues() []any {
	return []any{
		canary, []byte(canary), name(canary), blob(canary), ptr(canary), canary + "\x00", canary + "\xff", `{"` + canary + `":`, `"` + canary + `\u0000"`, "{" + canary, "73917391 x", "7391-73-91",
		"2001-02-03 73:91:00", "73917391 " + canary, "73.91.73.91.7391", "1e73917391", "99999999999999999999999999973917391", "-73917391 parsecs", `\x73917`, `\x` + canary,
		canaryNumber, -canaryNumber, int64(canaryNumber) << 36, uint64(canaryNumber) << 37, float64(canaryNumber) + 0.5, 7391e300, float32(canaryNumber),
		new(big.Int).Exp(big.NewInt(canaryNumber), big.NewInt(20000), nil), decimal.New(canaryNumber, 0), decimal.New(canaryNumber, -3), decimal.New(7391, 200000),
		time.Date(7391739, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(7391739173917391, 0), time.Duration(canaryNumber),
		pgtype.Numeric{Int: big.NewInt(canaryNumber), Exp: 73917, Valid: true},
		pgtype.Interval{Microseconds: 9223372036854777391 & (1<<63 - 1), Days: canaryNumber, Valid: true},
		pgtype.Time{Microseconds: canaryNumber << 30, Valid: true},
		pgtype.Text{String: canary, Valid: true},
		pgtype.Date{Time: time.Date(7391739, 1, 1, 0, 0, 0, 0, time.UTC), Valid: true},
		leaky{canary},
		&leaky{canary},
		leakyValuer{canary},
		&leakyValuer{canary},
		custom{value: canary},
		custom{value: canaryNumber},
		custom{err: fmt.Errorf("%s", canary)},
		sql.NullString{String: canary, Valid: true},
		sql.Null[int]{V: canaryNumber, Valid: true},
		sql.Null[leaky]{V: leaky{canary}, Valid: true},
		map[string]any{canary: make(chan int)},
		map[string]any{canary: leaky{canary}},
		struct{ S string }{canary},
		person{Name: canary},
		json.RawMessage(`{"` + canary + `"`), json.Number(canary),
		netip.MustParseAddr("fe80::7391%" + canary), net.IP(canary),
		net.IPNet{IP: net.IP(canary)},
		uuid.UUID([]byte(canary + "x")[:16]),
		[3]byte{0x73, 0x91},
		[]string{canary},
		[][]string{{canary}, {canary, canary}},
		[]int{canaryNumber},
		[]any{canary, canaryNumber, leaky{canary}},
		pgtype.FlatArray[string]{canary},
		[]leakyValuer{{canary}},
		leakyPgtype{canary},
		leakyNumeric{leakyPgtype{canary}},
		[]leakyPgtype{{canary}},
		make(chan string), func() string { return canary }, complex(canaryNumber, 0),
		endless{canaryNumber},
	}
}

// canaryTypes is every type, with modifiers that refuse, and arrays of them.
func canaryTypes() []string {
	words := append(typeWords(), "varchar(3)", "char(3)", "numeric(3,1)", "timestamp(2)", "time(1)", "timestamptz(0)", "interval(1)")
	for _, w := range words {
		words = append(words, w+"[]")
	}
	return words
}

func TestEncodeErrorsNeverTellTheValue(t *testing.T) {
	for _, word := range canaryTypes() {
		typ, refusals := mustType(t, word), 0
		for _, v := range canaryValues() {
			_, _, err := typ.Encode(nil, v)
			silent(t, fmt.Sprintf("Encode %T as %s", v, word), err)
			if err != nil {
				refusals++
			}
			s, ok := v.(string)
			if !ok {
				continue
			}
			_, err = typ.EncodeText(nil, s)
			silent(t, fmt.Sprintf("EncodeText %q as %s", s, word), err)
			_, err = typ.EncodeBinary(nil, []byte(s))
			silent(t, fmt.Sprintf("EncodeBinary %q as %s", s, word), err)
		}
		if refusals == 0 {
			t.Errorf("%s refused nothing: the test proves nothing", word)
		}
	}
}

// canaryStored is what is in the database when Decode fails.
func canaryStored() map[string][]string {
	return map[string][]string{
		"text": {canary, "73917391"}, "varchar": {canary}, "bytea": {canary}, "int4": {"73917391"}, "int8": {"7391739173917391739"}, "float4": {"7.391e37"}, "float8": {"7391.5", "7.391e300"},
		"numeric": {"73917391.7391", "7391e1000"}, "date": {"7391-07-30", "73917-07-30"}, "time": {"17:39:17.391"}, "timestamp": {"7391-07-30 17:39:17"}, "timestamptz": {"7391-07-30 17:39:17Z"},
		"interval": {"7391 mons 7391 days", "739173 days"}, "uuid": {"73917391-7391-7391-7391-739173917391"}, "json": {`{"name":73917391,"` + canary + `":"` + canary + `"}`, `"` + canary + `"`},
		"jsonb": {`{"name":73917391,"` + canary + `":"` + canary + `"}`, `73917391`}, "inet": {"7391::7391/73"}, "text[]": {"{" + canary + "," + canary + "}", "{NULL," + canary + "}"}, "int4[]": {"{73917391}"},
		"jsonb[]": {`{"\"` + canary + `\""}`}, "char(1)": {"C"}, "bool": {"t"}, "int2": {"7391"},
	}
}

func canaryDestinations() []any {
	return []any{
		new(string), new([]byte), new(bool), new(int8), new(int16), new(int64), new(uint8), new(uint64), new(float32), new(float64), new(time.Time), new(time.Duration), new(big.Int), new(big.Float),
		new([16]byte), new(key), new(uuid.UUID), new(netip.Addr), new(netip.Prefix), new(netip.AddrPort), new(net.IP), new(decimal.Decimal), new(person), new(map[string]int), new([]int), new([]string),
		new([][]string), new([]time.Time), new([1]int8), new(leaky), new(*leaky), new(leakyScanner), new([]leaky), new([]leakyScanner), new(sql.Null[leaky]), new(color), new(packed), new(custom),
		new(sql.NullInt16), new(sql.NullString), new(sql.NullTime), new(sql.NullBool), new(sql.NullFloat64), new(pgtype.Int2), new(pgtype.Int8), new(pgtype.Float4), new(pgtype.Numeric), new(pgtype.Date),
		new(pgtype.Time), new(pgtype.Timestamptz), new(pgtype.Interval), new(pgtype.UUID), new(pgtype.Bool), new(pgtype.Text), new(pgtype.Bits), new(pgtype.Range[pgtype.Int4]), new(pgtype.FlatArray[int8]),
		new(pgtype.Array[time.Time]), new(chan int), new(error), new(complex128), new(func()), new(json.RawMessage), new(json.Number), new(leakyPgtype), new([]leakyPgtype), new(pgtype.FlatArray[leakyPgtype]),
	}
}

func TestDecodeErrorsNeverTellTheValue(t *testing.T) {
	refusals := 0
	for word, literals := range canaryStored() {
		for _, literal := range literals {
			src := stored(t, word, literal)
			for _, dst := range canaryDestinations() {
				err := mustType(t, word).Decode(src, dst)
				silent(t, fmt.Sprintf("Decode %s into %T", word, dst), err)
				if err != nil {
					refusals++
				}
			}
		}
	}
	if refusals < 500 {
		t.Errorf("only %d refusals: the test proves little", refusals)
	}
}

func TestFailuresOfPgtypeMethodsAreFailures(t *testing.T) {
	for word, literals := range canaryStored() {
		typ := mustType(t, word)
		if typ.IsArray() {
			continue
		}
		for _, v := range []any{leakyPgtype{}, leakyNumeric{}} {
			if _, null, err := typ.Encode(nil, v); err == nil || null {
				t.Errorf("Encode %T as %s: %v, %v", v, word, null, err)
			}
		}
		if err := typ.Decode(stored(t, word, literals[0]), &leakyPgtype{}); err == nil {
			t.Errorf("Decode from %s: no error", word)
		}
	}
	if _, null, err := mustType(t, "numeric").Encode(nil, leakyNumeric{}); err == nil || null {
		t.Errorf("Encode as numeric: %v, %v", null, err)
	}
}

func TestArraySettersMayRefuse(t *testing.T) {
	src := stored(t, "int4[]", "{1}")
	for _, src := range [][]byte{src, nil} {
		err := mustType(t, "int4[]").Decode(src, &refusingSetter{})
		if err == nil {
			t.Errorf("%x: no error", src)
		}
		silent(t, "Decode", err)
	}
}

func TestErrorsOnBadBytesNeverTellThem(t *testing.T) {
	for _, word := range canaryTypes() {
		typ := mustType(t, word)
		for _, src := range [][]byte{[]byte(canary), []byte(canary + "\xff"), []byte("\x01" + canary), []byte("\x00\x00\x00\x01\x00\x00\x00\x00" + canary)} {
			for _, dst := range canaryDestinations() {
				silent(t, fmt.Sprintf("Decode %s into %T", word, dst), typ.Decode(src, dst))
			}
			_, err := typ.AppendText(nil, src)
			silent(t, "AppendText "+word, err)
			_, err = typ.Natural(src)
			silent(t, "Natural "+word, err)
		}
	}
}
