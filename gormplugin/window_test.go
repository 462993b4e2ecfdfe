package gormplugin_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rowseal/rowseal/gormplugin"
)

// wideRow has plain columns of every type that is handed out as a pointer, and
// some that are not.
type wideRow struct {
	ID      uint
	Secret  string  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Perhaps *string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Bytes   []byte  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Text    string
	Blob    []byte
	Maybe   *string
	Flag    bool
	Ratio   float64
	At      time.Time
	I       int
	I16     int16
	I64     int64
	U32     uint32
}

func newWideRow(i int) wideRow {
	r := wideRow{
		Secret: fmt.Sprint("secret ", i), Bytes: fmt.Append(nil, "bytes ", i), Text: fmt.Sprint("text ", i),
		Blob: fmt.Append(nil, "blob ", i), Flag: i%2 == 0, Ratio: float64(i) / 4,
		At: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC), I: -i, I16: int16(i), I64: int64(i) << 40, U32: uint32(i),
	}
	if i%3 == 0 {
		r.Perhaps, r.Maybe = ptr(fmt.Sprint("perhaps ", i)), ptr(fmt.Sprint("maybe ", i))
	}
	return r
}

func (r wideRow) equal(o wideRow) bool {
	same := func(a, b *string) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
	return r.ID == o.ID && r.Secret == o.Secret && same(r.Perhaps, o.Perhaps) && bytes.Equal(r.Bytes, o.Bytes) &&
		r.Text == o.Text && bytes.Equal(r.Blob, o.Blob) && same(r.Maybe, o.Maybe) && r.Flag == o.Flag &&
		r.Ratio == o.Ratio && r.At.Equal(o.At) && r.I == o.I && r.I16 == o.I16 && r.I64 == o.I64 && r.U32 == o.U32
}

// wideLab has rows for several windows.
func wideLab(t *testing.T, l *lab) []wideRow {
	t.Helper()
	must(t, l.AutoMigrate(&wideRow{}))
	want := make([]wideRow, 600)
	for i := range want {
		want[i] = newWideRow(i)
	}
	must(t, l.CreateInBatches(&want, 200).Error)
	return want
}

func TestRowsOfSeveralWindowsComeBackUnmixed(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		want := wideLab(t, l)
		var first []wideRow
		must(t, l.Order("id").Find(&first).Error)
		var second []wideRow // would overwrite what the first still refers to
		must(t, l.Order("id DESC").Find(&second).Error)
		slices.Reverse(second)
		var third []*wideRow
		must(t, l.Order("id").Find(&third).Error)
		if len(first) != len(want) || len(second) != len(want) || len(third) != len(want) {
			t.Fatalf("%d, %d and %d rows, want %d", len(first), len(second), len(third), len(want))
		}
		for i, w := range want {
			if !first[i].equal(w) || !second[i].equal(w) || !third[i].equal(w) {
				t.Fatalf("row %d: %+v, %+v, %+v; want %+v", i, first[i], second[i], *third[i], w)
			}
		}
		var maps []map[string]any
		must(t, l.Model(&wideRow{}).Order("id").Find(&maps).Error)
		for i, w := range want {
			if m := maps[i]; m["secret"] != w.Secret || m["text"] != w.Text || fmt.Sprint(m["u32"]) != fmt.Sprint(w.U32) {
				t.Fatalf("map %d: %v", i, m)
			}
		}
	})
}

func TestRowsClosedHalfwayLeaveNothingToLaterOnes(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		want := wideLab(t, l)
		for range 3 {
			rows, err := l.Model(&wideRow{}).Select("secret", "text").Order("id").Rows()
			must(t, err)
			for range 300 {
				if !rows.Next() {
					t.Fatal(rows.Err())
				}
			}
			must(t, rows.Close())
			var one wideRow
			must(t, l.First(&one, want[5].ID).Error)
			if !one.equal(want[5]) {
				t.Errorf("got %+v", one)
			}
		}
	})
}

func TestAPlainNumberThatDoesNotFitIsRefused(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		want := wideLab(t, l)[:2]
		type narrow struct {
			ID     uint
			Secret string
			I64    int16
			I      uint
		}
		for _, column := range []string{"i64", "i"} {
			var got []narrow
			err := l.Model(&wideRow{}).Select("id", "secret", column).Where("id = ?", want[1].ID).Find(&got).Error
			if !errors.Is(err, gormplugin.ErrDestination) {
				t.Errorf("%s: error %v, rows %+v", column, err, got)
			}
		}
		must(t, l.stock.Exec("UPDATE wide_rows SET text = NULL, i = NULL, flag = NULL").Error)
		var row wideRow
		must(t, l.First(&row, want[1].ID).Error)
		if row.Text != "" || row.I != 0 || row.Flag || row.Secret != want[1].Secret {
			t.Errorf("NULLs: %+v", row)
		}
	})
}
