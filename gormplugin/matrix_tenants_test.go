package gormplugin_test

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

func (w *world[S]) as(tenant string) *gorm.DB {
	return w.WithContext(gormplugin.WithTenant(context.Background(), tenant))
}

// tenantEntries run on letters: 1 is acme's, 2 is beta's.
func tenantEntries[S secrets]() []entry[S] {
	type one = letter[S]
	many := func(tx *gorm.DB) (any, error) { var l []one; return result(&l, tx.Order("id").Find(&l)) }
	return append(tenantRefusals[S](), []entry[S]{
		{name: "Create with the tenant in the row", run: func(w *world[S]) (any, error) {
			l := []one{{OrgID: "acme", Secrets: values[S](1)}, {OrgID: "beta", Secrets: values[S](2)}}
			return result(&l, w.Create(&l))
		}},
		{name: "Create with the tenant of the context in the row", run: func(w *world[S]) (any, error) {
			l := one{OrgID: "acme", Secrets: values[S](1)}
			return result(&l, w.as("acme").Create(&l))
		}},
		{name: "Create takes the context's tenant", alone: true, want: []string{"gamma", "gamma"}, run: func(w *world[S]) (any, error) {
			l := one{Secrets: values[S](1)}
			if err := w.as("gamma").Create(&l).Error; err != nil {
				return nil, err
			}
			var back one
			err := w.as("gamma").Last(&back).Error
			return []string{l.OrgID, back.OrgID}, err
		}},
		{name: "Create of a map takes the context's tenant", alone: true, want: "gamma", run: func(w *world[S]) (any, error) {
			if err := w.as("gamma").Model(&one{}).Create(map[string]any{"name": canary, "org_id": ""}).Error; err != nil {
				return nil, err
			}
			var back one
			err := w.as("gamma").Last(&back).Error
			return back.OrgID, err
		}},
		{name: "Find of several tenants' rows", run: func(w *world[S]) (any, error) { return many(w.DB) }},
		{name: "Find of the context's tenant", run: func(w *world[S]) (any, error) { return many(w.as("acme").Where("org_id = ?", "acme")) }},
		{name: "Save", run: func(w *world[S]) (any, error) {
			l := one{ID: 1, OrgID: "acme", Secrets: values[S](1)}
			return result(&l, w.Save(&l))
		}},
		{name: "Save moves a row to another tenant", run: func(w *world[S]) (any, error) {
			l := one{ID: 1, OrgID: "beta", Secrets: values[S](1)}
			return result(&l, w.Save(&l))
		}},
		{name: "Update with the tenant in the model", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&one{ID: 1, OrgID: "acme"}).Update("name", canary+" u"))
		}},
		{name: "Update with the tenant in the condition", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&one{}).Where("org_id = ?", "beta").Update("name", canary+" u"))
		}},
		{name: "Update touches the context's tenant's rows only", alone: true, want: 1, run: func(w *world[S]) (any, error) {
			tx := w.as("acme").Model(&one{}).Where("id > 0").Update("name", canary+" u")
			return tx.RowsAffected, errors.Join(tx.Error, w.as("beta").First(&one{}, 2).Error)
		}},
		{name: "Update of a plain column needs no tenant", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&one{}).Where("id > 0").Update("state", "closed"))
		}},
		{name: "Delete needs no tenant", run: func(w *world[S]) (any, error) { return result(nil, w.Delete(&one{}, []int{1, 2})) }},
	}...)
}

func tenantRefusals[S secrets]() []entry[S] {
	type one = letter[S]
	unknown, mismatch := field.ErrTenantUnknown, field.ErrTenantMismatch
	refused := func(name string, why error, run func(w *world[S]) *gorm.DB) entry[S] {
		return entry[S]{name: name, refused: why, run: func(w *world[S]) (any, error) { return result(nil, run(w)) }}
	}
	return []entry[S]{
		refused("Create without a tenant", unknown, func(w *world[S]) *gorm.DB { return w.Create(&one{Secrets: values[S](1)}) }),
		refused("Create of a slice in which one row has no tenant", unknown, func(w *world[S]) *gorm.DB {
			return w.Create(&[]one{{OrgID: "acme", Secrets: values[S](1)}, {Secrets: values[S](2)}})
		}),
		refused("Create for another tenant than the context's", mismatch, func(w *world[S]) *gorm.DB {
			return w.as("beta").Create(&one{OrgID: "acme", Secrets: values[S](1)})
		}),
		refused("Create without the tenant's column", unknown, func(w *world[S]) *gorm.DB {
			return w.as("acme").Omit("OrgID").Create(&one{Secrets: values[S](1)})
		}),
		refused("Save for another tenant than the context's", mismatch, func(w *world[S]) *gorm.DB {
			return w.as("beta").Save(&one{ID: 1, OrgID: "acme", Secrets: values[S](1)})
		}),
		refused("Update without a tenant", unknown, func(w *world[S]) *gorm.DB { return w.Model(&one{}).Where("id = ?", 1).Update("name", canary) }),
		refused("Update over several tenants", mismatch, func(w *world[S]) *gorm.DB {
			return w.Model([]one{{ID: 1, OrgID: "acme"}, {ID: 2, OrgID: "beta"}}).Update("name", canary)
		}),
		refused("Update over several tenants by condition", unknown, func(w *world[S]) *gorm.DB {
			return w.Model(&one{}).Where("org_id IN ?", []string{"acme", "beta"}).Update("name", canary)
		}),
		refused("Update for another tenant than the context's", mismatch, func(w *world[S]) *gorm.DB {
			return w.as("beta").Model(&one{ID: 1, OrgID: "acme"}).Update("name", canary)
		}),
		refused("Update of the tenant alone", mismatch, func(w *world[S]) *gorm.DB {
			return w.Model(&one{ID: 1, OrgID: "acme"}).Update("org_id", "beta")
		}),
		refused("First of another tenant's row", mismatch, func(w *world[S]) *gorm.DB { return w.as("beta").First(&one{}, 1) }),
		refused("Find over another tenant's rows", mismatch, func(w *world[S]) *gorm.DB { return w.as("beta").Find(&[]one{}) }),
		refused("Pluck of another tenant's value", mismatch, func(w *world[S]) *gorm.DB {
			return w.as("beta").Model(&one{}).Where("id = ?", 1).Pluck("name", &[]string{})
		}),
	}
}
