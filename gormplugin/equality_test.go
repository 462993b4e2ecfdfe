package gormplugin_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

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

// plainContact is its twin in clear.
type plainContact struct {
	ID    uint
	OrgID string `gorm:"size:40"`
	Email string
	Code  *int64
	Rate  float64
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

type plainAccount struct {
	ID   uint
	Mail string
	Name string
}

type plainLogin struct {
	ID   uint
	Mail *string
	Day  int
}

func searchModels() []any { return []any{&contact{}, &account{}, &login{}} }

const people = 12

func mail(n int) string { return fmt.Sprintf("%s%d@example.com", canary, n) }

// searchLab has contacts of tenant a, some of tenant b, accounts and logins,
// and their twins. Values repeat, and some are NULL.
func searchLab(t *testing.T, kind string) *lab {
	t.Helper()
	l := newLab(t, kind)
	must(t, l.AutoMigrate(searchModels()...))
	must(t, l.AutoMigrate(&plainContact{}, &plainAccount{}, &plainLogin{}))
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
		twin := plainContact(c)
		must(t, l.Create(&twin).Error)
		must(t, bound.Create(&account{Mail: mail(i), Name: "n"}).Error)
		must(t, l.Create(&plainAccount{Mail: mail(i), Name: "n"}).Error)
		in := login{Day: i}
		if i%3 != 0 {
			in.Mail = ptr(mail(i / 2))
		}
		must(t, bound.Create(&in).Error)
		twinLogin := plainLogin{Mail: in.Mail, Day: i}
		must(t, l.Create(&twinLogin).Error)
	}
	return l
}

// found is what a query gives on either side, without Go types.
func found(t *testing.T, tx *gorm.DB, dest any) []string {
	t.Helper()
	if tx.Error != nil {
		t.Fatal(tx.Error)
	}
	rv := reflect.Indirect(reflect.ValueOf(dest))
	out := []string{}
	for i := range rv.Len() {
		out = append(out, fmt.Sprintf("%+v", plainValue(rv.Index(i))))
	}
	slices.Sort(out)
	return out
}

func plainValue(rv reflect.Value) any {
	switch v := rv.Interface().(type) {
	case contact:
		return []any{v.ID, v.OrgID, v.Email, deref(v.Code), v.Rate, v.Role, deref(v.Kin)}
	case plainContact:
		return plainValue(reflect.ValueOf(contact(v)))
	case account:
		return []any{v.ID, v.Mail, v.Name}
	case plainAccount:
		return plainValue(reflect.ValueOf(account(v)))
	case login:
		return []any{v.ID, deref(v.Mail), v.Day}
	case plainLogin:
		return plainValue(reflect.ValueOf(login(v)))
	case map[string]any:
		return v
	default:
		return v
	}
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// side is one of two databases' views: sealed models or their twins.
type side struct {
	*gorm.DB
	sealed bool
}

// t names a table of the side.
func (s side) t(name string) string {
	if s.sealed {
		return name
	}
	return "plain_" + name
}

// contact returns a model with the given fields.
func (s side) contact(c contact) any {
	if s.sealed {
		return &c
	}
	p := plainContact(c)
	return &p
}

func (s side) contacts(tx *gorm.DB, t *testing.T) []string {
	t.Helper()
	if s.sealed {
		var got []contact
		return found(t, tx.Find(&got), &got)
	}
	var got []plainContact
	return found(t, tx.Find(&got), &got)
}

func TestConditionsOnSealedColumnsFindWhatPlainOnesFind(t *testing.T) {
	type query func(t *testing.T, s side) []string
	where := func(q any, args ...any) query {
		return func(t *testing.T, s side) []string { return s.contacts(s.Where(q, args...), t) }
	}
	queries := map[string]query{
		"text":               where("email = ?", mail(1)),
		"text, other side":   where("? = email", mail(1)),
		"text, not":          where("email <> ?", mail(1)),
		"text, and":          where("email = ? AND role = ?", mail(1), "role1"),
		"text, or":           where("email = ? OR role = ?", mail(1), "role1"),
		"text, nothing":      where("email = ?", "nobody"),
		"in":                 where("email IN ?", []string{mail(0), mail(3), "nobody"}),
		"in, parentheses":    where("email IN (?)", []string{mail(0), mail(3)}),
		"in, empty":          where("email IN ?", []string{}),
		"not in":             where("email NOT IN ?", []string{mail(0), mail(3)}),
		"named":              where("email = @mail OR code = @code", map[string]any{"mail": mail(2), "code": 3}),
		"named struct":       where("email = @Email", struct{ Email string }{mail(2)}),
		"map":                where(map[string]any{"email": mail(2)}),
		"map in":             where(map[string]any{"email": []string{mail(2), mail(4)}}),
		"map null":           where(map[string]any{"code": nil}),
		"number":             where("code = ?", 2),
		"number, wide":       where("code = ?", int64(1)<<40),
		"number, other type": where("code = ?", uint8(2)),
		"number, not":        where("code <> ?", 2),
		"null":               where("code IS NULL"),
		"not null":           where("code IS NOT NULL AND email = ?", mail(1)),
		"pointer":            where("code = ?", ptr(int64(3))),
		"float":              where("rate = ?", 0.5),
		"row key":            where("rate IN ?", []float64{0, 1}),
		"eq":                 where(clause.Eq{Column: "email", Value: mail(1)}),
		"eq column":          where(clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "email"}, Value: mail(1)}),
		"eq values":          where(clause.Eq{Column: "email", Value: []string{mail(1), mail(2)}}),
		"neq":                where(clause.Neq{Column: "email", Value: mail(1)}),
		"clause in":          where(clause.IN{Column: "email", Values: []any{mail(1), mail(4)}}),
		"expr":               where(gorm.Expr("email = ?", mail(1))),
		"struct": func(t *testing.T, s side) []string {
			return s.contacts(s.Where(s.contact(contact{Email: mail(1), Role: "role1"})), t)
		},
		"struct with pointer": func(t *testing.T, s side) []string {
			return s.contacts(s.Where(s.contact(contact{Code: ptr(int64(1))})), t)
		},
		"struct, named field": func(t *testing.T, s side) []string {
			return s.contacts(s.Where(s.contact(contact{Role: "role1"}), "email"), t)
		},
		"struct, null field": func(t *testing.T, s side) []string {
			return s.contacts(s.Where(s.contact(contact{}), "code"), t)
		},
		"inline": func(t *testing.T, s side) []string {
			if s.sealed {
				var got []contact
				return found(t, s.Find(&got, "email = ?", mail(3)), &got)
			}
			var got []plainContact
			return found(t, s.Find(&got, "email = ?", mail(3)), &got)
		},
		"not": func(t *testing.T, s side) []string { return s.contacts(s.Not("email = ?", mail(1)), t) },
		"not map": func(t *testing.T, s side) []string {
			return s.contacts(s.Not(map[string]any{"email": []string{mail(1), mail(2)}}), t)
		},
		"not struct": func(t *testing.T, s side) []string { return s.contacts(s.Not(s.contact(contact{Email: mail(1)})), t) },
		"or": func(t *testing.T, s side) []string {
			return s.contacts(s.Where("email = ?", mail(1)).Or("email = ?", mail(2)).Or(s.contact(contact{Email: mail(3)})), t)
		},
		"groups": func(t *testing.T, s side) []string {
			return s.contacts(s.Where(s.Where("email = ?", mail(1)).Or("code = ?", 2)).Where(s.Not("rate = ?", 1.0)), t)
		},
		"sub-query": func(t *testing.T, s side) []string {
			return s.contacts(s.Where("email IN (?)", s.DB.Table(s.t("contacts")).Select("email").Where("email <> ? AND role = ?", mail(1), "role1")), t)
		},
		"sub-query, outer values": func(t *testing.T, s side) []string {
			sub := s.DB.Table(s.t("contacts")).Select("kin").Where("email = ?", mail(1))
			return s.contacts(s.Where("email <> ?", mail(0)).Where("id IN (?)", sub).Where("rate = ?", 0.5), t)
		},
		"sub-query, raw": func(t *testing.T, s side) []string {
			return s.contacts(s.Where("id IN (?)", s.Raw("SELECT kin FROM "+s.t("contacts")+" WHERE email = ?", mail(1))), t)
		},
		"exists": func(t *testing.T, s side) []string {
			table := s.t("contacts")
			return s.contacts(s.Where("EXISTS (?)", s.DB.Table(table+" AS k").Select("1").Where("k.email = "+table+".email AND k.id < "+table+".id")), t)
		},
		"self join": func(t *testing.T, s side) []string {
			table := s.t("contacts")
			return s.contacts(s.Joins("JOIN "+table+" k ON k.email = "+table+".email AND k.id <> "+table+".id AND k.rate = ?", 0.5).Distinct(table+".id", table+".org_id", table+".role"), t)
		},
		"raw": func(t *testing.T, s side) []string {
			var got []map[string]any
			return found(t, s.Raw("SELECT id, role FROM "+s.t("contacts")+" WHERE email IN ? AND org_id = ?", []string{mail(1), mail(2)}, "a").Scan(&got), &got)
		},
		"scopes": func(t *testing.T, s side) []string {
			return s.contacts(s.Scopes(func(db *gorm.DB) *gorm.DB { return db.Where("email = ?", mail(4)) }), t)
		},
		"generics": func(t *testing.T, s side) []string {
			if s.sealed {
				return generic[contact](t, s.DB)
			}
			return generic[plainContact](t, s.DB)
		},
		"group by": func(t *testing.T, s side) []string {
			var got []map[string]any
			return found(t, s.DB.Table(s.t("contacts")).Select("email, count(*) AS n, count(code) AS c").Group("email").Having("count(*) > ?", 2).Scan(&got), &got)
		},
		"group by two": func(t *testing.T, s side) []string {
			var got []map[string]any
			return found(t, s.DB.Table(s.t("contacts")).Select("role, email AS mail, count(*) AS n").Group("role").Group("email").Having("email <> ?", mail(1)).Scan(&got), &got)
		},
		"distinct": func(t *testing.T, s side) []string {
			var got []string
			return found(t, s.DB.Table(s.t("contacts")).Distinct("email").Where("code = ?", 1).Find(&got), &got)
		},
		"distinct pluck": func(t *testing.T, s side) []string {
			var got []string
			return found(t, s.DB.Table(s.t("contacts")).Distinct().Pluck("email", &got), &got)
		},
		"count distinct": func(t *testing.T, s side) []string {
			var n, m int64
			must(t, s.DB.Table(s.t("contacts")).Distinct("email").Count(&n).Error)
			must(t, s.DB.Table(s.t("contacts")).Where("email = ?", mail(1)).Count(&m).Error)
			return []string{fmt.Sprint(n, m)}
		},
		"join": func(t *testing.T, s side) []string {
			var got []map[string]any
			return found(t, s.DB.Table(s.t("accounts")+" AS a").Select("a.mail, l.day").Joins("JOIN "+s.t("logins")+" AS l ON l.mail = a.mail").Where("a.mail <> ?", mail(2)).Scan(&got), &got)
		},
		"left join": func(t *testing.T, s side) []string {
			var got []map[string]any
			return found(t, s.DB.Table(s.t("logins")+" AS l").Select("l.mail, a.name").Joins("LEFT JOIN "+s.t("accounts")+" AS a ON l.mail = a.mail AND a.mail = ?", mail(2)).Scan(&got), &got)
		},
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := searchLab(t, kind)
			db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			for name, q := range queries {
				t.Run(name, func(t *testing.T) {
					want, got := q(t, side{DB: db}), q(t, side{DB: db, sealed: true})
					if !slices.Equal(got, want) {
						t.Errorf("sealed\n%s\nplain\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				})
			}
			l.mustHideCanariesIn(t, "contacts", "accounts", "logins")
		})
	}
}

// generic finds contacts by way of GORM's generics.
func generic[T any](t *testing.T, db *gorm.DB) []string {
	t.Helper()
	ctx := db.Statement.Context
	got, err := gorm.G[T](db).Where("email = ?", mail(1)).Or("email IN ?", []string{mail(2), mail(3)}).Find(ctx)
	must(t, err)
	one, err := gorm.G[T](db).Where(map[string]any{"email": mail(4)}).Order("id").First(ctx)
	must(t, err)
	n, err := gorm.G[T](db).Where("email = ? AND role = ?", mail(1), "role1").Update(ctx, "role", "role1")
	must(t, err)
	got = append(got, one)
	return append(found(t, db, &got), fmt.Sprint(n))
}

func (l *lab) mustHideCanariesIn(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if strings.Contains(string(l.dump(t, table)), canary) {
			t.Errorf("table %s holds a plaintext", table)
		}
	}
	for line := range strings.SplitSeq(l.log.String(), "\n") {
		if strings.Contains(line, canary) && !strings.Contains(line, "plain_") {
			t.Fatalf("the log shows a plaintext: %s", line)
		}
	}
}

func TestAConditionNeedsATenant(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := searchLab(t, kind)
			must(t, l.Create(&contact{OrgID: "b", Email: mail(1)}).Error)
			var got []contact
			for name, tx := range map[string]*gorm.DB{
				"nothing": l.Where("email = ?", mail(1)).Find(&got),
				"or":      l.Where("org_id = ? OR email = ?", "a", mail(1)).Find(&got),
				"count":   l.Model(&contact{}).Distinct("email").Count(new(int64)),
				"group":   l.Model(&contact{}).Select("email").Group("email").Find(&got),
				"join":    l.Table("contacts AS a").Joins("JOIN contacts AS b ON a.email = b.email").Find(&got),
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

func TestWritesBySealedConditions(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			l := searchLab(t, kind)
			db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			tx := db.Model(&contact{}).Where("email = ?", mail(1)).Update("role", "seen")
			must(t, tx.Error)
			var n int64
			must(t, db.Model(&contact{}).Where("role = ?", "seen").Count(&n).Error)
			if tx.RowsAffected != 3 || n != 3 {
				t.Errorf("updated %d rows, %d are", tx.RowsAffected, n)
			}
			tx = db.Model(&contact{}).Where("email = ?", mail(1)).Update("email", canary+" new")
			must(t, tx.Error)
			if tx.RowsAffected != 3 {
				t.Errorf("updated %d rows", tx.RowsAffected)
			}
			tx = db.Where("email = ? AND role = ?", canary+" new", "seen").Delete(&contact{})
			must(t, tx.Error)
			if tx.RowsAffected != 3 {
				t.Errorf("deleted %d rows", tx.RowsAffected)
			}
			var c contact
			must(t, db.Where(contact{Email: mail(9), OrgID: "a"}).Attrs(contact{Role: "made"}).FirstOrCreate(&c).Error)
			var again contact
			must(t, db.Where(contact{Email: mail(9), OrgID: "a"}).Assign(contact{Role: "assigned"}).FirstOrCreate(&again).Error)
			if c.ID == 0 || c.Email != mail(9) || c.Role != "made" || again.ID != c.ID || again.Role != "assigned" || again.Email != mail(9) {
				t.Errorf("made %+v, then %+v", c, again)
			}
			var first contact
			must(t, db.Where("email = ?", mail(77)).FirstOrInit(&first, contact{Email: mail(77)}).Error)
			if first.ID != 0 || first.Email != mail(77) {
				t.Errorf("initialised %+v", first)
			}
			l.mustHideCanariesIn(t, "contacts")
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
