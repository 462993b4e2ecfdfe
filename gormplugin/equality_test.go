package gormplugin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// contact can be found by sealed columns, within its tenant.
type contact struct {
	ID    uint
	OrgID string  `gorm:"size:40" rowseal:"tenant"`
	Email string  `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Code  *int64  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int4,search=equality"`
	Rate  float64 `gorm:"serializer:rowseal;type:bytes" rowseal:"type=float8,search=equality,key=row"`
	Role  string
	Kin   *uint
}

// account and login can be joined on their sealed columns, by all tenants.
type account struct {
	ID   uint
	Mail string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=mail"`
	Name string
}

type login struct {
	ID   uint
	Mail *string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=mail"`
	Day  int
}

func searchModels() []any { return []any{&contact{}, &account{}, &login{}} }

const people = 12

// searchLab has contacts of tenant a, accounts and logins. Values repeat, and
// some are NULL.
func searchLab(t *testing.T, kind string) *lab {
	t.Helper()
	l := newLab(t, kind)
	must(t, l.AutoMigrate(searchModels()...))
	bound := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
	for i := range people {
		c := contact{OrgID: "a", Email: mail(i % 5), Rate: float64(i%3) / 2, Role: fmt.Sprint("role", i%2)}
		if i%4 != 0 {
			c.Code = ptr(int64(i % 4))
		}
		if i > 0 {
			c.Kin = ptr(uint(i))
		}
		must(t, l.Create(&c).Error)
		must(t, bound.Create(&account{Mail: mail(i), Name: "n"}).Error)
		in := login{Day: i}
		if i%3 != 0 {
			in.Mail = ptr(mail(i / 2))
		}
		must(t, bound.Create(&in).Error)
	}
	return l
}

func (l *lab) mustHideCanariesIn(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if strings.Contains(string(l.dump(t, table)), canary) {
			t.Errorf("table %s holds a plaintext", table)
		}
	}
	for line := range strings.SplitSeq(l.log.String(), "\n") {
		if strings.Contains(line, canary) {
			t.Fatalf("the log shows a plaintext: %s", line)
		}
	}
}

func TestAConditionNeedsATenant(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			l := searchLab(t, kind)
			must(t, l.Create(&contact{OrgID: "b", Email: mail(1)}).Error)
			var got []contact
			ofA := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			for name, tx := range map[string]*gorm.DB{
				"nothing": l.Where("email = ?", mail(1)).Find(&got),
				"or":      l.Where("org_id = ? OR email = ?", "a", mail(1)).Find(&got),
				"count":   l.Model(&contact{}).Distinct("email").Count(new(int64)),
				"group":   l.Model(&contact{}).Select("email").Group("email").Find(&got),
				"join":    l.Table("contacts AS a").Joins("JOIN contacts AS b ON a.email = b.email").Find(&got),
				// The rows of other tenants would all be different.
				"context, not":       ofA.Where("email <> ?", mail(1)).Find(&got),
				"context, not in":    ofA.Where("email NOT IN ?", []string{mail(1)}).Delete(&contact{}),
				"context, negated":   ofA.Not("email = ? AND role = ?", mail(1), "x").Find(&got),
				"context, computed":  ofA.Model(&contact{}).Where("CASE WHEN email = ? THEN 1 ELSE 2 END = 2", mail(1)).Count(new(int64)),
				"context, is false":  ofA.Model(&contact{}).Where("(email = ?) IS NOT TRUE", mail(1)).Count(new(int64)),
				"context, count":     ofA.Model(&contact{}).Distinct("email").Count(new(int64)),
				"model, not":         l.Model(&contact{OrgID: "a"}).Where("email <> ?", mail(1)).Count(new(int64)),
				"context, sub-query": ofA.Where("email IN (?)", l.Model(&contact{}).Select("email")).Find(&got),
			} {
				var e *gormplugin.Error
				if !errors.As(tx.Error, &e) || !errors.Is(e, field.ErrTenantUnknown) || !strings.Contains(e.Error(), "scope=global") || e.Column != "email" {
					t.Errorf("%s: %v", name, tx.Error)
				}
			}
			bound := l.WithContext(gormplugin.WithTenant(context.Background(), "a"))
			if err := bound.Where("email = ? AND org_id = ?", mail(1), "b").Find(&got).Error; !errors.Is(err, field.ErrTenantMismatch) {
				t.Errorf("another tenant than the context's: %v", err)
			}
			for name, tx := range map[string]*gorm.DB{
				"condition":  l.Where("email = ? AND org_id = ?", mail(1), "b").Find(&got),
				"struct":     l.Where(&contact{Email: mail(1), OrgID: "b"}).Find(&got),
				"map":        l.Where(map[string]any{"email": mail(1), "org_id": "b"}).Find(&got),
				"other call": l.Where("org_id = ?", "b").Where("email = ?", mail(1)).Find(&got),
				"model":      l.Model(&contact{OrgID: "b"}).Where("email = ?", mail(1)).Find(&got),
				"context":    l.WithContext(gormplugin.WithTenant(context.Background(), "b")).Where("email = ?", mail(1)).Find(&got),
				"raw":        l.Raw("SELECT * FROM contacts WHERE org_id = 'b' AND (email = ? OR email = ?)", mail(1), mail(3)).Scan(&got),
			} {
				must(t, tx.Error)
				if len(got) != 1 || got[0].OrgID != "b" || got[0].Email != mail(1) || tx.RowsAffected != 1 {
					t.Errorf("%s: found %+v", name, got)
				}
			}
			var pairs []map[string]any
			must(t, l.Table("contacts AS a").Select("a.id, b.id AS other").Joins("JOIN contacts AS b ON a.email = b.email AND a.org_id = b.org_id AND a.id < b.id").Scan(&pairs).Error)
			if len(pairs) == 0 {
				t.Error("a join within each tenant found nothing")
			}
		})
	}
}

func TestTheTenantsOfComparedColumns(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&contact{}))
		for _, org := range []string{"a", "a", "b"} {
			must(t, l.Create(&contact{OrgID: org, Email: mail(1)}).Error)
		}
		join := func(where string, orgs ...any) *gorm.DB {
			return l.Table("contacts AS x").Select("x.id").Joins("JOIN contacts AS y ON x.email = y.email").Where(where, orgs...)
		}
		sub := func(org string) *gorm.DB {
			return l.Table("contacts").Select("id").Where("org_id = ? AND email IN (?)", "a", l.Model(&contact{}).Select("email").Where("org_id = ?", org))
		}
		for name, c := range map[string]struct {
			tx   *gorm.DB
			want int
			err  error
		}{
			"join, both fixed":         {join("x.org_id = ? AND y.org_id = ?", "a", "a"), 4, nil},
			"join, made equal":         {join("x.org_id = y.org_id"), 5, nil},
			"join, two tenants":        {join("x.org_id = ? AND y.org_id = ?", "a", "b"), 0, field.ErrTenantMismatch},
			"join, one fixed":          {join("x.org_id = ?", "a"), 0, field.ErrTenantUnknown},
			"join, or":                 {join("x.org_id = ? AND y.org_id = ? OR x.id > 0", "a", "a"), 0, field.ErrTenantUnknown},
			"sub-query":                {sub("a"), 2, nil},
			"sub-query, other tenant":  {sub("b"), 0, field.ErrTenantMismatch},
			"sub-query without tenant": {l.Table("contacts").Where("org_id = ? AND email IN (?)", "a", l.Model(&contact{}).Select("email")), 0, field.ErrTenantUnknown},
		} {
			var ids []uint
			if err := c.tx.Find(&ids).Error; !errors.Is(err, c.err) || len(ids) != c.want {
				t.Errorf("%s: %d rows, %v", name, len(ids), err)
			}
		}
	})
}

func TestListsOfInnerSelects(t *testing.T) {
	l := searchLab(t, "sqlite")
	for text, want := range map[string]error{
		"SELECT mail FROM accounts UNION ALL SELECT mail FROM logins":                gormplugin.ErrStatement,
		"WITH few AS (SELECT mail FROM accounts) SELECT mail FROM few":               gormplugin.ErrStatement,
		"SELECT day, (SELECT mail FROM accounts LIMIT 1) AS other FROM logins":       gormplugin.ErrStatement,
		"SELECT day FROM logins WHERE day IN (SELECT mail FROM accounts)":            gormplugin.ErrCondition,
		"SELECT day FROM logins WHERE EXISTS (SELECT mail || 'x' FROM accounts)":     nil,
		"SELECT day FROM logins WHERE NOT EXISTS (SELECT mail, id FROM accounts)":    nil,
		"SELECT day FROM logins WHERE EXISTS (SELECT 1 FROM accounts ORDER BY mail)": gormplugin.ErrCondition,
	} {
		if err := l.Raw(text).Scan(&[]map[string]any{}).Error; !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDryRunsAndToSQLShowTermsOnly(t *testing.T) {
	l := searchLab(t, "postgres")
	sql := l.ToSQL(func(tx *gorm.DB) *gorm.DB {
		sub := l.Model(&account{}).Select("mail").Where("mail = ?", mail(1))
		return tx.Where("mail = ? OR mail IN (?)", mail(1), sub).Find(&[]login{})
	})
	if strings.Contains(sql, canary) || !strings.Contains(sql, "substr") || strings.Contains(sql, "sealed") {
		t.Error(sql)
	}
	stmt := l.Session(&gorm.Session{DryRun: true}).Where("mail = ?", mail(1)).Find(&[]login{}).Statement
	if shown := fmt.Sprint(stmt.SQL.String(), stmt.Vars); strings.Contains(shown, canary) {
		t.Error(shown)
	}
}
