package gormplugin_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/gormplugin"
)

// changes returns the statements that changed the schema since the log had n
// bytes.
func (l *lab) changes(from int) []string {
	return regexp.MustCompile(`(?m)^(?:CREATE|ALTER|DROP) .*$`).FindAllString(l.log.String()[from:], -1)
}

func (l *lab) logged() int { return len(l.log.String()) }

// mustRefuse fails where err is no refusal of this package with that cause.
func mustRefuse(t testing.TB, what string, err, want error) *gormplugin.Error {
	t.Helper()
	var refused *gormplugin.Error
	if !errors.Is(err, want) || !errors.As(err, &refused) || refused.Remedy == "" || refused.Table == "" {
		t.Errorf("%s: error %v, want %v with a remedy", what, err, want)
		return &gormplugin.Error{}
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("%s: the error shows a value: %v", what, err)
	}
	return refused
}

func TestTheServerRefusesUnsealedBytesOnEveryPath(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		bytesOf := map[string]any{
			"a plaintext": []byte(canary), "a long plaintext": []byte(strings.Repeat(canary, 20)), "a byte": []byte{0},
		}
		if l.kind == "sqlite" {
			bytesOf["text"], bytesOf["a long text"], bytesOf["a number"] = canary, strings.Repeat(canary, 20), 42
		}
		var own []byte
		must(t, l.stock.Raw("SELECT name FROM people").Row().Scan(&own))
		for i := range envelope.GuardSize { // the nearest bytes below and above its own
			less, more := slices.Clone(own), slices.Clone(own)
			less[i]--
			more[i]++
			bytesOf[fmt.Sprint("less in byte ", i)], bytesOf[fmt.Sprint("more in byte ", i)] = less, more
		}
		for name, v := range bytesOf {
			if err := l.stock.Exec("UPDATE people SET name = ?", v).Error; err == nil {
				t.Errorf("UPDATE with %s went through", name)
			}
			if err := l.stock.Exec("INSERT INTO people (name) VALUES (?)", v).Error; err == nil {
				t.Errorf("INSERT of %s went through", name)
			}
		}
		if err := l.stock.Exec("UPDATE people SET name = ssn").Error; err == nil {
			t.Error("another column's value went through")
		}
		must(t, l.stock.Exec("UPDATE people SET name = name").Error)
		must(t, l.stock.Exec("UPDATE people SET name = NULL").Error)
		l.mustHideCanaries(t)
	})
}

func TestASecondMigrationChangesNothing(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&searchedUser{}))
		from := l.logged()
		must(t, l.AutoMigrate(append(models(), &searchedUser{})...))
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("it sent %q", made)
		}
	})
}

func TestPostgreSQLDoesNotCompressSealedColumns(t *testing.T) {
	l := newLab(t, "postgres")
	must(t, l.Migrator().DropColumn(&person{}, "SSN"))
	must(t, l.Migrator().AddColumn(&person{}, "SSN"))
	var storage []string
	must(t, l.stock.Raw("SELECT attstorage FROM pg_attribute WHERE attrelid = 'people'::regclass AND attname IN ('name', 'ssn', 'photo') ORDER BY attname").Scan(&storage).Error)
	if fmt.Sprint(storage) != "[e x e]" {
		t.Errorf("name, photo, ssn: %v", storage)
	}
	if err := l.stock.Exec("INSERT INTO people (ssn) VALUES ('x')").Error; err == nil {
		t.Error("an added column has no guard")
	}
}

// bare has the table of guarded without its guards.
type bare struct {
	ID   uint
	Text []byte
	City string `gorm:"index:idx_city"`
}

func (bare) TableName() string { return "papers" }

type paper struct {
	ID   uint
	Text string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	City string `gorm:"index:idx_city"`
}

func (paper) TableName() string { return "papers" }

type jsonPaper struct {
	ID   uint
	Text notes  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb"`
	City string `gorm:"index:idx_city"`
}

func (jsonPaper) TableName() string { return "papers" }

func TestAnExistingTableGetsItsGuards(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.AutoMigrate(&bare{}))
		must(t, l.stock.Exec("CREATE INDEX mine ON papers (city, id)").Error)
		must(t, l.Create(&paper{Text: canary}).Error)
		must(t, l.stock.Create(&bare{Text: []byte(canary)}).Error)

		refused := mustRefuse(t, "a plaintext in the table", l.AutoMigrate(&paper{}), gormplugin.ErrUnsealed)
		if refused.Column != "text" || !strings.Contains(refused.Remedy, "reseal") {
			t.Errorf("%+v", refused)
		}
		must(t, l.stock.Exec("UPDATE papers SET city = 'a guard is left' WHERE text IS NOT NULL").Error)
		must(t, l.stock.Exec("DELETE FROM papers WHERE id = 2").Error)

		must(t, l.AutoMigrate(&paper{}))
		for _, index := range []string{"mine", "idx_city"} {
			if !l.stock.Migrator().HasIndex("papers", index) {
				t.Errorf("index %s is lost", index)
			}
		}
		var got paper
		must(t, l.First(&got).Error)
		if got.Text != canary {
			t.Errorf("got %+v", got)
		}
		if err := l.stock.Create(&bare{Text: []byte(canary)}).Error; err == nil {
			t.Error("a plaintext went through")
		}
		if err := l.stock.Exec("UPDATE papers SET text = ?", []byte(canary)).Error; err == nil {
			t.Error("a plaintext went through an update")
		}
		must(t, l.stock.Create(&bare{}).Error)
		from := l.logged()
		must(t, l.AutoMigrate(&paper{}))
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("again: %q", made)
		}
	})
}

func TestAChangedGuardIsNoticed(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.AutoMigrate(&bare{})) // so that SQLite's guard can be changed
		must(t, l.AutoMigrate(&paper{}))
		must(t, l.Create(&paper{Text: canary}).Error)
		refused := mustRefuse(t, "rows of the old type", l.AutoMigrate(&jsonPaper{}), gormplugin.ErrUnsealed)
		old := regexp.MustCompile(`rowseal_\w+`).FindString(refused.Remedy)
		if !l.Migrator().HasConstraint(&paper{}, old) {
			t.Fatalf("the old guard %q went with the refusal: %v", old, refused)
		}
		must(t, l.Migrator().DropConstraint(&jsonPaper{}, old))
		if l.Migrator().HasConstraint(&paper{}, old) {
			t.Error("the old guard is still there")
		}
		must(t, l.Save(&jsonPaper{ID: 1, Text: notes{Text: canary}}).Error)
		must(t, l.AutoMigrate(&jsonPaper{}))
		must(t, l.Save(&jsonPaper{ID: 1, Text: notes{Text: canary}}).Error)
		if err := l.Create(&paper{Text: canary}).Error; err == nil {
			t.Error("the old type went through the new guard")
		}
		must(t, l.Exec("DELETE FROM papers").Error)
		must(t, l.AutoMigrate(&paper{})) // no row, no resealing
		must(t, l.Create(&paper{Text: canary}).Error)
	})
}

func TestSQLiteRefusesToChangeATablesOwnGuard(t *testing.T) {
	l := newLab(t, "sqlite")
	must(t, l.AutoMigrate(&paper{}))
	refused := mustRefuse(t, "another type", l.AutoMigrate(&jsonPaper{}), gormplugin.ErrMigration)
	name := regexp.MustCompile(`rowseal_\w+`).FindString(refused.Remedy)
	mustRefuse(t, "dropping it", l.Migrator().DropConstraint(&paper{}, name), gormplugin.ErrMigration)
	must(t, l.Create(&paper{Text: canary}).Error)
}

func TestAGuardIsAConstraintOfItsName(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.AutoMigrate(&bare{}))
		must(t, l.AutoMigrate(&paper{}))
		plant := func() error { return l.stock.Create(&bare{Text: []byte(canary)}).Error }
		name := regexp.MustCompile(`rowseal_\w+`).FindString(fmt.Sprint(plant()))
		m := l.Migrator()
		for range 2 {
			if !m.HasConstraint(&paper{}, name) || m.HasConstraint(&person{}, name) || m.HasConstraint(&paper{}, name+"x") {
				t.Errorf("HasConstraint knows %q wrongly", name)
			}
			must(t, m.DropConstraint(&paper{}, name))
			if m.HasConstraint(&paper{}, name) {
				t.Errorf("%s is still there", name)
			}
			must(t, plant())
			must(t, l.stock.Exec("DELETE FROM papers").Error)
			must(t, m.CreateConstraint(&paper{}, name))
			if err := plant(); err == nil {
				t.Error("a plaintext went through")
			}
		}
	})
}

func TestASealedColumnIsNotCastToAPlainOne(t *testing.T) {
	type plainPaper struct {
		ID   uint
		Text string
	}
	l := newLab(t, "postgres")
	must(t, l.AutoMigrate(&paper{}))
	must(t, l.Create(&paper{Text: canary}).Error)
	if err := l.stock.Table("papers").AutoMigrate(&plainPaper{}); err == nil {
		t.Error("the bytes were cast to text")
	}
	var got paper
	must(t, l.First(&got).Error)
}

func TestDefaultsNeverReachTheSchema(t *testing.T) {
	type plain struct{ ID uint }
	type defaulted struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;default:canary" rowseal:"seal"`
	}
	type owning struct { // the wrong model is one that this one brings along
		ID          uint
		DefaultedID uint
		Defaulted   defaulted
	}
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.Exec("CREATE TABLE defaulteds (id int)").Error)
		from := l.logged()
		for name, err := range map[string]error{
			"AutoMigrate":             l.AutoMigrate(&plain{}, &defaulted{}),
			"AutoMigrate of an owner": l.AutoMigrate(&owning{}),
			"CreateTable":             l.Table("other").Migrator().CreateTable(&defaulted{}),
			"AddColumn":               l.Migrator().AddColumn(&defaulted{}, "SSN"),
			"AlterColumn":             l.Migrator().AlterColumn(&defaulted{}, "SSN"),
			"CreateIndex":             l.Migrator().CreateIndex(&defaulted{}, "SSN"),
		} {
			mustRefuse(t, name, err, gormplugin.ErrTag)
		}
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("sent %q", made)
		}
		l.mustHideCanaries(t)
	})
}

func TestAPlainColumnIsNotCastToASealedOne(t *testing.T) {
	type plainPaper struct {
		ID   uint
		Text string
	}
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.stock.Table("papers").AutoMigrate(&plainPaper{}))
		must(t, l.stock.Exec("INSERT INTO papers (text) VALUES ('clear')").Error)
		from := l.logged()
		mustRefuse(t, "AutoMigrate", l.AutoMigrate(&pinned{}, &paper{}), gormplugin.ErrMigration)
		refused := mustRefuse(t, "AlterColumn", l.Migrator().AlterColumn(&paper{}, "Text"), gormplugin.ErrMigration)
		if refused.Column != "text" || !strings.Contains(refused.Remedy, "new sealed column") {
			t.Errorf("%+v", refused)
		}
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("sent %q", made)
		}
	})
}

type pinned struct {
	ID   uint
	Text string `gorm:"serializer:rowseal;type:bytes" rowseal:"id=text"`
	City string
}

func (pinned) TableName() string { return "pins" }

type pinnedRenamed struct {
	ID   uint
	Body string `gorm:"serializer:rowseal;type:bytes" rowseal:"id=text"`
	City string
}

func (pinnedRenamed) TableName() string { return "pins_2" }
func (pinnedRenamed) RowsealID() string { return "pins" }

func TestARenameKeepsWhatValuesAreBoundTo(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		for name, err := range map[string]error{
			"a column":              l.Migrator().RenameColumn(&person{}, "Name", "full_name"),
			"a column, other way":   l.Migrator().RenameColumn(&person{}, "x", "name"),
			"a column of a table":   l.Migrator().RenameColumn("people", "name", "full_name"),
			"a table":               l.Migrator().RenameTable(&person{}, "persons"),
			"a table by name":       l.Migrator().RenameTable("people", "persons"),
			"a table to its sealed": l.Migrator().RenameTable("x", "people"),
		} {
			mustRefuse(t, name, err, gormplugin.ErrMigration)
		}
		for from, want := range map[string]string{"Name": "id=name ", "was": "id=was "} {
			if err := l.Migrator().RenameColumn(&person{}, from, "ssn"); !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("from %s: %v", from, err)
			}
		}
		must(t, l.Migrator().RenameColumn(&person{}, "City", "town"))

		must(t, l.AutoMigrate(&pinned{}))
		must(t, l.Create(&pinned{Text: canary}).Error)
		must(t, l.Migrator().RenameColumn(&pinned{}, "Text", "body"))
		mustRefuse(t, "a table without RowsealID", l.Migrator().RenameTable(&pinned{}, &pinnedRenamed{}), gormplugin.ErrMigration)
		must(t, l.stock.Migrator().RenameTable("pins", "pins_2"))
		from := l.logged()
		must(t, l.AutoMigrate(&pinnedRenamed{}))
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("after the rename: %q", made)
		}
		var got pinnedRenamed
		must(t, l.First(&got).Error)
		if got.Body != canary {
			t.Errorf("got %+v", got)
		}
		if err := l.stock.Exec("UPDATE pins_2 SET body = ?", []byte(canary)).Error; err == nil {
			t.Error("the guard is lost")
		}
		must(t, l.Migrator().RenameTable(&pinnedRenamed{}, "pins_3"))
	})
}

func TestColumnsCanBeDroppedAndAltered(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		must(t, l.Migrator().DropColumn(&person{}, "SSN"))
		must(t, l.Migrator().DropColumn(&person{}, "Photo"))
		must(t, l.Migrator().AlterColumn(&person{}, "Secret"))
		var got person
		must(t, l.Omit("ssn", "photo").First(&got).Error)
		if got.Name != p.Name || string(got.Secret) != string(p.Secret) || got.SSN != nil {
			t.Errorf("got %+v", got)
		}
		for _, column := range []string{"name", "secret"} {
			if err := l.stock.Exec("UPDATE people SET "+column+" = ?", []byte(canary)).Error; err == nil {
				t.Errorf("%s lost its guard", column)
			}
		}
		must(t, l.AutoMigrate(&person{}))
		if err := l.stock.Exec("UPDATE people SET ssn = ?", []byte(canary)).Error; err == nil {
			t.Error("the column that came back has no guard")
		}
		p = newPerson(2)
		must(t, l.Create(&p).Error)
	})
}

func TestADryRunSendsNothing(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Session(&gorm.Session{DryRun: true}).AutoMigrate(&paper{}))
		if l.stock.Migrator().HasTable("papers") {
			t.Error("the table was made")
		}
		must(t, l.stock.AutoMigrate(&bare{}))
		from := l.logged()
		must(t, l.Session(&gorm.Session{DryRun: true}).AutoMigrate(&paper{}))
		if made := strings.Join(l.changes(from), "\n"); !strings.Contains(made, "rowseal_papers_text_guard_") {
			t.Errorf("the log has no statement to run by hand: %s", made)
		}
		must(t, l.stock.Create(&bare{Text: []byte("x")}).Error)
	})
}

func TestTheDialectorStaysTheDatabases(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		if l.Name() != l.kind {
			t.Errorf("Name is %q", l.Name())
		}
		own := l.Dialector.(interface{ Unwrap() gorm.Dialector }).Unwrap()
		if _, ok := own.(*postgres.Dialector); ok != (l.kind == "postgres") {
			t.Errorf("Unwrap gives %T", own)
		}
		must(t, l.plugin.Initialize(l.DB))
		if again := l.Dialector.(interface{ Unwrap() gorm.Dialector }).Unwrap(); again != own {
			t.Errorf("wrapped twice: %T", again)
		}
		must(t, l.Transaction(func(tx *gorm.DB) error {
			must(t, tx.SavePoint("sp").Error)
			p := newPerson(1)
			must(t, tx.Create(&p).Error)
			return tx.RollbackTo("sp").Error
		}))
		var n int64
		must(t, l.Model(&person{}).Count(&n).Error)
		if n != 0 {
			t.Error("RollbackTo kept the row")
		}
	})
	l := newLab(t, "postgres", func(c *gorm.Config) { c.TranslateError = true })
	p := newPerson(1)
	p.ID = 7
	must(t, l.Create(&p).Error)
	if err := l.Create(&p).Error; !errors.Is(err, gorm.ErrDuplicatedKey) {
		t.Errorf("errors are not translated: %v", err)
	}
}

func TestAModelThatGORMCannotParseIsAnError(t *testing.T) {
	l := newLab(t, "sqlite")
	if err := l.AutoMigrate(&struct{ Value any }{}); err == nil {
		t.Error("no error")
	}
}

func TestMigrationsInsideATransaction(t *testing.T) {
	expressive(t, func(t *testing.T, l *lab) {
		stop := errors.New("stop")
		err := l.Transaction(func(tx *gorm.DB) error {
			must(t, tx.AutoMigrate(&paper{}))
			must(t, tx.Create(&paper{Text: canary}).Error)
			return stop
		})
		if !errors.Is(err, stop) || l.stock.Migrator().HasTable("papers") {
			t.Errorf("error %v, or the table stayed", err)
		}
	})
}

func TestMigrationsUnderOtherConfigurations(t *testing.T) {
	for name, change := range map[string]func(*gorm.Config){
		"TranslateError":           func(c *gorm.Config) { c.TranslateError = true },
		"PrepareStmt":              func(c *gorm.Config) { c.PrepareStmt = true },
		"DisableNestedTransaction": func(c *gorm.Config) { c.DisableNestedTransaction = true },
	} {
		for _, kind := range []string{"sqlite", "postgres"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				l := newLab(t, kind, change)
				must(t, l.stock.AutoMigrate(&bare{}))
				must(t, l.stock.Create(&bare{Text: []byte(canary)}).Error)
				mustRefuse(t, "a plaintext in the table", l.AutoMigrate(&paper{}), gormplugin.ErrUnsealed)
				must(t, l.stock.Exec("DELETE FROM papers").Error)
				must(t, l.AutoMigrate(&paper{}, &searchedUser{}))
				must(t, l.Migrator().DropColumn(&paper{}, "City"))
				must(t, l.AutoMigrate(&paper{}))
				must(t, l.Create(&paper{Text: canary}).Error)
				must(t, l.First(&paper{}).Error)
				if err := l.stock.Create(&bare{Text: []byte(canary)}).Error; err == nil {
					t.Error("a plaintext went through")
				}
			})
		}
	}
}

func TestATableOfAnotherNameGetsTheModelsGuards(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Table("papers_2024").AutoMigrate(&paper{}))
		must(t, l.Table("papers_2024").Create(&paper{Text: canary}).Error)
		if err := l.stock.Table("papers_2024").Create(&bare{Text: []byte(canary)}).Error; err == nil || !strings.Contains(err.Error(), "rowseal_papers_2024_text_guard_") {
			t.Errorf("a plaintext: %v", err)
		}
		from := l.logged()
		must(t, l.Table("papers_2024").AutoMigrate(&paper{}))
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("again: %q", made)
		}
	})
}
