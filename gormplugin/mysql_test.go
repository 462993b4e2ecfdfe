package gormplugin_test

import (
	"errors"
	"strings"
	"testing"

	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testmysql"
)

// upsert is a conflict that replaces one sealed value of two.
func upsert(tx *gorm.DB, column string) *gorm.DB {
	return tx.Clauses(clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{column})})
}

func TestAMySQLUpsertThatWouldMixRowsFails(t *testing.T) {
	l := newLab(t, "mysql")
	acme := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
	must(t, l.Create(&acme).Error)
	mine := ticket{PublicID: "t-1", OrgID: 1, Body: canary, Answer: canary}
	must(t, l.Create(&mine).Error)
	before := string(l.dump(t, "members")) + string(l.dump(t, "tickets"))
	for _, tt := range []struct {
		name string
		do   func(tx *gorm.DB) *gorm.DB
		want error
	}{
		{"another tenant", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "phone").Create(&member{ID: acme.ID, OrgID: "beta", Email: canary, Phone: canary})
		}, field.ErrTenantMismatch},
		{"a tenant that differs in case", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "phone").Create(&member{ID: acme.ID, OrgID: "ACME", Email: canary, Phone: canary})
		}, field.ErrTenantMismatch},
		{"a tenant that differs in a space", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "phone").Create(&member{ID: acme.ID, OrgID: "acme ", Email: canary, Phone: canary})
		}, field.ErrTenantMismatch},
		{"the second of two rows", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "phone").Create([]*member{
				{OrgID: "acme", Email: canary, Phone: canary}, {ID: acme.ID, OrgID: "beta", Email: canary, Phone: canary},
			})
		}, field.ErrTenantMismatch},
		{"the tenant assigned, too", func(tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{"org_id", "phone"})}).
				Create(&member{ID: acme.ID, OrgID: "beta", Email: canary, Phone: canary})
		}, field.ErrTenantMismatch},
		{"another row id, found by case", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "body").Create(&ticket{PublicID: "T-1", OrgID: 1, Body: canary, Answer: canary})
		}, field.ErrRowMismatch},
		{"INSERT IGNORE", func(tx *gorm.DB) *gorm.DB {
			return upsert(tx, "phone").Clauses(clause.Insert{Modifier: "IGNORE"}).Create(&member{ID: acme.ID, OrgID: "beta", Email: canary, Phone: canary})
		}, gormplugin.ErrStatement},
		{"a condition, which MySQL does not have", func(tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.OnConflict{
				DoUpdates: clause.AssignmentColumns([]string{"phone"}),
				Where:     clause.Where{Exprs: []clause.Expression{clause.Eq{Column: "role", Value: "x"}}},
			}).Create(&member{ID: acme.ID, OrgID: "acme", Email: canary, Phone: canary})
		}, gormplugin.ErrCondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(l.Session(&gorm.Session{})).Error
			var refused *gormplugin.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &refused) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v", err)
			}
		})
	}
	if string(l.dump(t, "members"))+string(l.dump(t, "tickets")) != before {
		t.Error("a refused statement changed rows")
	}
	t.Run("the row's own is replaced", func(t *testing.T) {
		must(t, upsert(l.DB, "phone").Create(&member{ID: acme.ID, OrgID: "acme", Email: canary, Phone: "canary 2"}).Error)
		must(t, upsert(l.DB, "body").Create(&ticket{PublicID: "t-1", OrgID: 1, Body: "canary body", Answer: canary}).Error)
		var m member
		must(t, l.First(&m, acme.ID).Error)
		var k ticket
		must(t, l.First(&k, "public_id = ?", "t-1").Error)
		if m.Phone != "canary 2" || m.Email != "canary@a" || k.Body != "canary body" {
			t.Errorf("got %+v, %+v", m, k)
		}
	})
	t.Run("another error is not taken for it", func(t *testing.T) {
		err := l.Clauses(clause.OnConflict{DoUpdates: append(
			clause.AssignmentColumns([]string{"phone"}), clause.Assignment{Column: clause.Column{Name: "role"}, Value: gorm.Expr("18446744073709551615 + 1 + id")},
		)}).Create(&member{ID: acme.ID, OrgID: "acme", Email: canary, Phone: canary}).Error
		if err == nil || errors.Is(err, field.ErrTenantMismatch) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMySQLsCollationDoesNotMixTenants(t *testing.T) {
	l := newLab(t, "mysql")
	rows := []*member{
		{OrgID: "acme", Email: canary, Phone: "canary 1"},
		{OrgID: "ACME", Email: canary, Phone: "canary 2"},
		{OrgID: "acme ", Email: canary, Phone: "canary 3"},
		{OrgID: "\u00e9", Email: canary, Phone: "canary 4"},
	}
	must(t, l.Create(rows).Error)
	for _, m := range rows {
		tx := l.as(m.OrgID).Model(&member{}).Where("id > 0").Update("phone", "canary of "+m.OrgID)
		if tx.Error != nil || tx.RowsAffected != 1 {
			t.Errorf("tenant %q: %d rows, %v", m.OrgID, tx.RowsAffected, tx.Error)
		}
		tx = l.Model(&member{}).Where("org_id = ?", m.OrgID).Update("phone", "canary by "+m.OrgID)
		if tx.Error != nil || tx.RowsAffected != 1 {
			t.Errorf("tenant %q by a condition: %d rows, %v", m.OrgID, tx.RowsAffected, tx.Error)
		}
	}
	var got []member
	must(t, l.Order("id").Find(&got).Error)
	for i, m := range got {
		if m.Phone != "canary by "+rows[i].OrgID {
			t.Errorf("tenant %q has %q", rows[i].OrgID, m.Phone)
		}
	}
}

func TestMySQLWhateverTheConnectionSays(t *testing.T) {
	for _, parameters := range [][]string{
		{"clientFoundRows=true", "interpolateParams=true"},
		{"clientFoundRows=true", "interpolateParams=true", "sql_mode='ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'"},
		{"clientFoundRows=true", "sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"},
		{"clientFoundRows=true", "sql_mode=''"},
		{"clientFoundRows=false"},
		{"charset=latin1", "interpolateParams=true"},
	} {
		t.Run(strings.Join(parameters, "&"), func(t *testing.T) {
			dsn := testmysql.DSN(t, append(parameters, "parseTime=true")...)
			cipher, _, _ := newCipher(t)
			l := &lab{kind: "mysql", log: &capture{}, cipher: cipher}
			l.DB = open(t, mysql.Open(dsn), &gorm.Config{Logger: l.log})
			l.plugin = gormplugin.New(cipher)
			l.plugin.Models = models()
			must(t, l.Use(l.plugin))
			l.stock = open(t, mysql.Open(dsn), &gorm.Config{})
			must(t, l.AutoMigrate(models()...))
			var people []person
			for n := range 20 { // sealed bytes are random: among them are quotes and backslashes
				people = append(people, newPerson(n))
			}
			must(t, l.Create(&people).Error)
			people[0].Name = `canary ' " \ ` + "`"
			must(t, l.Save(&people[0]).Error)
			must(t, l.Save(&people[1]).Error)
			var got []person
			must(t, l.Order("id").Find(&got).Error)
			if len(got) != len(people) {
				t.Fatalf("%d people", len(got))
			}
			for i := range got {
				if got[i].Name != people[i].Name || *got[i].SSN != *people[i].SSN || string(got[i].Secret) != string(people[i].Secret) {
					t.Errorf("person %d came back as %+v", i, got[i])
				}
			}
			m := member{OrgID: "acme", Email: canary, Phone: canary}
			must(t, l.Create(&m).Error)
			must(t, l.as("acme").Model(&m).Update("phone", "canary new").Error)
			if err := upsert(l.DB, "phone").Create(&member{ID: m.ID, OrgID: "beta", Email: canary, Phone: canary}).Error; !errors.Is(err, field.ErrTenantMismatch) {
				t.Errorf("a foreign conflict: %v", err)
			}
			l.mustHideCanaries(t)
		})
	}
}

// club's tenant is a pointer.
type club struct {
	ID    uint
	OrgID *string `gorm:"size:40" rowseal:"tenant"`
	Name  string  `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
}

func TestMySQLsCollationFindsNoOtherTenantsRows(t *testing.T) {
	l := newLab(t, "mysql")
	must(t, l.AutoMigrate(&club{}))
	for _, org := range []string{"acme", "ACME", "acme "} {
		must(t, l.Create(&club{OrgID: &org, Name: canary}).Error)
	}
	var n int64
	must(t, l.Model(&club{}).Where("org_id = ? AND name <> ?", "acme", "x").Count(&n).Error)
	if n != 1 {
		t.Errorf("%d rows of the tenant differ", n)
	}
}

func TestAnotherTablesColumnOfThatNameStaysText(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.Exec("CREATE TABLE pets (id integer PRIMARY KEY, name varchar(20), secret varchar(20))").Error)
		must(t, l.stock.Exec("INSERT INTO pets VALUES (1, 'rex', NULL)").Error)
		must(t, l.Create(&person{ID: 1, Name: canary}).Error)
		for _, query := range []string{
			"SELECT pets.* FROM people JOIN pets ON pets.id = people.id",
			"SELECT pets.*, ? AS one FROM people JOIN pets ON pets.id = people.id", // with a parameter, MySQL prepares it
		} {
			var got []map[string]any
			tx := l.Raw(query, make([]any, strings.Count(query, "?"))...)
			if must(t, tx.Scan(&got).Error); len(got) != 1 || got[0]["name"] != "rex" || got[0]["secret"] != nil {
				t.Errorf("read %#v", got)
			}
		}
	})
}
