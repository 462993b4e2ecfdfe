package codec_test

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// canary stands in values that no error may quote.
const canary = "CANARY-73917391"

// Named types over basic kinds.
type (
	name   string
	level  int16
	ratio  float32
	flag   bool
	blob   []byte
	key    [4]byte
	moment time.Time
)

// color is a number with a text of its own.
type color int

func (c color) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "color-%d", int(c)), nil }

func (c *color) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "color-%d", (*int)(c))
	return err
}

// packed is only a BinaryMarshaler, on its pointer.
type packed struct{ A, B byte }

func (p *packed) MarshalBinary() ([]byte, error) { return []byte{p.A, p.B}, nil }

func (p *packed) UnmarshalBinary(b []byte) error {
	if len(b) != 2 {
		return fmt.Errorf("want 2 bytes, have %x %s", b, canary)
	}
	p.A, p.B = b[0], b[1]
	return nil
}

// custom is a Valuer on the value and a Scanner on the pointer; it remembers what it was given.
type custom struct {
	value any
	err   error
}

func (c custom) Value() (driver.Value, error) { return c.value, c.err }

func (c *custom) Scan(src any) error {
	c.value = src
	return c.err
}

// pointerValuer has its Value method on the pointer.
type pointerValuer struct{ s string }

func (p *pointerValuer) Value() (driver.Value, error) { return p.s, nil }

// endless gives itself as its value.
type endless struct{ X int }

func (e endless) Value() (driver.Value, error) { return e, nil }

// leaky fails in every method, quoting the value.
type leaky struct{ S string }

func (l leaky) fail() error { return errors.New("cannot handle " + canary + l.S) }

func (l leaky) MarshalText() ([]byte, error)   { return nil, l.fail() }
func (l leaky) MarshalBinary() ([]byte, error) { return nil, l.fail() }
func (l leaky) MarshalJSON() ([]byte, error)   { return nil, l.fail() }
func (l *leaky) UnmarshalText(b []byte) error  { return fmt.Errorf("%w: %s", l.fail(), b) }
func (l *leaky) UnmarshalBinary(b []byte) error {
	return fmt.Errorf("%w: %s", l.fail(), b)
}
func (l *leaky) UnmarshalJSON(b []byte) error { return fmt.Errorf("%w: %s", l.fail(), b) }

// leakyValuer and leakyScanner fail likewise in database/sql's methods.
type leakyValuer struct{ S string }

func (l leakyValuer) Value() (driver.Value, error) { return nil, errors.New(canary + l.S) }

type leakyScanner struct{ S string }

func (l *leakyScanner) Scan(src any) error { return fmt.Errorf("cannot scan %s %v", canary, src) }

// leakyPgtype fails in every method by which pgtype's types are known.
type leakyPgtype struct{ S string }

func (l leakyPgtype) err() error { return errors.New(canary + l.S) }

func (l leakyPgtype) TextValue() (pgtype.Text, error) { return pgtype.Text{}, l.err() }
func (l leakyPgtype) BytesValue() ([]byte, error)     { return nil, l.err() }
func (l leakyPgtype) BoolValue() (pgtype.Bool, error) { return pgtype.Bool{}, l.err() }

func (l leakyPgtype) Int64Value() (pgtype.Int8, error) { return pgtype.Int8{}, l.err() }

func (l leakyPgtype) Float64Value() (pgtype.Float8, error) { return pgtype.Float8{}, l.err() }

func (l leakyPgtype) DateValue() (pgtype.Date, error) { return pgtype.Date{}, l.err() }

func (l leakyPgtype) TimeValue() (pgtype.Time, error) { return pgtype.Time{}, l.err() }

func (l leakyPgtype) TimestampValue() (pgtype.Timestamp, error) { return pgtype.Timestamp{}, l.err() }

func (l leakyPgtype) TimestamptzValue() (pgtype.Timestamptz, error) {
	return pgtype.Timestamptz{}, l.err()
}

func (l leakyPgtype) IntervalValue() (pgtype.Interval, error) { return pgtype.Interval{}, l.err() }

func (l leakyPgtype) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{}, l.err() }

func (l leakyPgtype) NetipPrefixValue() (netip.Prefix, error) { return netip.Prefix{}, l.err() }
func (l leakyPgtype) MarshalJSON() ([]byte, error)            { return nil, l.err() }

func (l *leakyPgtype) fail(v any) error                           { return fmt.Errorf("%w %v", l.err(), v) }
func (l *leakyPgtype) ScanText(v pgtype.Text) error               { return l.fail(v) }
func (l *leakyPgtype) ScanBytes(v []byte) error                   { return l.fail(v) }
func (l *leakyPgtype) ScanBool(v pgtype.Bool) error               { return l.fail(v) }
func (l *leakyPgtype) ScanInt64(v pgtype.Int8) error              { return l.fail(v) }
func (l *leakyPgtype) ScanFloat64(v pgtype.Float8) error          { return l.fail(v) }
func (l *leakyPgtype) ScanDate(v pgtype.Date) error               { return l.fail(v) }
func (l *leakyPgtype) ScanTime(v pgtype.Time) error               { return l.fail(v) }
func (l *leakyPgtype) ScanTimestamp(v pgtype.Timestamp) error     { return l.fail(v) }
func (l *leakyPgtype) ScanTimestamptz(v pgtype.Timestamptz) error { return l.fail(v) }
func (l *leakyPgtype) ScanInterval(v pgtype.Interval) error       { return l.fail(v) }
func (l *leakyPgtype) ScanUUID(v pgtype.UUID) error               { return l.fail(v) }
func (l *leakyPgtype) ScanNetipPrefix(v netip.Prefix) error       { return l.fail(v) }
func (l *leakyPgtype) ScanNumeric(v pgtype.Numeric) error         { return l.fail(v) }

// pgtypeBytes is a pgtype.BytesValuer, and NULL when it is empty.
type pgtypeBytes string

func (p pgtypeBytes) BytesValue() ([]byte, error) {
	if p == "" {
		return nil, nil
	}
	return []byte(p), nil
}

// leakyNumeric is apart, because numbers ask for NumericValue first.
type leakyNumeric struct{ leakyPgtype }

func (l leakyNumeric) NumericValue() (pgtype.Numeric, error) { return pgtype.Numeric{}, l.err() }

// refusingSetter is a pgtype.ArraySetter that takes no dimensions.
type refusingSetter struct{ pgtype.FlatArray[int] }

func (*refusingSetter) SetDimensions(d []pgtype.ArrayDimension) error {
	return fmt.Errorf("%s %v", canary, d)
}

// person is what people store in jsonb.
type person struct {
	Name string    `json:"name"`
	Age  int       `json:"age,omitempty"`
	Tags []string  `json:"tags,omitempty"`
	Pet  *person   `json:"pet,omitempty"`
	Code pointerID `json:"code"`
}

// pointerID marshals to JSON by its pointer only.
type pointerID int

func (p *pointerID) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint("id", int(*p))) }

func (p *pointerID) UnmarshalJSON(b []byte) error {
	_, err := fmt.Sscanf(string(b), `"id%d"`, (*int)(p))
	return err
}
