package gormplugin_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"
)

// Every logical type, in the Go types that people use for it.

type textTypes struct {
	ID      uint
	Text    string  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Varchar string  `gorm:"column:order;serializer:rowseal;type:bytes" rowseal:"type=varchar(20)"`
	Char    string  `gorm:"column:GroupBy;serializer:rowseal;type:bytes" rowseal:"type=char(3)"`
	Bytea   []byte  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Fixed   [3]byte `gorm:"serializer:rowseal;type:bytes" rowseal:"type=bytea"`
	Named   colour  `gorm:"column:favourite colour;serializer:rowseal;type:bytes" rowseal:"seal"`
	Padded  string  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,pad=64"`
}

type numberTypes struct {
	ID      uint
	Bool    bool        `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int2    int16       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int4    int32       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int8    int64       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int     int         `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Uint8   uint8       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Uint64  uint64      `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Float4  float32     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Float8  float64     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Numeric string      `gorm:"serializer:rowseal;type:bytes" rowseal:"type=numeric(10,2)"`
	Number  json.Number `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Big     *big.Int    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type timeTypes struct {
	ID          uint
	Date        time.Time     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date"`
	Time        string        `gorm:"serializer:rowseal;type:bytes" rowseal:"type=time"`
	Timestamp   time.Time     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=timestamp"`
	Timestamptz time.Time     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Millis      time.Time     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=timestamptz(3)"`
	Interval    time.Duration `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Months      string        `gorm:"serializer:rowseal;type:bytes" rowseal:"type=interval"`
}

type otherTypes struct {
	ID     uint
	UUID   uuid.UUID       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Words  string          `gorm:"serializer:rowseal;type:bytes" rowseal:"type=uuid"`
	Addr   netip.Addr      `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Prefix netip.Prefix    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	IP     net.IP          `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	JSON   json.RawMessage `gorm:"serializer:rowseal;type:bytes" rowseal:"type=json"`
	JSONB  map[string]any  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Struct notes           `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	List   []notes         `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb"`
}

type arrayTypes struct {
	ID     uint
	Texts  []string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Ints   []int32     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Matrix [][]int64   `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Holes  []*string   `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Floats []float64   `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Bools  [2]bool     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	UUIDs  []uuid.UUID `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Times  []time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date[]"`
	Blobs  [][]byte    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type pointerTypes struct {
	ID    uint
	Text  *string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int   *int       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Bool  *bool      `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Time  *time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Notes *notes     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	UUID  *uuid.UUID `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Bytes *[]byte    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type nullTypes struct {
	ID      uint
	String  sql.NullString      `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int16   sql.NullInt16       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Int64   sql.NullInt64       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Float   sql.NullFloat64     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Bool    sql.NullBool        `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Time    sql.NullTime        `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Generic sql.Null[string]    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Number  sql.Null[int64]     `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	UUID    uuid.NullUUID       `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	PgText  pgtype.Text         `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	PgDate  pgtype.Date         `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	PgInt   pgtype.Int8         `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Deleted sql.Null[time.Time] `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

// customTypes stand beside fields that GORM serializes itself.
type customTypes struct {
	ID     uint
	Colour colour            `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Money  money             `gorm:"serializer:rowseal;type:bytes" rowseal:"type=numeric(12,2)"`
	Phone  *phone            `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Secret *money            `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text"`
	JSON   map[string]string `gorm:"serializer:json"`
	Gob    []string          `gorm:"serializer:gob;type:bytes"`
	Plain  money             `gorm:"type:text"`
	Memo   memo              `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb,key=row"`
}

// colour is a named string that prints as something else.
type colour string

func (colour) String() string { return "a colour" }

// money makes and takes database values.
type money struct{ cents int64 }

func (m money) Value() (driver.Value, error) {
	return fmt.Sprintf("%d.%02d", m.cents/100, m.cents%100), nil
}

func (m *money) Scan(v any) error {
	text := fmt.Sprint(v)
	if b, ok := v.([]byte); ok {
		text = string(b)
	}
	var whole, part int64
	if _, err := fmt.Sscanf(text, "%d.%d", &whole, &part); err != nil {
		return err
	}
	m.cents = whole*100 + part
	return nil
}

// phone is a type with text of its own.
type phone struct{ country, number string }

func (p phone) MarshalText() ([]byte, error) { return []byte(p.country + " " + p.number), nil }

func (p *phone) UnmarshalText(b []byte) error {
	p.country, p.number, _ = strings.Cut(string(b), " ")
	return nil
}

func typeEntries[S secrets]() []entry[S] {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	at := time.Date(2024, 2, 29, 13, 14, 15, 123456000, time.UTC)
	id := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	word := canary + " word"
	return []entry[S]{
		roundTrip[S]("text, varchar, char, bytea", textTypes{
			Text: word, Varchar: canary, Char: "abc", Bytea: []byte(canary), Fixed: [3]byte{1, 2, 3}, Named: canary, Padded: canary,
		}, textTypes{Char: "   "}),
		roundTrip[S]("bool, integers, floats, numeric", numberTypes{
			Bool: true, Int2: -32768, Int4: 1 << 30, Int8: -1 << 63, Int: 7, Uint8: 255, Uint64: 1<<64 - 1,
			Float4: 1.5, Float8: 1e300, Numeric: "12345678.90", Number: "1.50", Big: new(big.Int).Lsh(big.NewInt(1), 100),
		}, numberTypes{Numeric: "0.00", Number: "0"}),
		roundTrip[S]("date, time, timestamp, timestamptz, interval", timeTypes{
			Date: day, Time: "13:14:15.5", Timestamp: at, Timestamptz: at, Millis: at.Truncate(time.Millisecond),
			Interval: 90 * time.Minute, Months: "1 mon 2 days",
		}, timeTypes{Time: "00:00:00", Months: "00:00:00"}),
		roundTrip[S]("uuid, inet, json, jsonb", otherTypes{
			UUID: id, Words: id.String(), Addr: netip.MustParseAddr("2001:db8::1"), Prefix: netip.MustParsePrefix("10.0.0.0/8"),
			IP: net.IPv4(1, 2, 3, 4).To4(), JSON: json.RawMessage(`{"a":"canary"}`), JSONB: map[string]any{"b": canary},
			Struct: notes{Text: canary}, List: []notes{{Text: canary}, {Text: "b"}},
		}),
		roundTrip[S]("arrays", arrayTypes{
			Texts: []string{canary, "", "a,\"b"}, Ints: []int32{1, -2}, Matrix: [][]int64{{1, 2}, {3, 4}}, Holes: []*string{&word, nil},
			Floats: []float64{1.5}, Bools: [2]bool{true, false}, UUIDs: []uuid.UUID{id, id}, Times: []time.Time{day},
			Blobs: [][]byte{[]byte(canary), {}},
		}, arrayTypes{Texts: []string{}}),
		roundTrip[S]("pointers and nil", pointerTypes{
			Text: &word, Int: ptr(3), Bool: ptr(false), Time: &at, Notes: &notes{Text: canary}, UUID: &id, Bytes: ptr([]byte(canary)),
		}, pointerTypes{}, pointerTypes{Text: ptr(""), Int: ptr(0), Notes: &notes{}}),
		roundTrip[S]("sql.Null types, sql.Null[T], pgtype", nullTypes{
			String: sql.NullString{String: canary, Valid: true}, Int16: sql.NullInt16{Int16: 1, Valid: true}, Int64: sql.NullInt64{Int64: 2, Valid: true},
			Float: sql.NullFloat64{Float64: 1.5, Valid: true}, Bool: sql.NullBool{Valid: true}, Time: sql.NullTime{Time: at, Valid: true},
			Generic: sql.Null[string]{V: canary, Valid: true}, Number: sql.Null[int64]{Valid: true}, UUID: uuid.NullUUID{UUID: id, Valid: true},
			PgText: pgtype.Text{String: canary, Valid: true}, PgDate: pgtype.Date{Time: day, Valid: true}, PgInt: pgtype.Int8{Int64: 5, Valid: true},
			Deleted: sql.Null[time.Time]{V: at, Valid: true},
		}, nullTypes{}),
		roundTrip[S]("Scanner and Valuer, TextMarshaler, Stringer, beside serializer:json and gob", customTypes{
			Colour: canary, Money: money{12345}, Phone: &phone{"+46", canary}, Secret: &money{1}, JSON: map[string]string{"a": "b"},
			Gob: []string{"x"}, Plain: money{7}, Memo: memo{Text: canary},
		}, customTypes{}),
	}
}

// roundTrip writes rows and reads them in every way there is; it returns what
// came back changed.
func roundTrip[S secrets, M any](name string, rows ...M) entry[S] {
	return entry[S]{name: name, alone: true, want: []string{}, run: func(w *world[S]) (any, error) {
		fresh := w.Session(&gorm.Session{NewDB: true})
		fresh.DryRun = false
		if err := errors.Join(fresh.Migrator().DropTable(new(M)), fresh.AutoMigrate(new(M)), fresh.AutoMigrate(new(M))); err != nil {
			return nil, err
		}
		want := make([]M, len(rows))
		copy(want, rows)
		if err := w.Create(&want).Error; err != nil {
			return nil, fmt.Errorf("Create: %w", err)
		}
		changed := differing("Create", rows, want)
		for _, r := range readers[M]() {
			got, err := r.read(w.DB, len(rows))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			changed = append(changed, differing(r.name, want, got)...)
		}
		for i := range want {
			if err := w.Model(&want[i]).Select("*").Updates(&want[i]).Error; err != nil {
				return nil, fmt.Errorf("Updates: %w", err)
			}
		}
		got, err := readers[M]()[0].read(w.DB, len(rows))
		return append(changed, differing("Updates", want, got)...), err
	}}
}

type reader[M any] struct {
	name string
	read func(tx *gorm.DB, n int) ([]M, error)
}

func readers[M any]() []reader[M] {
	return []reader[M]{
		{"Find", func(tx *gorm.DB, _ int) (got []M, err error) { return got, tx.Order("id").Find(&got).Error }},
		{"Raw", func(tx *gorm.DB, _ int) (got []M, err error) {
			stmt := &gorm.Statement{DB: tx}
			_ = stmt.Parse(new(M))
			return got, tx.Raw("SELECT * FROM " + stmt.Table + " ORDER BY id").Scan(&got).Error
		}},
		{"Rows", func(tx *gorm.DB, _ int) (got []M, err error) {
			rows, err := tx.Model(new(M)).Order("id").Rows()
			if err != nil {
				return nil, err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var one M
				if err := tx.ScanRows(rows, &one); err != nil {
					return nil, err
				}
				got = append(got, one)
			}
			return got, rows.Err()
		}},
	}
}

// differing names the fields that are not as they were.
func differing[M any](how string, want, got []M) []string {
	changed := []string{}
	if len(got) != len(want) {
		changed = append(changed, fmt.Sprintf("%s: %d rows, not %d", how, len(got), len(want)))
	}
	for i := range min(len(want), len(got)) {
		a, b := reflect.ValueOf(want[i]), reflect.ValueOf(got[i])
		for j := range a.NumField() {
			x, y := a.Field(j).Interface(), b.Field(j).Interface()
			if name := a.Type().Field(j).Name; name != "ID" && !alike(x, y) {
				changed = append(changed, fmt.Sprintf("%s: row %d, %s: %#v, not %#v", how, i, name, y, x))
			}
		}
	}
	return changed
}

// alike takes nil and empty documents and instants in different zones as equal.
func alike(x, y any) bool {
	if reflect.DeepEqual(x, y) {
		return true
	}
	_, custom := x.(driver.Valuer)
	return !custom && shown(x) == shown(y)
}
