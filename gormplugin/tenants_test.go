package gormplugin_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

func (l *lab) as(tenant string) *gorm.DB {
	return l.WithContext(gormplugin.WithTenant(context.Background(), tenant))
}

func TestTheTenantComesFromTheRowOrTheContext(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		m := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
		must(t, l.Create(&m).Error)
		must(t, l.as("acme").First(&member{}, m.ID).Error)

		filled := member{Email: "canary@b", Phone: "canary 2"}
		must(t, l.as("beta").Create(&filled).Error)
		if filled.OrgID != "beta" {
			t.Errorf("the tenant was not filled in: %+v", filled)
		}
		must(t, l.as("beta").Model(&member{}).Create(map[string]any{"email": "canary@c", "phone": "canary 3", "org_id": nil}).Error)
		var all []member
		must(t, l.Order("id").Find(&all).Error)
		if len(all) != 3 || all[1].OrgID != "beta" || all[2].OrgID != "beta" || all[2].Email != "canary@c" {
			t.Errorf("got %+v", all)
		}
		l.mustHideCanaries(t)
	})
}

func TestWhatTheTenantForbidsIsRefused(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		acme := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
		beta := member{OrgID: "beta", Email: "canary@b", Phone: "canary 2"}
		must(t, l.Create([]*member{&acme, &beta}).Error)
		unknown, mismatch := field.ErrTenantUnknown, field.ErrTenantMismatch
		cases := []refusal{
			{"Create without a tenant", unknown, func(tx *gorm.DB) *gorm.DB { return tx.Create(&member{Email: canary}) }},
			{"Create without the column", unknown, func(*gorm.DB) *gorm.DB { return l.as("acme").Omit("org_id").Create(&member{Email: canary}) }},
			{"Create of a map without the column", unknown, func(*gorm.DB) *gorm.DB {
				return l.as("acme").Model(&member{}).Create(map[string]any{"email": canary})
			}},
			{"Create for another tenant", mismatch, func(*gorm.DB) *gorm.DB { return l.as("beta").Create(&member{OrgID: "acme", Email: canary}) }},
			{"Update without a tenant", unknown, func(tx *gorm.DB) *gorm.DB {
				return tx.Model(&member{}).Where("id = ?", acme.ID).Update("email", canary)
			}},
			{"Update of two tenants' rows", mismatch, func(tx *gorm.DB) *gorm.DB {
				return tx.Model([]member{acme, beta}).Update("email", canary)
			}},
			{"Update for another tenant", mismatch, func(*gorm.DB) *gorm.DB {
				m := acme
				return l.as("beta").Model(&m).Update("email", canary)
			}},
			{"moving a row", mismatch, func(tx *gorm.DB) *gorm.DB { m := acme; return tx.Model(&m).Update("org_id", "beta") }},
			{"moving a row by condition", mismatch, func(tx *gorm.DB) *gorm.DB {
				return tx.Model(&member{}).Where("id = ?", acme.ID).Update("org_id", "beta")
			}},
			{"moving a row with one value", mismatch, func(tx *gorm.DB) *gorm.DB {
				m := acme
				return tx.Model(&m).Updates(member{OrgID: "beta", Email: canary})
			}},
			{"moving a row that says so itself", mismatch, func(tx *gorm.DB) *gorm.DB {
				return tx.Updates(&member{ID: acme.ID, OrgID: "beta", Email: canary})
			}},
			{"a tenant by expression", unknown, func(tx *gorm.DB) *gorm.DB { m := acme; return tx.Model(&m).Update("org_id", gorm.Expr("'beta'")) }},
			{"reading another tenant's row", mismatch, func(*gorm.DB) *gorm.DB { return l.as("beta").First(&member{}, acme.ID) }},
			{"reading another tenant's value alone", mismatch, func(*gorm.DB) *gorm.DB {
				return l.as("beta").Model(&member{}).Where("id = ?", acme.ID).Pluck("email", &[]string{})
			}},
		}
		before := l.dump(t, "members")
		for _, c := range cases {
			if tx := c.run(l.Session(&gorm.Session{})); !errors.Is(tx.Error, c.want) {
				t.Errorf("%s: error %v, want %v", c.name, tx.Error, c.want)
			}
		}
		if string(l.dump(t, "members")) != string(before) {
			t.Error("a refused statement changed rows")
		}
	})
}

func TestAnUpdateTouchesItsTenantsRowsOnly(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		acme := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
		beta := member{OrgID: "beta", Email: "canary@b", Phone: "canary 2"}
		must(t, l.Create([]*member{&acme, &beta}).Error)
		tx := l.as("acme").Model(&member{}).Where("id > 0\nOR id < 0").Update("phone", "canary new")
		if tx.Error != nil || tx.RowsAffected != 1 {
			t.Errorf("%d rows, error %v", tx.RowsAffected, tx.Error)
		}
		tx = l.as("acme").Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&member{}).Update("phone", "canary newer")
		if tx.Error != nil || tx.RowsAffected != 1 {
			t.Errorf("global update: %d rows, error %v", tx.RowsAffected, tx.Error)
		}
		if tx := l.as("acme").Model(&member{}).Update("phone", canary); !errors.Is(tx.Error, gorm.ErrMissingWhereClause) {
			t.Errorf("an update without a condition: %v", tx.Error)
		}
		must(t, l.Model(&member{}).Where("org_id = ?", "beta").Update("phone", "canary beta").Error)
		// A conflict with another tenant's row leaves it alone; on MySQL the statement fails.
		stolen := member{ID: beta.ID, OrgID: "acme", Email: canary, Phone: canary}
		err := l.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"phone"})}).Create(&stolen).Error
		if l.kind == "mysql" && errors.Is(err, field.ErrTenantMismatch) {
			err = nil
		}
		must(t, err)
		var got []member
		must(t, l.Order("id").Find(&got).Error)
		if got[0].Phone != "canary newer" || got[1].Phone != "canary beta" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestSaveMovesARowBecauseItReplacesEverything(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		m := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
		must(t, l.Create(&m).Error)
		m.OrgID = "beta"
		must(t, l.Save(&m).Error)
		var got member
		must(t, l.as("beta").First(&got, m.ID).Error)
		if got != m {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAValueMovedToAnotherTenantOrRowDoesNotOpen(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		l.withoutGuards(t)
		acme := member{OrgID: "acme", Email: "canary@a", Phone: "canary 1"}
		beta := member{OrgID: "beta", Email: "canary@b", Phone: "canary 2"}
		must(t, l.Create([]*member{&acme, &beta}).Error)
		must(t, l.stock.Exec("UPDATE members SET email = (SELECT email FROM members WHERE id = ?) WHERE id = ?", acme.ID, beta.ID).Error)
		if err := l.First(&member{}, beta.ID).Error; !errors.Is(err, field.ErrTenantMismatch) {
			t.Errorf("another tenant's value: %v", err)
		}
		must(t, l.stock.Exec("UPDATE members SET email = phone WHERE id = ?", acme.ID).Error)
		if err := l.First(&member{}, acme.ID).Error; !errors.Is(err, field.ErrWrongColumn) {
			t.Errorf("another column's value: %v", err)
		}
		must(t, l.Create([]*ticket{{PublicID: "a", OrgID: 1, Body: canary}, {PublicID: "b", OrgID: 1, Body: canary}}).Error)
		must(t, l.stock.Exec("UPDATE tickets SET body = (SELECT body FROM tickets WHERE public_id = 'a') WHERE public_id = 'b'").Error)
		if err := l.Where("public_id = ?", "b").First(&ticket{}).Error; !errors.Is(err, field.ErrRowMismatch) {
			t.Errorf("another row's value: %v", err)
		}
		if err := l.Model(&person{}).Error; err != nil {
			t.Error(err)
		}
		must(t, l.stock.Exec("INSERT INTO people (id, name) VALUES (1, ?)", []byte("in clear")).Error)
		if err := l.First(&person{}, 1).Error; err == nil {
			t.Error("unsealed bytes were read")
		}
	})
}

func TestRowIDsBindValues(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		a := ticket{PublicID: "a", OrgID: 7, Body: "canary body", Answer: "canary answer"}
		must(t, l.Create(&a).Error)
		must(t, l.Model(&a).Update("body", "canary 2").Error)
		must(t, l.Model(&ticket{}).Where("public_id = ? AND 1 = 1", "a").Where("public_id = ?", "a").Where("org_id = ?", 7).Update("answer", "canary 3").Error)
		var got ticket
		must(t, l.First(&got, "public_id = ?", "a").Error)
		if got.Body != "canary 2" || got.Answer != "canary 3" {
			t.Errorf("got %+v", got)
		}
		got.State = "open"
		must(t, l.Save(&got).Error)
		cases := []refusal{
			{"Create without an id", field.ErrRowUnknown, func(tx *gorm.DB) *gorm.DB { return tx.Create(&ticket{OrgID: 7, Body: canary}) }},
			{"Update of many", gormplugin.ErrManyRows, func(tx *gorm.DB) *gorm.DB {
				return tx.Model(&ticket{}).Where("org_id = ?", 7).Update("body", canary)
			}},
			{"another id", field.ErrRowMismatch, func(tx *gorm.DB) *gorm.DB { return tx.Model(&ticket{PublicID: "a", OrgID: 7}).Update("public_id", "b") }},
		}
		for _, c := range cases {
			if tx := c.run(l.Session(&gorm.Session{})); !errors.Is(tx.Error, c.want) {
				t.Errorf("%s: error %v, want %v", c.name, tx.Error, c.want)
			}
		}
		l.mustHideCanaries(t)
	})
}

type uuidDoc struct {
	ID     uint
	Tenant uuid.UUID `gorm:"type:uuid" rowseal:"tenant"`
	Text   string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func (uuidDoc) TableName() string { return "public.docs" }

type intDoc struct {
	ID     uint
	Tenant int32  `rowseal:"tenant"`
	Text   string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func (intDoc) TableName() string { return "docs" }

// TestValuesOfGORMOpenThroughFieldAlone holds for a table declared with and
// without its schema, and for tenants that are no text.
func TestValuesOfGORMOpenThroughFieldAlone(t *testing.T) {
	l := newLab(t, "postgres")
	tenant := uuid.MustParse("6BA7B810-9DAD-11D1-80B4-00C04FD430C8")
	check := func(tableName, tenant string) {
		t.Helper()
		var b []byte
		must(t, l.stock.Raw("SELECT text FROM docs").Row().Scan(&b))
		cfg := field.TableConfig{Name: tableName, Tenant: field.TenantSource{Column: "tenant"}}
		tag, err := field.ParseTag("type=text")
		must(t, err)
		column, err := tag.ColumnConfig("text", nil)
		must(t, err)
		cfg.Columns = []field.ColumnConfig{column}
		table, err := field.NewTable(cfg)
		must(t, err)
		var text string
		must(t, l.cipher.Open(context.Background(), &text, table.Column("text"), field.Row{Tenant: tenant}, b))
		if text != canary {
			t.Errorf("got %q", text)
		}
		if err := l.cipher.Open(context.Background(), &text, table.Column("text"), field.Row{Tenant: "other"}, b); !errors.Is(err, field.ErrTenantMismatch) {
			t.Errorf("another tenant: %v", err)
		}
	}
	must(t, l.AutoMigrate(&uuidDoc{}))
	must(t, l.Create(&uuidDoc{Tenant: tenant, Text: canary}).Error)
	must(t, l.First(&uuidDoc{}).Error)
	check("docs", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	must(t, l.stock.Exec("DROP TABLE docs").Error)
	must(t, l.AutoMigrate(&intDoc{}))
	must(t, l.as("42").Create(&intDoc{Text: canary}).Error)
	must(t, l.as("42").First(&intDoc{}).Error)
	check("public.docs", "42")
}

func TestANewTenantInATransactionOnOneConnection(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		pool, err := l.DB.DB()
		must(t, err)
		pool.SetMaxOpenConns(1)
		rolledBack := errors.New("rolled back")
		err = l.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(&member{OrgID: "new", Email: canary}).Error)
			must(t, tx.First(&member{}, "org_id = ?", "new").Error)
			return rolledBack
		})
		if !errors.Is(err, rolledBack) {
			t.Fatal(err)
		}
		m := member{OrgID: "new", Email: "canary again"}
		must(t, l.Create(&m).Error)
		must(t, l.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Transaction(func(tx *gorm.DB) error {
				return tx.Model(&m).Update("phone", "canary inner").Error
			}))
			return nil
		}, &sql.TxOptions{}))
		must(t, l.First(&m).Error)
		if m.Phone != "canary inner" {
			t.Errorf("got %+v", m)
		}
	})
}

func TestModelsWithoutATenantField(t *testing.T) {
	l := newLab(t, "sqlite")
	p := newPerson(1)
	must(t, l.Create(&p).Error)
	must(t, l.as("default").First(&person{}, p.ID).Error)
	q := newPerson(2)
	must(t, l.as("acme").Create(&q).Error)
	if err := l.as("default").First(&person{}, q.ID).Error; !errors.Is(err, field.ErrTenantMismatch) {
		t.Errorf("another tenant's row: %v", err)
	}
	strict := gormplugin.New(l.cipher)
	strict.RequireTenant = true
	db := open(t, dialector(t, "sqlite")(), &gorm.Config{Logger: l.log})
	must(t, db.Use(strict))
	must(t, db.AutoMigrate(&person{}))
	if err := db.Create(&p).Error; !errors.Is(err, field.ErrTenantUnknown) {
		t.Errorf("RequireTenant: %v", err)
	}
}

func TestNoStatementMovesARowAndLeavesItsValuesBehind(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		row := member{OrgID: "a", Email: "x@example.org"}
		must(t, l.DB.Create(&row).Error)
		for name, do := range map[string]func() error{
			"by hand": func() error { return l.DB.Exec("UPDATE members SET org_id = 'b'").Error },
			"by an upsert in another case": func() error {
				return l.DB.Clauses(clause.OnConflict{
					Columns:   []clause.Column{{Name: "id"}},
					DoUpdates: clause.Set{{Column: clause.Column{Name: "ORG_ID"}, Value: "b"}},
				}).Create(&member{ID: row.ID, OrgID: "a", Email: "y@example.org"}).Error
			},
		} {
			if err := do(); err == nil {
				t.Errorf("moved %s", name)
			}
			var read member
			must(t, l.DB.First(&read, row.ID).Error)
			if read.OrgID != "a" || read.Email != row.Email {
				t.Errorf("after moving %s: %+v", name, read)
			}
		}
	})
}

func TestAnUpdateTakesItsTenantFromATextOfSeveralConditions(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Create(&[]member{{OrgID: "a", Email: canary + "1", Role: "x"}, {OrgID: "b", Email: canary + "2", Role: "x"}}).Error)
		update := func(where string, args ...any) *gorm.DB {
			return l.Model(&member{}).Where(where, args...).Update("email", canary+"new")
		}
		for where, args := range map[string][]any{
			"org_id = ? AND role = ?":              {"a", "x"},
			"role = ? AND members.org_id = ?":      {"x", "a"},
			"(role = ? AND (org_id = ?)) AND id>?": {"x", "a", 0},
		} {
			if tx := update(where, args...); tx.Error != nil || tx.RowsAffected != 1 {
				t.Errorf("%s: %d rows, %v", where, tx.RowsAffected, tx.Error)
			}
		}
		for where, args := range map[string][]any{
			"org_id = ? OR role = ?":                {"a", "x"},
			"NOT (org_id = ? AND role = ?)":         {"a", "y"},
			"role BETWEEN ? AND org_id = ?":         {"x", "a"},
			"org_id = ? || ? AND role = ?":          {"a", "", "x"},
			"CASE WHEN org_id = ? THEN 1 END = ?":   {"a", 1},
			"role IN (SELECT ? WHERE org_id = ?)":   {"x", "a"},
			"lower(org_id) = ? AND role = ?":        {"a", "x"},
			"other.org_id = ? AND members.role = ?": {"a", "x"},
		} {
			if err := update(where, args...).Error; !errors.Is(err, field.ErrTenantUnknown) {
				t.Errorf("%s: %v", where, err)
			}
		}
		var b member
		must(t, l.Where("org_id = ?", "b").Take(&b).Error)
		if b.Email != canary+"2" {
			t.Errorf("tenant b has %q", b.Email)
		}
	})
}
