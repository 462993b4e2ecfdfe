package gormplugin_test

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/gormplugin"
)

// parcel's label takes over from a plain column.
type parcel struct {
	ID    uint
	Label *string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(40),transition=label_clear"`
	Count int16   `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int2,search=equality"`
}

// parcelOfBoth is the same table, and writes both columns.
type parcelOfBoth struct {
	ID    uint
	Label *string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(40),transition=label_clear/both"`
}

func (parcelOfBoth) TableName() string { return "parcels" }

func TestMigrationsCheckThePlainColumn(t *testing.T) {
	tests := []struct {
		plain      string
		sealedOnly string // what the refusal says; "" where it is allowed
		both       string
	}{
		{"varchar(40)", "", ""},
		{"varchar(40) DEFAULT NULL", "", ""},
		{"varchar(80)", "", ""},
		{"text", "", ""},
		{"varchar(40) NOT NULL", "NOT NULL", ""},
		{"varchar(40) DEFAULT 'none'", "default", "default"},
		{"varchar(40) NOT NULL DEFAULT ''", "default", "default"},
		{"varchar(20)", "", "widen"},
		{"integer", "cannot stand for varchar(40)", "cannot stand for varchar(40)"},
	}
	databases(t, func(t *testing.T, l *lab) {
		for _, tt := range tests {
			if l.kind == "sqlite" && tt.both == "widen" {
				tt.both = "" // SQLite's texts have no length
			}
			l.mustMigrateParcels(t, tt.plain, &parcelOfBoth{}, tt.both)
			l.mustMigrateParcels(t, tt.plain, &parcel{}, tt.sealedOnly)
		}
	})
}

// mustMigrateParcels fails where a migration beside that plain column is not
// refused for the reason given, or is refused without one.
func (l *lab) mustMigrateParcels(t *testing.T, plain string, model any, refusal string) {
	t.Helper()
	must(t, l.stock.Exec("DROP TABLE IF EXISTS parcels").Error)
	must(t, l.stock.Exec("CREATE TABLE parcels (id integer PRIMARY KEY, label_clear "+plain+")").Error)
	from := l.logged()
	err := l.AutoMigrate(model)
	if refusal == "" {
		must(t, err)
		return
	}
	refused := mustRefuse(t, plain, err, gormplugin.ErrMigration)
	if refused.Column != "label" || !strings.Contains(refused.Remedy, refusal) || !strings.Contains(refused.Remedy, "label_clear") {
		t.Errorf("%T, %s: %+v", model, plain, refused)
	}
	if made := l.changes(from); len(made) != 0 {
		t.Errorf("%T, %s: it sent %q", model, plain, made)
	}
}

func TestTheRemedyForAPlainColumnWorks(t *testing.T) {
	for _, kind := range []string{"postgres", "mysql"} {
		for i, plain := range []string{"NOT NULL DEFAULT 'x'", "NOT NULL", "DEFAULT 'x'"} {
			t.Run(kind+" "+plain, func(t *testing.T) {
				l := newLab(t, kind)
				collate := onMySQL(l.DB, "COLLATE utf8mb4_bin ", "")
				must(t, l.stock.Exec("CREATE TABLE parcels (id integer PRIMARY KEY, label_clear varchar(40) "+collate+plain+")").Error)
				refused := mustRefuse(t, plain, l.AutoMigrate(&parcel{}), gormplugin.ErrMigration)
				_, statement, _ := strings.Cut(refused.Remedy, ": ")
				must(t, l.stock.Exec(statement).Error)
				must(t, l.AutoMigrate(&parcel{}))
				must(t, l.Create(&parcel{ID: uint(i + 1)}).Error)
				var got parcel
				if must(t, l.First(&got).Error); got.Label != nil {
					t.Errorf("read %q", *got.Label)
				}
				if kind == "mysql" {
					var collation string
					must(t, l.stock.Raw("SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name = 'label_clear'").Scan(&collation).Error)
					if collation != "utf8mb4_bin" {
						t.Errorf("the collation is now %s", collation)
					}
				}
			})
		}
	}
}

func TestAddedAndAlteredColumnsHoldAllSealedBytes(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.Exec("CREATE TABLE parcels (id integer PRIMARY KEY, label_clear varchar(40))").Error)
		for i, step := range []func(tx *gorm.DB) error{
			func(tx *gorm.DB) error { return tx.AutoMigrate(&parcel{}) },
			func(tx *gorm.DB) error { return tx.Migrator().AlterColumn(&parcel{}, "Count") },
		} {
			must(t, step(l.DB))
			p := parcel{ID: uint(i + 1), Label: ptr(strings.Repeat("x", 40)), Count: 7}
			must(t, l.Create(&p).Error)
			var got parcel
			must(t, l.First(&got, p.ID).Error)
			if got.Count != 7 || *got.Label != *p.Label {
				t.Errorf("step %d: read %s", i, fmt.Sprint(got.Count, *got.Label))
			}
		}
	})
}
