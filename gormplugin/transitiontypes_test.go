package gormplugin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/gormplugin"
)

// sort has columns of many types in transition, all of which write both.
type sort struct {
	ID     uint
	Text   string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(20),search=equality,transition=c_text/both"`
	Fixed  string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=char(3),search=equality,transition=c_fixed/both"`
	Small  int16     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int2,search=equality,transition=c_small/both"`
	Large  int64     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int8,search=equality,transition=c_large/both"`
	Float  float64   `gorm:"serializer:rowseal;type:bytes" rowseal:"type=float8,search=equality,transition=c_float/both"`
	Amount string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=numeric(10,2),search=equality,transition=c_amount/both"`
	Yes    *bool     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=bool,search=equality,transition=c_yes/both"`
	Day    time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date,search=equality,transition=c_day/both"`
	At     time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=timestamptz,search=equality,transition=c_at/both"`
	Blob   []byte    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=bytea,search=equality,transition=c_blob/both"`
	Token  string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=uuid,search=equality,transition=c_token/both"`
	Prefs  notes     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb,transition=c_prefs/both"`
}

// plainSort is its table as it was before.
type plainSort struct {
	ID      uint
	CText   string `gorm:"type:varchar(20)"`
	CFixed  string `gorm:"type:char(3)"`
	CSmall  int16  `gorm:"type:smallint"`
	CLarge  int64
	CFloat  float64 `gorm:"type:double precision"`
	CAmount string  `gorm:"type:numeric(10,2)"`
	CYes    *bool
	CDay    time.Time `gorm:"type:date"`
	CAt     time.Time
	CBlob   []byte
	CToken  string `gorm:"type:uuid"`
	CPrefs  string `gorm:"type:jsonb"`
}

// plainSorts makes it on MySQL, which has neither uuid nor jsonb.
const plainSorts = `CREATE TABLE sorts (id bigint AUTO_INCREMENT PRIMARY KEY, c_text varchar(20), c_fixed char(3),
	c_small smallint, c_large bigint, c_float double, c_amount decimal(10,2), c_yes boolean, c_day date,
	c_at datetime(6), c_blob blob, c_token char(36), c_prefs json)`

func (plainSort) TableName() string { return "sorts" }

func (plainSort) text(t *testing.T, db *gorm.DB) string {
	t.Helper()
	var got []plainSort
	must(t, db.Order("id").Find(&got).Error)
	var out strings.Builder
	for _, s := range got {
		s.CDay, s.CAt = s.CDay.UTC(), s.CAt.UTC()
		var prefs notes
		must(t, json.Unmarshal([]byte(s.CPrefs), &prefs))
		s.CPrefs = fmt.Sprint(prefs)
		yes := deref(s.CYes)
		s.CYes = nil
		fmt.Fprintf(&out, "%+v %v\n", s, yes)
	}
	return out.String()
}

func TestPlainColumnsOfEveryTypeAreReadFoundAndWritten(t *testing.T) {
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, kind)
			if kind == "mysql" {
				must(t, l.stock.Exec(plainSorts).Error)
			} else {
				must(t, l.stock.AutoMigrate(&plainSort{}))
			}
			old := plainSort{
				ID: 1, CText: canary, CFixed: "abc", CSmall: -7, CLarge: 1 << 40, CFloat: 0.5, CAmount: "12.50", CYes: ptr(false),
				CDay: time.Date(1990, 2, 3, 0, 0, 0, 0, time.UTC), CAt: time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC), CBlob: []byte{0, 0xff, 1},
				CToken: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", CPrefs: `{"text":"canary note","tags":["a"]}`,
			}
			must(t, l.stock.Create(&old).Error)
			must(t, l.AutoMigrate(&sort{}))
			must(t, l.AutoMigrate(&sort{}))
			before := plainSort{}.text(t, l.stock)

			want := sort{
				ID: 1, Text: canary, Fixed: "abc", Small: -7, Large: 1 << 40, Float: 0.5, Amount: "12.50", Yes: ptr(false), Day: old.CDay, At: old.CAt,
				Blob: []byte{0, 0xff, 1}, Token: old.CToken, Prefs: notes{Text: canary + " note", Tags: []string{"a"}},
			}
			check := func() {
				t.Helper()
				var got sort
				must(t, l.First(&got, 1).Error)
				got.Day, got.At = got.Day.UTC(), got.At.UTC()
				if !reflect.DeepEqual(got, want) {
					t.Errorf("read %+v\nwant %+v", got, want)
				}
				for column, v := range map[string]any{
					"text": want.Text, "fixed": "abc", "small": -7, "large": want.Large, "float": want.Float, "amount": "12.5",
					"yes": false, "day": want.Day, "at": want.At, "blob": want.Blob, "token": want.Token,
				} {
					var n, m int64
					column = onMySQL(l.DB, "`"+column+"`", column) // where float is a word of SQL
					must(t, l.Model(&sort{}).Where(column+" = ?", v).Count(&n).Error)
					must(t, l.Model(&sort{}).Where(column+" <> ?", v).Count(&m).Error)
					if n != 1 || m != 0 {
						t.Errorf("%s: %d are equal, %d are not", column, n, m)
					}
				}
				var n int64
				must(t, l.Model(&sort{}).Where("text = ? OR small = ? OR amount = ?", strings.Repeat("x", 40), 1<<30, "12.504").Count(&n).Error)
				if n != 0 {
					t.Errorf("%d rows equal what the columns cannot hold", n)
				}
			}
			check()
			row := want
			must(t, l.Save(&row).Error)
			check()
			if after := (plainSort{}).text(t, l.stock); after != before {
				t.Errorf("the plain columns are now\n%s\nand were\n%s", after, before)
			}
			row.ID = 2
			must(t, l.Create(&row).Error)
			if both := (plainSort{}).text(t, l.stock); strings.Count(both, before[5:]) != 2 {
				t.Errorf("a new row differs:\n%s", both)
			}
			left, err := l.plugin.Remaining(l.DB, &sort{})
			must(t, err)
			if len(left) != 12 || left["text"].Unsealed != 0 || left["prefs"].Unsealed != 0 {
				t.Errorf("left are %v", left)
			}
			var sealed []struct{ Text, Prefs []byte }
			must(t, l.stock.Raw("SELECT text, prefs FROM sorts").Scan(&sealed).Error)
			for _, s := range sealed {
				if text := string(s.Text) + string(s.Prefs); len(text) < 60 || strings.Contains(text, canary) {
					t.Errorf("sealed columns hold %d bytes", len(text))
				}
			}
			if text := l.log.String(); strings.Contains(text, canary) {
				t.Errorf("the log shows a plaintext: %s", around(text))
			}
		})
	}
}

func TestAModelHasNoFieldForThePlainColumn(t *testing.T) {
	type twoFields struct {
		ID         uint
		Email      string `gorm:"serializer:rowseal;type:bytes" rowseal:"transition=email_clear"`
		EmailClear string
	}
	l := newLab(t, "sqlite")
	var e *gormplugin.Error
	if err := l.Create(&twoFields{}).Error; !errors.As(err, &e) || !errors.Is(err, gormplugin.ErrTag) || e.Column != "EmailClear" {
		t.Error(err)
	}
}

// house and flat are associated, and flats' doors are in transition.
type house struct {
	ID    uint
	Flats []flat
}

type flat struct {
	ID      uint
	HouseID uint
	Door    string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,search=equality,transition=door_clear"`
	NextID  *uint
	Next    *flat
}

func TestAssociationsInTransitionAreRead(t *testing.T) {
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, kind, func(c *gorm.Config) { c.PrepareStmt = true })
			must(t, l.AutoMigrate(&house{}, &flat{}))
			must(t, l.stock.Exec("ALTER TABLE flats ADD COLUMN door_clear text").Error)
			must(t, l.Create(&house{ID: 1, Flats: []flat{{ID: 1, Door: canary + " 1"}, {ID: 2, Door: canary + " 2", NextID: ptr(uint(1))}}}).Error)
			must(t, l.stock.Exec("INSERT INTO flats (id, house_id, door_clear, next_id) VALUES (3, 1, ?, 2), (4, 1, ?, 3)", canary+" 3", canary+" 4").Error)
			for range 2 {
				var h house
				must(t, l.Transaction(func(tx *gorm.DB) error {
					left, err := l.plugin.Remaining(tx, &flat{})
					if err != nil || left["door"].Unsealed != 2 {
						t.Errorf("left are %v, %v", left, err)
					}
					return tx.Preload("Flats", func(tx *gorm.DB) *gorm.DB { return tx.Order("flats.id") }).First(&h).Error
				}))
				var joined []flat
				must(t, l.Joins("Next").Where("flats.door <> ?", "x").Order("flats.id").Find(&joined).Error)
				for i := range 4 {
					want := fmt.Sprint(canary, " ", i+1)
					if h.Flats[i].Door != want || joined[i].Door != want {
						t.Errorf("door %d is %q and %q", i+1, h.Flats[i].Door, joined[i].Door)
					}
					if i > 0 && joined[i].Next.Door != h.Flats[i-1].Door || i == 0 && joined[i].Next != nil {
						t.Errorf("next to door %d is %+v", i+1, joined[i].Next)
					}
				}
				var found []flat
				must(t, l.Joins("Next").Where(onMySQL(l.DB, "`Next`.`door` = ?", `"Next"."door" = ?`), canary+" 3").Find(&found).Error)
				if len(found) != 1 || found[0].ID != 4 {
					t.Errorf("found %+v", found)
				}
			}
			// SQLite alters a column by copying the table.
			must(t, l.Migrator().AlterColumn(&flat{}, "HouseID"))
			left, err := l.plugin.Remaining(l.DB, &flat{})
			must(t, err)
			if left["door"].Unsealed != 2 {
				t.Errorf("after a migration, left are %v", left)
			}
			if text := l.log.String(); strings.Contains(text, canary) {
				t.Errorf("the log shows a plaintext: %s", around(text))
			}
		})
	}
}
