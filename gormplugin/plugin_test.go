package gormplugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

func TestWithoutThePluginNothingIsWrittenOrRead(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		if err := l.stock.Create(&p).Error; err == nil {
			t.Error("Create passed")
		} else if l.kind == "sqlite" && strings.Contains(err.Error(), canary) {
			t.Error("the error shows the value")
		}
		p = newPerson(1)
		p.ID = 1
		if err := l.stock.Save(&p).Error; err == nil {
			t.Error("Save passed")
		}
		must(t, l.Create(&p).Error)
		if err := l.stock.First(&person{}).Error; !errors.Is(err, gormplugin.ErrNotRegistered) {
			t.Errorf("First: %v", err)
		}
		if bytes.Contains(l.dump(t, "people"), []byte(canary)) {
			t.Error("the table holds a plaintext")
		}
	})
}

func TestWrongTagsAreRefusedWithTheRightOnes(t *testing.T) {
	l := newLab(t, "sqlite")
	type noSerializer struct {
		ID  uint
		SSN string `gorm:"size:10" rowseal:"seal"`
	}
	type noType struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal" rowseal:"seal"`
	}
	type noTag struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes"`
	}
	type defaulted struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;default:canary" rowseal:"seal"`
	}
	type unique struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;uniqueIndex:u" rowseal:"seal"`
	}
	type uniqueToo struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index:u,unique" rowseal:"seal"`
	}
	type key struct {
		SSN string `gorm:"serializer:rowseal;type:bytes;primaryKey" rowseal:"seal"`
	}
	type unknownWord struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes" rowseal:"encrypt"`
	}
	type noColumn struct {
		ID  uint
		SSN string `gorm:"-" rowseal:"seal"`
	}
	type twoTenants struct {
		ID   uint
		A, B string `rowseal:"tenant"`
	}
	type sealedTenant struct {
		ID uint
		A  string `gorm:"serializer:rowseal;type:bytes" rowseal:"tenant"`
	}
	type channel struct {
		ID uint
		C  chan int `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	}
	cases := []struct {
		model any
		says  string
	}{
		{&noSerializer{}, "SSN string `gorm:\"serializer:rowseal;type:bytes;size:10\" rowseal:\"seal\"`"},
		{&noType{}, "gorm:\"serializer:rowseal;type:bytes\" rowseal:\"seal\""},
		{&noTag{}, `rowseal:"seal"`},
		{&defaulted{}, "remove `default`"},
		{&unique{}, "remove `uniqueindex`"},
		{&uniqueToo{}, "remove `unique`"},
		{&key{}, "primary key"},
		{&unknownWord{}, "encrypt"},
		{&noColumn{}, "no column"},
		{&twoTenants{}, "one field"},
		{&sealedTenant{}, "no serializer"},
		{&channel{}, "chan"},
	}
	for _, c := range cases {
		for name, err := range map[string]error{
			"Create": l.Create(c.model).Error, "Find": l.Find(c.model).Error, "Updates": l.Model(c.model).Where("1 = 1").Updates(c.model).Error,
		} {
			if !errors.Is(err, gormplugin.ErrTag) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%T: %s: %v", c.model, name, err)
			}
		}
		p := gormplugin.New(l.cipher)
		p.Models = []any{c.model}
		db := open(t, dialector(t, "sqlite")(), &gorm.Config{Logger: l.log})
		if err := db.Use(p); !errors.Is(err, gormplugin.ErrTag) {
			t.Errorf("%T: Use: %v", c.model, err)
		}
	}
	if err := l.stock.Use(gormplugin.New(nil)); err == nil {
		t.Error("a plugin without a cipher was registered")
	}
}

func TestMigratingTwiceMakesByteColumnsOnce(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		before := l.log.String()
		must(t, l.AutoMigrate(models()...))
		if ddl := strings.TrimPrefix(l.log.String(), before); strings.Contains(ddl, "ALTER TABLE") || strings.Contains(ddl, "CREATE TABLE") {
			t.Errorf("the second migration changed something: %s", ddl)
		}
		types, err := l.Migrator().ColumnTypes(&person{})
		must(t, err)
		for _, c := range types {
			want := map[string]string{"sqlite": "blob", "postgres": "bytea", "mysql": "longblob"}[l.kind]
			if c.Name() == "name" && !strings.EqualFold(c.DatabaseTypeName(), want) {
				t.Errorf("name is %s, want %s", c.DatabaseTypeName(), want)
			}
		}
		must(t, l.Migrator().AlterColumn(&person{}, "City")) // SQLite copies the table
		must(t, l.First(&p).Error)
	})
}

type hooked struct {
	ID   uint
	Name string   `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	seen []string `gorm:"-"`
}

func (hooked) TableName() string { return "hooked" }

func (h *hooked) BeforeCreate(*gorm.DB) error { h.Name += "!"; return h.see("BeforeCreate") }
func (h *hooked) AfterCreate(*gorm.DB) error  { return h.see("AfterCreate") }
func (h *hooked) BeforeUpdate(*gorm.DB) error { return h.see("BeforeUpdate") }
func (h *hooked) AfterFind(*gorm.DB) error    { return h.see("AfterFind") }

func (h *hooked) see(hook string) error {
	h.seen = append(h.seen, hook+" "+h.Name)
	return nil
}

func TestHooksSeePlaintextOnce(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&hooked{}))
		h := hooked{Name: canary}
		must(t, l.Create(&h).Error)
		h.Name = "saved"
		must(t, l.Save(&h).Error)
		var got hooked
		must(t, l.First(&got, h.ID).Error)
		seen := strings.Join(append(h.seen, got.seen...), ",")
		if want := "BeforeCreate canary!,AfterCreate canary!,BeforeUpdate saved,AfterFind saved"; seen != want {
			t.Errorf("hooks saw %s, want %s", seen, want)
		}
	})
}

func TestPreparedStatementsSealAndOpen(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, kind, func(c *gorm.Config) { c.PrepareStmt = true })
			for i := range 3 {
				p := newPerson(i)
				must(t, l.Create(&p).Error)
				must(t, l.Model(&p).Update("name", "canary x").Error)
				must(t, l.Transaction(func(tx *gorm.DB) error { return tx.First(&p, p.ID).Error }))
				if p.Name != "canary x" {
					t.Errorf("got %+v", p)
				}
				var name string
				must(t, l.Model(&person{}).Where("id = ?", p.ID).Select("name").Row().Scan(&name))
			}
			l.mustHideCanaries(t)
		})
	}
}

func TestInitializingTwiceSealsOnce(t *testing.T) {
	l := newLab(t, "sqlite")
	must(t, l.plugin.Initialize(l.DB))
	// dbresolver opens its databases with a copy of the configuration, whose
	// clause builders are shared and whose callbacks are not.
	config := *l.Config
	second := open(t, dialector(t, "sqlite")(), &config)
	must(t, second.AutoMigrate(&person{}))
	for _, db := range []*gorm.DB{l.DB, second} {
		p := newPerson(1)
		must(t, db.Create(&p).Error)
		var got person
		must(t, db.First(&got).Error)
		if got.Name != p.Name {
			t.Errorf("got %+v", got)
		}
	}
}

func TestManyGoroutinesShareOneSchema(t *testing.T) {
	l := newLab(t, "postgres")
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 10 {
				p := newPerson(g*100 + i)
				if err := l.Create(&p).Error; err != nil {
					t.Error(err)
				}
				var got person
				if err := l.First(&got, p.ID).Error; err != nil || got.Name != p.Name {
					t.Errorf("got %q, error %v", got.Name, err)
				}
			}
		})
	}
	group.Wait()
}

func TestAPageFetchesItsKeysAtOnce(t *testing.T) {
	l := newLab(t, "sqlite")
	for i := range 300 {
		must(t, l.Create(&member{OrgID: fmt.Sprintf("tenant %d", i%50), Email: canary}).Error)
	}
	cold := gormplugin.New(coldCipher(t, l))
	db := open(t, l.dial(), &gorm.Config{Logger: l.log})
	must(t, db.Use(cold))
	before := l.store.Queries()
	var all []member
	must(t, db.Find(&all).Error)
	if n := l.store.Queries() - before; len(all) != 300 || n > 2 {
		t.Errorf("%d rows took %d key-store queries, want at most 2", len(all), n)
	}
}

func TestAssociationsSealBothSides(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&owner{}, &pet{}))
		o := owner{Name: "canary owner", Pets: []pet{{Name: "canary pet"}, {Name: "canary pet 2"}}}
		must(t, l.Create(&o).Error)
		var got owner
		must(t, l.Preload("Pets").First(&got, o.ID).Error)
		if got.Name != o.Name || len(got.Pets) != 2 || got.Pets[1].Name != "canary pet 2" {
			t.Errorf("Preload: %+v", got)
		}
		var pets []pet
		must(t, l.Joins("Owner").Order("pets.id").Find(&pets).Error)
		if len(pets) != 2 || pets[0].Name != "canary pet" || pets[0].Owner == nil || pets[0].Owner.Name != o.Name {
			t.Errorf("Joins: %+v", pets)
		}
		must(t, l.Create(&pet{Name: "canary stray"}).Error)
		var stray pet
		must(t, l.Joins("Owner").Last(&stray).Error)
		if stray.Name != "canary stray" || stray.Owner != nil {
			t.Errorf("a join without a match: %+v", stray)
		}
		must(t, l.Model(&o).Association("Pets").Append(&pet{Name: "canary third"}))
		if n := l.Model(&o).Association("Pets").Count(); n != 3 {
			t.Errorf("%d pets", n)
		}
		if err := l.Where("owners.name = ?", canary).Joins("Owner").Find(&pets).Error; err == nil {
			t.Error("a condition on a joined sealed column passed")
		}
		for _, table := range []string{"owners", "pets"} {
			if bytes.Contains(l.dump(t, table), []byte(canary)) {
				t.Errorf("table %s holds a plaintext", table)
			}
		}
		l.mustHideCanaries(t)
	})
}

type owner struct {
	ID   uint
	Name string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Pets []pet
}

type pet struct {
	ID      uint
	OwnerID *uint
	Owner   *owner
	Name    string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func TestGenericsSealAndOpen(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		ctx := context.Background()
		p := newPerson(1)
		must(t, gorm.G[person](l.DB).Create(ctx, &p))
		got, err := gorm.G[person](l.DB).Where("id = ?", p.ID).First(ctx)
		must(t, err)
		if got.Name != p.Name {
			t.Errorf("got %+v", got)
		}
		if _, err := gorm.G[person](l.DB).Where("name = ?", p.Name).First(ctx); !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("a condition: %v", err)
		}
		if _, err := gorm.G[person](l.DB).Where("id = ?", p.ID).Update(ctx, "name", "canary g"); err != nil {
			t.Error(err)
		}
		l.mustHideCanaries(t)
	})
}

// bareMember is another model of the table members, without tags.
type bareMember struct {
	ID    uint
	OrgID string
	Email string
}

func (bareMember) TableName() string { return "members" }

func TestAnUntaggedModelOfASealedTableReadsAndDoesNotWrite(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Create(&member{OrgID: "acme", Email: canary}).Error)
		var got bareMember
		must(t, l.First(&got).Error)
		if got.Email != canary {
			t.Errorf("got %+v", got)
		}
		if err := l.Create(&bareMember{OrgID: "acme", Email: canary}).Error; !errors.Is(err, gormplugin.ErrUnsealed) {
			t.Errorf("Create: %v", err)
		}
		if err := l.Model(&got).Update("email", canary).Error; !errors.Is(err, gormplugin.ErrUnsealed) {
			t.Errorf("Update: %v", err)
		}
		l.mustHideCanaries(t)
	})
}

func TestAnotherTableOfTheSameModel(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Table("people_2024").AutoMigrate(&person{}))
		p := newPerson(1)
		must(t, l.Table("people_2024").Create(&p).Error)
		var got person
		must(t, l.Table("people_2024").First(&got, p.ID).Error)
		if got.Name != p.Name {
			t.Errorf("got %+v", got)
		}
		if err := l.Table("people_2024").Where("name = ?", canary).First(&got).Error; !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("a condition: %v", err)
		}
		if bytes.Contains(l.dump(t, "people_2024"), []byte(canary)) {
			t.Error("the table holds a plaintext")
		}
	})
}

func TestLargeResultsComeInWindows(t *testing.T) {
	l := newLab(t, "sqlite")
	many := make([]person, 700)
	for i := range many {
		many[i] = newPerson(i)
	}
	must(t, l.CreateInBatches(&many, 100).Error)
	rows, err := l.Model(&person{}).Order("id").Rows()
	must(t, err)
	n := 0
	for rows.Next() {
		n++
	}
	must(t, rows.Err())
	must(t, rows.Close())
	var got []person
	must(t, l.Order("id").Find(&got).Error)
	if n != 700 || len(got) != 700 || got[699].Name != many[699].Name {
		t.Errorf("%d and %d rows", n, len(got))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.WithContext(ctx).Find(&got).Error; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read: %v", err)
	}
}

func TestErrorsCarryNoValue(t *testing.T) {
	l := newLab(t, "sqlite")
	type limited struct {
		ID   uint
		Name string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(3)"`
	}
	must(t, l.AutoMigrate(&limited{}))
	err := l.Create(&limited{Name: canary}).Error
	var where *field.Error
	if !errors.As(err, &where) || where.Column != "name" || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
	if b, _ := json.Marshal(err); bytes.Contains(b, []byte(canary)) {
		t.Error("the error's JSON shows the value")
	}
}

// Go skips a tag that is not well formed, and the column would be written in
// clear.
func TestATagThatGoSkipsIsRefused(t *testing.T) {
	type capital struct {
		ID  uint
		SSN string `Rowseal:"seal"`
	}
	databases(t, func(t *testing.T, l *lab) {
		if err := l.DB.Create(&capital{SSN: "canary"}).Error; !errors.Is(err, gormplugin.ErrTag) {
			t.Error(err)
		}
	})
}

func TestWithoutThePluginTheGuardsStopWhatNoFieldDoes(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		for name, tx := range map[string]*gorm.DB{
			"map":    l.stock.Model(&person{}).Create(map[string]any{"name": canary + " a map"}),
			"update": l.stock.Model(&person{}).Where("id = ?", p.ID).Update("name", canary+" an update"),
			"exec":   l.stock.Exec("UPDATE people SET name = ?", []byte(canary)),
		} {
			if tx.Error == nil {
				t.Errorf("%s passed", name)
			}
		}
		if bytes.Contains(l.dump(t, "people"), []byte(canary)) {
			t.Error("the table holds a plaintext")
		}
	})
}

func TestAPluginThatNewDidNotMakeIsRefused(t *testing.T) {
	db := open(t, dialector(t, "sqlite")(), &gorm.Config{})
	if err := db.Use(&gormplugin.Plugin{}); err == nil || !strings.Contains(err.Error(), "gormplugin.New") {
		t.Errorf("error %v", err)
	}
}

func TestDestinationsThatDoNotFitShowNoValue(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		into := func(dest any) *gorm.DB { return l.Model(&person{}).Select("name").Scan(dest) }
		for name, tx := range map[string]*gorm.DB{
			"structs":  into(&[]struct{ Name int }{}),
			"a struct": into(&struct{ Name bool }{}),
			"a value":  into(new(int)),
			"times":    into(&[]struct{ Name time.Time }{}),
			"pluck":    l.Model(&person{}).Pluck("name", &[]bool{}),
			"take":     l.Table("people").Select("name").Take(&struct{ Name float64 }{}),
			"raw":      l.Raw("SELECT name AS label FROM people").Scan(&[]struct{ Label int }{}),
		} {
			var e *gormplugin.Error
			if !errors.As(tx.Error, &e) || !errors.Is(e, gormplugin.ErrDestination) || e.Column == "" {
				t.Errorf("%s: %v", name, tx.Error)
			}
		}
		l.mustHideCanaries(t)
	})
}

func TestASecretIsNoFieldOfAModel(t *testing.T) {
	type vault struct {
		ID  uint
		Key field.Secret[string] `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text"`
	}
	l := newLab(t, "sqlite")
	if err := l.AutoMigrate(&vault{}); !errors.Is(err, gormplugin.ErrTag) {
		t.Errorf("error %v", err)
	}
}
