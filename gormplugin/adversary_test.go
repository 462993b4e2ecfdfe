package gormplugin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// deal has a tenant and a row id that are numbers.
type deal struct {
	ID    uint
	OrgID int64  `rowseal:"tenant"`
	Email string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
}

type post struct {
	ID    uint
	PubID int64  `rowseal:"rowid"`
	Body  string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func TestIdentitiesInAnotherSpellingAreRefused(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&deal{}, &post{}))
		must(t, l.Create(&[]deal{{OrgID: 1, Email: mail(1)}, {OrgID: 1, Email: mail(2)}}).Error)
		must(t, l.Create(&post{PubID: 5, Body: canary}).Error)
		for name, tx := range map[string]*gorm.DB{
			"update":        l.Model(&deal{}).Where("org_id = ?", "01").Update("email", mail(3)),
			"map":           l.Model(&deal{}).Create(map[string]any{"ID": 7, "OrgID": "01", "Email": mail(3)}),
			"map condition": l.Model(&deal{}).Where(map[string]any{"org_id": "01"}).Updates(map[string]any{"email": mail(3)}),
			"row id":        l.Model(&post{ID: 1}).Where("pub_id = ?", "05").Update("body", canary),
			"condition":     l.Where("org_id = ? AND email = ?", "01", mail(1)).Find(&[]deal{}),
			"float":         l.Where("org_id = ? AND email = ?", 1.5, mail(1)).Find(&[]deal{}),
			"negation":      l.Where("org_id = ? AND email <> ?", "01", mail(1)).Delete(&deal{}),
			"literal":       l.Where("org_id = 01 AND email <> ?", mail(1)).Delete(&deal{}),
			"text literal":  l.Where("org_id = '01' AND email = ?", mail(1)).Find(&[]deal{}),
			"fraction":      l.Where("org_id = 1.0 AND email = ?", mail(1)).Find(&[]deal{}),
		} {
			var e *gormplugin.Error
			if !errors.As(tx.Error, &e) || e.Remedy == "" {
				t.Errorf("%s: %v", name, tx.Error)
			}
		}
		var all []deal
		must(t, l.Order("id").Find(&all).Error)
		if len(all) != 2 || all[1].Email != mail(2) {
			t.Errorf("left are %+v", all)
		}
		for name, tx := range map[string]*gorm.DB{
			"text":    l.Where("org_id = ? AND email = ?", "1", mail(1)).Find(&all),
			"number":  l.Where("org_id = ? AND email = ?", int8(1), mail(1)).Find(&all),
			"literal": l.Where("org_id = 1 AND email = ?", mail(1)).Find(&all),
		} {
			if tx.Error != nil || tx.RowsAffected != 1 {
				t.Errorf("%s: %d rows, %v", name, tx.RowsAffected, tx.Error)
			}
		}
		must(t, l.Model(&post{ID: 1}).Where("pub_id = ?", "5").Update("body", canary+"2").Error)
		var p post
		must(t, l.First(&p).Error)
	})
}

func TestOtherTenantsRowsStayOutOfEveryNegation(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&contact{}))
		for _, org := range []string{"a", "b"} {
			must(t, l.Create(&[]contact{{OrgID: org, Email: mail(1)}, {OrgID: org, Email: mail(2)}}).Error)
		}
		ofA := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
		found := func() *gorm.DB { return l.Model(&contact{}).Select("id").Where("email = ?", mail(1)) }
		count := func(text string, args ...any) *gorm.DB { return ofA.Raw(text, args...).Scan(new([]int)) }
		x := mail(1)
		for name, tx := range map[string]*gorm.DB{
			"not in":       ofA.Where("id NOT IN (?)", found()).Delete(&contact{}),
			"not exists":   ofA.Where("NOT EXISTS (?)", l.Table("contacts k").Select("1").Where("k.id = contacts.id AND k.email = ?", x)).Delete(&contact{}),
			"left join":    count("SELECT c.id FROM contacts c LEFT JOIN contacts o ON o.id = c.id AND o.email = ? WHERE o.id IS NULL", x),
			"left join 2":  count("SELECT c.id FROM contacts c LEFT JOIN people p ON c.email = ? WHERE p.id IS NULL", x),
			"right join":   count("SELECT c.id FROM people p RIGHT JOIN contacts c ON p.id = c.id AND c.email = ? WHERE p.id IS NULL", x),
			"all":          count("SELECT id FROM contacts WHERE id <> ALL (SELECT id FROM contacts WHERE email = ?)", x),
			"count is 0":   count("SELECT c.id FROM contacts c WHERE (SELECT count(*) FROM contacts k WHERE k.id = c.id AND k.email = ?) = 0", x),
			"case":         count("SELECT id FROM contacts c WHERE CASE WHEN EXISTS (SELECT 1 FROM contacts k WHERE k.id = c.id AND k.email = ?) THEN 0 ELSE 1 END = 1", x),
			"filter":       count("SELECT role FROM contacts GROUP BY role HAVING count(*) FILTER (WHERE email = ?) = 0", x),
			"not not in":   count("SELECT id FROM contacts WHERE NOT (id NOT IN (SELECT id FROM contacts WHERE email = ?))", x),
			"union":        count("SELECT 0 AS id UNION ALL SELECT id FROM contacts WHERE email = ?", x),
			"from":         count("SELECT c.id FROM contacts c LEFT JOIN (SELECT id FROM contacts WHERE email = ?) f ON f.id = c.id WHERE f.id IS NULL", x),
			"inner tenant": count("SELECT id FROM contacts WHERE EXISTS (SELECT 1 FROM (SELECT 'a' AS org_id) s WHERE contacts.email <> ? AND org_id = ?)", x, "a"),
			"between":      count("SELECT id FROM contacts WHERE 1 BETWEEN 1 AND org_id = ? AND email <> ?", "a", x),
		} {
			if !errors.Is(tx.Error, field.ErrTenantUnknown) {
				t.Errorf("%s: %v", name, tx.Error)
			}
		}
		var ids []uint
		for name, tx := range map[string]*gorm.DB{
			"in":         ofA.Model(&contact{}).Where("id IN (?)", found()).Pluck("id", &ids),
			"exists":     ofA.Model(&contact{}).Where("EXISTS (?)", l.Table("contacts k").Select("1").Where("k.id = contacts.id AND k.email = ?", x)).Pluck("id", &ids),
			"inner join": ofA.Raw("SELECT c.id FROM contacts c JOIN contacts o ON o.id = c.id AND o.email = ?", x).Scan(&ids),
		} {
			if must(t, tx.Error); len(ids) != 1 {
				t.Errorf("%s: %v", name, ids)
			}
		}
		var n int64
		if must(t, l.Model(&contact{}).Count(&n).Error); n != 4 {
			t.Errorf("%d rows are left", n)
		}
	})
}

func TestASubqueryKeepsItsOwnTenant(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&contact{}))
		for _, org := range []string{"a", "b"} {
			must(t, l.Create(&contact{OrgID: org, Email: mail(1)}).Error)
		}
		of := func(org string) *gorm.DB { return l.WithContext(gormplugin.WithTenant(t.Context(), org)) }
		sub := func(db *gorm.DB, c *contact) *gorm.DB { return db.Model(c).Select("id").Where("email = ?", mail(1)) }
		var ids []uint
		for name, tx := range map[string]*gorm.DB{
			"contexts": of("a").Model(&contact{}).Where("id IN (?)", sub(of("b"), &contact{})).Pluck("id", &ids),
			"models":   l.Model(&contact{OrgID: "a"}).Where("id IN (?)", sub(l.DB, &contact{OrgID: "b"})).Pluck("id", &ids),
		} {
			if !errors.Is(tx.Error, field.ErrTenantMismatch) {
				t.Errorf("%s: %v, %v", name, ids, tx.Error)
			}
		}
		must(t, l.Model(&contact{}).Where("role <> ? AND id IN (?) AND role <> ?", "x", sub(of("b"), &contact{}), "y").Pluck("id", &ids).Error)
		if fmt.Sprint(ids) != "[2]" {
			t.Errorf("a sub-query of tenant b found %v", ids)
		}
	})
}

func TestRefusedStatementsAreLoggedWithoutTheirLiterals(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		for _, condition := range []string{"name = '" + canary + "'", "name = E'" + canary + "'", "name = '" + canary, "name = 4711"} {
			if err := l.Where(condition).Find(&[]person{}).Error; err == nil {
				t.Errorf("%s passed", condition)
			}
		}
		if text := l.log.String(); strings.Contains(text, canary) || strings.Contains(text, "4711") {
			t.Error(text)
		}
	})
}

func TestWholeRowsInExpressionsAreRefused(t *testing.T) {
	l := newLab(t, "postgres")
	must(t, l.Create(&member{OrgID: "a", Email: canary}).Error)
	for _, sql := range []string{
		"SELECT id FROM members WHERE to_jsonb(members.*)->>'email' = 'x'",
		"SELECT id FROM members m WHERE ROW(m.*)::text LIKE 'x'",
		"SELECT id FROM members m WHERE ROW(m.id, m.*)::text LIKE 'x'",
		"SELECT j FROM members m, to_jsonb(m.*) j",
		"SELECT x.j FROM members m, LATERAL (SELECT to_jsonb(m.*) AS j) x",
		"SELECT count(*) FROM members m GROUP BY m.*",
		"SELECT id FROM members ORDER BY id, md5(members.*::text)",
		"SELECT id FROM members ORDER BY id, members.*",
		"UPDATE members SET role = to_jsonb(members.*)->>'email' WHERE id = 1",
		"SELECT t.z FROM (SELECT id, 'a' AS x, 'b' AS z FROM people UNION ALL SELECT * FROM members) t WHERE t.z = 'x'",
		"UPDATE members SET role = E'a'\n'b\\'', email = convert_to('x', 'UTF8') WHERE id = 1 -- '",
		"SELECT id, email AS a$b$ FROM members WHERE email = convert_to('x', 'UTF8') OR id = 1 /* $b$ */",
	} {
		var e *gormplugin.Error
		if err := l.Raw(sql).Scan(&[]map[string]any{}).Error; !errors.As(err, &e) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	var got []map[string]any
	for _, sql := range []string{
		"SELECT m.* FROM members m", "SELECT m.id, m.* FROM members m WHERE id = 1",
		"UPDATE members SET role = 'x' WHERE id = 1 RETURNING members.*", "SELECT * FROM (SELECT m.* FROM members m) x",
	} {
		if err := l.Raw(sql).Scan(&got).Error; err != nil || strings.Contains(fmt.Sprint(got), "\xf5") {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
}

func TestNumberedParametersOfSQLite(t *testing.T) {
	l := newLab(t, "sqlite")
	must(t, l.AutoMigrate(&account{}))
	must(t, l.Create(&account{Mail: mail(1), Name: "r"}).Error)
	var ids []uint
	tx := l.Raw("SELECT id FROM accounts WHERE name = ?2 AND mail = ?", "zz", "r", mail(1)).Scan(&ids)
	if tx.Error == nil && len(ids) != 1 {
		t.Errorf("found %v", ids)
	}
	if strings.Contains(l.log.String(), canary) {
		t.Error(l.log.String())
	}
}

func TestLogicThatOnlyMySQLHasIsRefused(t *testing.T) {
	l := newLab(t, "mysql")
	must(t, l.AutoMigrate(&contact{}))
	for _, where := range []string{
		"(email <> ?) || role = 'zz' AND org_id = 'a'", "(email <> ?) XOR role = 'zz' AND org_id = 'a'", "org_id = 'a' && email = ?",
	} {
		if err := l.Where(where, mail(1)).Find(&[]contact{}).Error; !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("%s: %v", where, err)
		}
	}
	must(t, l.Create(&contact{OrgID: "a", Email: mail(1)}).Error)
	var got []contact
	must(t, l.Where("org_id = ? AND email <> ?", "A", mail(1)).Find(&got).Error)
	if len(got) != 0 {
		t.Errorf("tenant A has tenant a's rows: %+v", got)
	}
}
