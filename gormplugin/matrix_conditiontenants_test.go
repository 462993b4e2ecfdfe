package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// tenantConditions are on columns whose terms differ from tenant to tenant.
// Both tenants have rows of equal values.
func tenantConditions[S secrets, K findable]() []entry[S] {
	type many = []client[K]
	find := func(tx *gorm.DB) (any, error) { var c many; return result(&c, tx.Order("id").Find(&c)) }
	within := func(name string, query any, args ...any) entry[S] {
		return entry[S]{name: name, run: func(w *world[S]) (any, error) {
			return find(w.Where("org_id = ?", "a").Where(query, args...))
		}}
	}
	keys := func(k plainKeys) K { return K(k) }
	return append([]entry[S]{
		within("text", "email = ?", mail(1)),
		within("the empty string", "email = ?", ""),
		within("text, the other way round", "? = email", mail(1)),
		within("text, <>", "email <> ?", mail(1)),
		within("text, OR", "email = ? OR email = ?", mail(1), mail(2)),
		within("text, IN", "email IN ?", []string{mail(1), mail(2)}),
		within("text, NOT IN", "email NOT IN ?", []string{mail(1), mail(2)}),
		within("a number", "code = ?", 2),
		within("a number of another type", "code = ?", uint8(2)),
		within("a number by a pointer", "code = ?", ptr(int64(3))),
		within("a number that the column cannot hold", "code = ?", int64(1)<<40),
		within("numbers, <>", "code <> ?", 2),
		within("numbers, IN", "code IN ?", []int{1, 3}),
		within("numbers, IS NULL", "code IS NULL AND email <> ?", mail(1)),
		within("a float, with a key of the row", "rate = ?", 0.5),
		within("a float that is zero", "rate = ?", 0),
		within("floats, IN", "rate IN ?", []float64{0, 1}),
		within("a map of several types", map[string]any{"email": []string{mail(1), mail(2)}, "code": []int64{1, 2}, "rate": 0.5}),
		within("a struct of several types", &client[K]{Keys: keys(plainKeys{Code: ptr(int64(2)), Rate: 0.5})}),
		within("a struct, named fields", &client[K]{Keys: keys(plainKeys{Email: mail(1)})}, "email", "rate"),
		within("clauses", clause.Or(clause.Eq{Column: "code", Value: 1}, clause.Neq{Column: "email", Value: mail(2)})),
		{name: "the tenant in the same text", run: func(w *world[S]) (any, error) {
			return find(w.Where("(email = ? OR code = ?) AND org_id = ?", mail(1), 2, "b"))
		}},
		{name: "the tenant as a literal", run: func(w *world[S]) (any, error) {
			return find(w.Where("org_id = 'b' AND email = ?", mail(1)))
		}},
		{name: "the tenant in a struct", run: func(w *world[S]) (any, error) {
			return find(w.Where(&client[K]{OrgID: "b", Keys: keys(plainKeys{Email: mail(1)})}))
		}},
		{name: "the tenant in a map", run: func(w *world[S]) (any, error) {
			return find(w.Where(map[string]any{"email": mail(1), "org_id": "b"}))
		}},
		{name: "the tenant in a later Where", run: func(w *world[S]) (any, error) {
			return find(w.Where("email = ?", mail(1)).Where("org_id = ?", "b"))
		}},
		{name: "two tenants, each with its condition", run: func(w *world[S]) (any, error) {
			return find(w.Where("(org_id = ? AND email = ?) OR (org_id = ? AND email = ?)", "a", mail(1), "b", mail(2)))
		}},
		{name: "the tenant in Model", run: func(w *world[S]) (any, error) {
			tx := w.Model(&client[K]{OrgID: "b"}).Where("email = ?", mail(1))
			if !w.sealed { // GORM does not filter by it; equal values of others have other terms
				tx = tx.Where("org_id = ?", "b")
			}
			return find(tx)
		}},
		{name: "the tenant in the context", run: func(w *world[S]) (any, error) {
			tx := w.as("b").Where("email IN ?", []string{mail(1), mail(2)})
			if !w.sealed {
				tx = tx.Where("org_id = ?", "b")
			}
			return find(tx)
		}},
		{name: "the tenant in the context and the condition", run: func(w *world[S]) (any, error) {
			return find(w.as("b").Where("org_id = ? AND email = ?", "b", mail(1)))
		}},
		{name: "a join within each tenant", run: func(w *world[S]) (any, error) {
			var m []map[string]any
			return result(&m, w.Table("clients AS a").Select("a.id, b.id AS other").
				Joins("JOIN clients AS b ON a.email = b.email AND a.org_id = b.org_id AND a.id < b.id").Order("1, 2").Scan(&m))
		}},
		{name: "a sub-query of the same tenant", run: func(w *world[S]) (any, error) {
			sub := fresh(w.DB).Model(&client[K]{}).Select("email").Where("org_id = ? AND code = ?", "a", 2)
			return find(w.Where("org_id = ? AND email IN (?)", "a", sub))
		}},
		{name: "GROUP BY within a tenant", run: func(w *world[S]) (any, error) {
			var m []map[string]any
			return result(&m, w.Model(&client[K]{}).Select("email, count(*) AS n, min(id) AS least").Where("org_id = ?", "a").Group("email").Order("least").Scan(&m))
		}},
		{name: "Count of distinct values within a tenant", run: func(w *world[S]) (any, error) {
			var n int64
			return result(&n, w.Model(&client[K]{}).Where("org_id = ?", "a").Distinct("email").Count(&n))
		}},
		{name: "Update of the tenant's rows by condition", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&client[K]{}).Where("org_id = ?", "a").Where("email = ?", mail(1)).Update("note", canary+" new"))
		}},
		{name: "FirstOrCreate within a tenant", run: func(w *world[S]) (any, error) {
			var c client[K]
			return result(&c, w.Where(&client[K]{OrgID: "b", Keys: keys(plainKeys{Email: mail(9)})}).Attrs(client[K]{Role: "made"}).FirstOrCreate(&c))
		}},
	}, refusedTenants[S, K]()...)
}

// refusedTenants would compare terms of several tenants.
func refusedTenants[S secrets, K findable]() []entry[S] {
	unknown := field.ErrTenantUnknown
	find := func(tx *gorm.DB) *gorm.DB { return tx.Find(&[]client[K]{}) }
	maps := func(tx *gorm.DB) *gorm.DB { return tx.Find(&[]map[string]any{}) }
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&client[K]{}) }
	return []entry[S]{
		refusing[S]("no tenant", unknown, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("email = ?", mail(1))) }),
		refusing[S]("no tenant, a struct", unknown, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where(&client[K]{Keys: K(plainKeys{Email: mail(1)})}))
		}),
		refusing[S]("a tenant in an OR", unknown, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("org_id = ? OR email = ?", "a", mail(1))) }),
		refusing[S]("a list of tenants", unknown, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where("org_id IN ? AND email = ?", []string{"a", "b"}, mail(1)))
		}),
		refusing[S]("every tenant but one", unknown, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("org_id <> ? AND email = ?", "a", mail(1))) }),
		refusing[S]("no tenant, Count of distinct values", unknown, func(tx *gorm.DB) *gorm.DB { return model(tx).Distinct("email").Count(new(int64)) }),
		refusing[S]("no tenant, DISTINCT", unknown, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Distinct("email")) }),
		refusing[S]("no tenant, GROUP BY", unknown, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("email").Group("email")) }),
		refusing[S]("no tenant, a join", unknown, func(tx *gorm.DB) *gorm.DB {
			return maps(tx.Table("clients AS a").Select("a.id").Joins("JOIN clients AS b ON a.email = b.email"))
		}),
		refusing[S]("no tenant, a sub-query", unknown, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where("email IN (?)", fresh(tx).Model(&client[K]{}).Select("email")))
		}),
		refusing[S]("no tenant, Update by condition", unknown, func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where("email = ?", mail(1)).Update("role", "x")
		}),
		refusing[S]("no tenant, Delete by condition", unknown, func(tx *gorm.DB) *gorm.DB {
			return tx.Where("email = ?", mail(1)).Delete(&client[K]{})
		}),
		refusing[S]("a sub-query of another tenant", field.ErrTenantMismatch, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where("org_id = ? AND email IN (?)", "a", fresh(tx).Model(&client[K]{}).Select("email").Where("org_id = ?", "b")))
		}),
		refusing[S]("a join of two tenants", field.ErrTenantMismatch, func(tx *gorm.DB) *gorm.DB {
			return maps(tx.Table("clients AS a").Select("a.id").Joins("JOIN clients AS b ON a.email = b.email").Where("a.org_id = ? AND b.org_id = ?", "a", "b"))
		}),
		refusing[S]("another tenant than the context's", field.ErrTenantMismatch, func(tx *gorm.DB) *gorm.DB {
			return find(tx.WithContext(gormplugin.WithTenant(tx.Statement.Context, "a")).Where("org_id = ? AND email = ?", "b", mail(1)))
		}),
	}
}
