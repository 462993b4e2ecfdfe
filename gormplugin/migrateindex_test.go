package gormplugin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/gormplugin"
)

// searchedUser's sealed columns, but for Note, are searchable.
type searchedUser struct {
	ID    uint
	OrgID int64  `gorm:"uniqueIndex:idx_org_email,priority:1" rowseal:"tenant"`
	Email string `gorm:"serializer:rowseal;type:bytes;uniqueIndex:idx_org_email,priority:2,where:org_id > 0" rowseal:"search=equality"`
	Phone string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	First string `gorm:"serializer:rowseal;type:bytes;index:idx_names" rowseal:"search=equality"`
	Last  string `gorm:"serializer:rowseal;type:bytes;index:idx_names" rowseal:"search=equality"`
	Note  string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func (searchedUser) TableName() string { return "searched_users" }

// definitions returns the indexes of a table as the database tells them.
func (l *lab) definitions(t testing.TB, table string) string {
	t.Helper()
	query := "SELECT indexdef FROM pg_indexes WHERE tablename = ?"
	if l.kind == "sqlite" {
		query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
	}
	var all []string
	must(t, l.stock.Raw(query, table).Scan(&all).Error)
	slices.Sort(all)
	return strings.NewReplacer("`", "", `"`, "", ", ", ",").Replace(strings.Join(all, "\n"))
}

func TestSearchIndexesAreOverTheTerm(t *testing.T) {
	expressive(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&searchedUser{}))
		have := l.definitions(t, "searched_users")
		for _, want := range []string{
			"org_id,substr(email,9,16))", "(substr(phone,9,16))", "(substr(first,9,16),substr(last,9,16))", "rowseal_searched_users_phone_eq_",
		} {
			if !strings.Contains(have, want) {
				t.Errorf("no index %s in\n%s", want, have)
			}
		}
		if n := strings.Count(have, "CREATE UNIQUE INDEX idx_org_email"); n != 1 {
			t.Errorf("%d unique indexes in\n%s", n, have)
		}
		if strings.Contains(have, "note") || strings.Count(have, "substr(email") != 1 {
			t.Errorf("too much in\n%s", have)
		}
		m := l.Migrator()
		for _, name := range []string{"idx_org_email", "idx_names", "Phone", "phone"} {
			if !m.HasIndex(&searchedUser{}, name) {
				t.Errorf("HasIndex does not find %s", name)
			}
			must(t, m.DropIndex(&searchedUser{}, name))
			if m.HasIndex(&searchedUser{}, name) {
				t.Errorf("HasIndex finds %s, which is gone", name)
			}
			must(t, m.CreateIndex(&searchedUser{}, name))
		}
		must(t, m.DropIndex(&searchedUser{}, "phone"))
		mustRefuse(t, "dropping it again", m.DropIndex(&searchedUser{}, "phone"), gormplugin.ErrMigration)
		must(t, l.AutoMigrate(&searchedUser{}))
		if l.definitions(t, "searched_users") != have {
			t.Errorf("AutoMigrate made\n%s\nfor\n%s", l.definitions(t, "searched_users"), have)
		}
	})
}

// withTerm returns bytes that look like a sealed value of a column, with a term.
func (l *lab) withTerm(t testing.TB, column string, flags, term, rest byte) []byte {
	t.Helper()
	must(t, l.withoutTerms(t).Select("org_id", column).Create(&searchedUser{OrgID: 1, Email: "e"}).Error)
	var b []byte
	must(t, l.stock.Raw("SELECT "+column+" FROM searched_users_plain").Row().Scan(&b))
	must(t, l.stock.Exec("DROP TABLE searched_users_plain").Error)
	out := append([]byte(nil), b[:8]...)
	out[7] = flags
	for range 16 {
		out = append(out, term)
	}
	return append(out, []byte(strings.Repeat(string(rune('a'+rest)), 60))...)
}

// withoutTerms returns a session that writes to a table of the same columns
// and no guards: the columns' values have no terms.
func (l *lab) withoutTerms(t testing.TB) *gorm.DB {
	t.Helper()
	must(t, l.stock.Exec("CREATE TABLE searched_users_plain AS SELECT * FROM searched_users").Error)
	return l.Table("searched_users_plain").Session(&gorm.Session{})
}

func TestADroppedColumnTakesItsSearchIndexAlong(t *testing.T) {
	expressive(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&searchedUser{}))
		must(t, l.Migrator().DropColumn(&searchedUser{}, "Phone"))
		must(t, l.Migrator().DropColumn(&searchedUser{}, "Last"))
		have := l.definitions(t, "searched_users")
		if strings.Contains(have, "phone") || strings.Contains(have, "last") || !strings.Contains(have, "org_id,substr(email,9,16))") {
			t.Errorf("left are\n%s", have)
		}
		if err := l.stock.Exec("INSERT INTO searched_users (email) VALUES (?)", l.withTerm(t, "email", 0, 'z', 1)).Error; err == nil {
			t.Error("a value without a term went through")
		}
		must(t, l.AutoMigrate(&searchedUser{}))
		if have := l.definitions(t, "searched_users"); !strings.Contains(have, "(substr(phone,9,16))") {
			t.Errorf("the column came back with\n%s", have)
		}
	})
}

func TestAnIndexOverSealedBytesIsNotTheSearchIndex(t *testing.T) {
	expressive(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&searchedUser{}))
		must(t, l.Migrator().DropIndex(&searchedUser{}, "idx_names"))
		must(t, l.stock.Exec("CREATE INDEX idx_names ON searched_users (first, last)").Error)
		if l.Migrator().HasIndex(&searchedUser{}, "idx_names") {
			t.Error("HasIndex takes it for the search index")
		}
		if err := l.AutoMigrate(&searchedUser{}); err == nil {
			t.Error("AutoMigrate passes it over without a word")
		}
	})
}

func TestAUniqueIndexRefusesASecondTerm(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&searchedUser{}))
		flags := byte(3)
		if l.kind == "mysql" {
			flags = 1 // the header is a part of its index
		}
		first, again, other := l.withTerm(t, "email", 1, 'x', 1), l.withTerm(t, "email", flags, 'x', 2), l.withTerm(t, "email", 1, 'y', 1)
		insert := func(org int, b []byte) error {
			return l.stock.Exec("INSERT INTO searched_users (org_id, email) VALUES (?, ?)", org, b).Error
		}
		must(t, insert(1, first))
		must(t, insert(1, other))
		must(t, insert(2, first))
		if err := insert(1, again); err == nil {
			t.Error("the same term went through twice")
		}
		if err := insert(3, l.withTerm(t, "email", 0, 'z', 1)); err == nil {
			t.Error("a value without a term went through")
		}

		must(t, l.Migrator().DropIndex(&searchedUser{}, "idx_org_email"))
		must(t, insert(1, again))
		err := l.AutoMigrate(&searchedUser{})
		if err == nil || strings.Contains(err.Error(), "78787878") {
			t.Errorf("a unique index over equal terms: %v", err)
		}
		if l.kind == "postgres" && !errors.Is(err, gorm.ErrDuplicatedKey) {
			t.Errorf("error %v", err)
		}
	})
}

func TestIndexesThatTermsCannotServeAreRefused(t *testing.T) {
	type plainIndex struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index" rowseal:"seal"`
	}
	type searchedUnique struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;unique" rowseal:"search=equality"`
	}
	type searchedWhere struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"index:i,where:ssn = 'canary'"`
	}
	type searchedExpression struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"index:i,expression:lower(ssn)"`
	}
	type searchedSort struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index:i,sort:desc" rowseal:"search=equality"`
	}
	type searchedCollate struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index:i,collate:C" rowseal:"search=equality"`
	}
	type searchedLength struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index:i,length:10" rowseal:"search=equality"`
	}
	type searchedOption struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"index:i,option:INCLUDE (ssn)"`
	}
	type searchedCheck struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"check:city <> '' or ssn <> 'canary'"`
	}
	type searchedComputed struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"->;type:text GENERATED ALWAYS AS (lower(ssn)) STORED"`
	}
	type searchedUnreadable struct {
		ID   uint
		SSN  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
		City string `gorm:"check:city <> 'x"`
	}
	databases(t, func(t *testing.T, l *lab) {
		from := l.logged()
		for _, model := range []any{
			&plainIndex{}, &searchedUnique{}, &searchedWhere{}, &searchedExpression{}, &searchedSort{}, &searchedCollate{}, &searchedLength{},
			&searchedOption{}, &searchedCheck{}, &searchedComputed{}, &searchedUnreadable{},
		} {
			mustRefuse(t, "AutoMigrate", l.AutoMigrate(model), gormplugin.ErrTag)
			mustRefuse(t, "CreateTable", l.Migrator().CreateTable(model), gormplugin.ErrTag)
		}
		if made := l.changes(from); len(made) != 0 {
			t.Errorf("sent %q", made)
		}
	})
	type searchedGin struct {
		ID  uint
		SSN string `gorm:"serializer:rowseal;type:bytes;index:i,type:gin" rowseal:"search=equality"`
	}
	l := newLab(t, "postgres")
	mustRefuse(t, "an index type", l.AutoMigrate(&searchedGin{}), gormplugin.ErrTag)
}

// prefixedUser is searchedUser without the partial index, which MySQL has not.
type prefixedUser struct {
	ID    uint
	OrgID int64  `gorm:"uniqueIndex:idx_org_email,priority:1" rowseal:"tenant"`
	Email string `gorm:"serializer:rowseal;type:bytes;uniqueIndex:idx_org_email,priority:2" rowseal:"search=equality"`
	Phone string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	First string `gorm:"serializer:rowseal;type:bytes;index:idx_names" rowseal:"search=equality"`
	Last  string `gorm:"serializer:rowseal;type:bytes;index:idx_names" rowseal:"search=equality"`
}

func TestSearchIndexesArePrefixesInMySQL(t *testing.T) {
	l := newLab(t, "mysql")
	made := func() string {
		t.Helper()
		must(t, l.AutoMigrate(&prefixedUser{}))
		var table, definition string
		must(t, l.stock.Raw("SHOW CREATE TABLE prefixed_users").Row().Scan(&table, &definition))
		return definition
	}
	have := made()
	for _, want := range []string{"UNIQUE KEY `idx_org_email` (`org_id`,`email`(24))", "(`phone`(24))", "KEY `idx_names` (`first`(24),`last`(24))"} {
		if !strings.Contains(have, want) {
			t.Errorf("no %s in\n%s", want, have)
		}
	}
	if again := made(); again != have {
		t.Errorf("AutoMigrate made\n%s\nof\n%s", again, have)
	}
	for _, name := range []string{"idx_org_email", "Phone"} {
		must(t, l.Migrator().DropIndex(&prefixedUser{}, name))
		if l.Migrator().HasIndex(&prefixedUser{}, name) {
			t.Errorf("HasIndex finds %s, which is gone", name)
		}
	}
	made()
	if !l.Migrator().HasIndex(&prefixedUser{}, "idx_org_email") || !l.Migrator().HasIndex(&prefixedUser{}, "Phone") {
		t.Error("the indexes did not come back")
	}
}
