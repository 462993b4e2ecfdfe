package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

func joinEntries[S secrets]() []entry[S] {
	type humans = []human[S]
	type animals = []animal[S]
	return []entry[S]{
		{name: "Preload of has one and nested", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Preload("Passport.Stamps").Order("id").Find(h)
		})},
		{name: "Preload of has many", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Preload("Pets").Order("id").Find(h) })},
		{name: "Preload of belongs to", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Preload("Company").Order("id").Find(h) })},
		{name: "Preload of polymorphic", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Preload("Notices").Order("id").Find(h) })},
		{name: "Preload of all associations", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Preload(clause.Associations).Order("id").Find(h) })},
		{name: "Preload with a condition", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Preload("Pets", "species = ?", "dog").Order("id").Find(h)
		})},
		{name: "Preload with a function", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Preload("Pets", func(tx *gorm.DB) *gorm.DB { return tx.Order("animals.id DESC").Select("id", "owner_id", "name") }).Order("id").Find(h)
		})},
		{name: "Preload with a condition on a sealed column", refused: gormplugin.ErrCondition, run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Preload("Pets", "name LIKE ?", canary+"%").Find(h)
		})},
		{name: "Joins of belongs to", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner").Where("animals.owner_id IS NOT NULL").Order("animals.id").Find(a)
		})},
		{name: "Joins without a match", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB { return tx.Joins("Owner").Order("animals.id").Find(a) })},
		{name: "Joins of has one", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Joins("Passport").Order("humans.id").Find(h) })},
		{name: "Joins, nested", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner").Joins("Owner.Company").Order("animals.id").Find(a)
		})},
		{name: "Joins, nested alone", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner.Passport").Order("animals.id").Find(a)
		})},
		{name: "InnerJoins", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB { return tx.InnerJoins("Owner").Order("animals.id").Find(a) })},
		{name: "Joins with a condition", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner", tx.Session(&gorm.Session{NewDB: true}).Where(map[string]any{"city": "city 1"})).Order("animals.id").Find(a)
		})},
		{name: "Joins with Select", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner", tx.Session(&gorm.Session{NewDB: true}).Select("id", "name")).Order("animals.id").Find(a)
		})},
		{name: "Joins with Omit", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner", tx.Session(&gorm.Session{NewDB: true}).Omit("notes", "photo")).Order("animals.id").Find(a)
		})},
		{name: "Joins with Select without the key, nested", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner", tx.Session(&gorm.Session{NewDB: true}).Select("name")).Joins("Owner.Company").Where("animals.id < 4").Order("animals.id").Find(a)
		})},
		{name: "Joins and Preload together", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Joins("Owner").Preload("Owner.Pets").Order("animals.id").Find(a)
		})},
		{name: "Joins by SQL", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Joins("JOIN animals ON animals.owner_id = humans.id AND animals.species = ?", "cat").Find(h)
		})},
		{name: "Joins by SQL with columns of both", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Model(&human[S]{}).Select("humans.name AS owner, animals.name AS pet, animals.species").
				Joins("JOIN animals ON animals.owner_id = humans.id").Order("animals.id").Scan(m)
		})},
		{name: "Joins by SQL into an association", run: finding[animals, S](func(tx *gorm.DB, a *animals) *gorm.DB {
			return tx.Select(`animals.*, humans.id AS "Owner__id", humans.name AS "Owner__name"`).
				Joins("LEFT JOIN humans ON humans.id = animals.owner_id").Order("animals.id").Find(a)
		})},
		{name: "First with Joins", run: finding[animal[S], S](func(tx *gorm.DB, a *animal[S]) *gorm.DB { return tx.Joins("Owner").First(a) })},
		{name: "Count with Joins", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB { return tx.Model(&animal[S]{}).InnerJoins("Owner").Count(n) })},
		{name: "Rows with Joins", run: scanJoined[S]},
		{name: "Joins ON a sealed column's text", refused: gormplugin.ErrCondition, run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Joins("JOIN animals ON upper(animals.name) = humans.city").Find(h)
		})},
	}
}

func scanJoined[S secrets](w *world[S]) (any, error) {
	rows, err := w.Table("animals").Select("animals.name AS pet, humans.name AS owner").Joins("LEFT JOIN humans ON humans.id = animals.owner_id").Order("animals.id").Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var got []any
	for rows.Next() {
		var pet, owner *string
		if err := rows.Scan(&pet, &owner); err != nil {
			return nil, err
		}
		got = append(got, pet, owner)
	}
	return got, rows.Err()
}

func associationEntries[S secrets]() []entry[S] {
	of := func(w *world[S], name string) *gorm.Association { return w.Model(&human[S]{ID: 1}).Association(name) }
	return append(joinTableEntries[S](), []entry[S]{
		{name: "Find of has many", run: func(w *world[S]) (any, error) {
			var a []animal[S]
			return &a, of(w, "Pets").Find(&a)
		}},
		{name: "Find with a condition", run: func(w *world[S]) (any, error) {
			var a []animal[S]
			return &a, w.Model(&human[S]{ID: 1}).Where("species = ?", "dog").Association("Pets").Find(&a)
		}},
		{name: "Find of has one", run: func(w *world[S]) (any, error) {
			var p passport[S]
			return &p, of(w, "Passport").Find(&p)
		}},
		{name: "Find of belongs to", run: func(w *world[S]) (any, error) {
			var c company[S]
			return &c, w.Model(&human[S]{ID: 1, CompanyID: ptr(uint(1))}).Association("Company").Find(&c)
		}},
		{name: "Find of polymorphic", run: func(w *world[S]) (any, error) {
			var n []notice[S]
			return &n, of(w, "Notices").Find(&n)
		}},
		{name: "Count", run: func(w *world[S]) (any, error) {
			a := of(w, "Pets")
			return a.Count(), a.Error
		}},
		{name: "Append to has many", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 1}
			a := animal[S]{Secrets: values[S](40)}
			err := w.Model(&h).Association("Pets").Append(&a, &animal[S]{Secrets: values[S](41)})
			return []any{h, a}, err
		}},
		{name: "Append to has one", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 1}
			return &h, w.Model(&h).Association("Passport").Append(&passport[S]{Secrets: values[S](40)})
		}},
		{name: "Append to belongs to", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 2}
			return &h, w.Model(&h).Association("Company").Append(&company[S]{Secrets: values[S](40)})
		}},
		{name: "Append to polymorphic", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 2}
			return &h, w.Model(&h).Association("Notices").Append(&notice[S]{Secrets: values[S](40)})
		}},
		{name: "Append an existing one", run: func(w *world[S]) (any, error) {
			var stray animal[S]
			if err := w.First(&stray, 4).Error; err != nil {
				return nil, err
			}
			return &stray, of(w, "Pets").Append(&stray)
		}},
		{name: "Replace of has many", run: func(w *world[S]) (any, error) {
			return nil, of(w, "Pets").Replace(&animal[S]{Secrets: values[S](40)})
		}},
		{name: "Replace of belongs to", run: func(w *world[S]) (any, error) {
			return nil, of(w, "Company").Replace(&company[S]{Secrets: values[S](40)})
		}},
		{name: "Delete of has many", run: func(w *world[S]) (any, error) {
			return nil, of(w, "Pets").Delete(&animal[S]{ID: 1})
		}},
		{name: "Delete, Unscoped", run: func(w *world[S]) (any, error) {
			return nil, of(w, "Pets").Unscoped().Delete(&animal[S]{ID: 1})
		}},
		{name: "Clear of has many", run: func(w *world[S]) (any, error) { return nil, of(w, "Pets").Clear() }},
		{name: "Clear of belongs to", run: func(w *world[S]) (any, error) { return nil, of(w, "Company").Clear() }},
		{name: "Clear of polymorphic", run: func(w *world[S]) (any, error) { return nil, of(w, "Notices").Unscoped().Clear() }},
		{name: "Append for several models", run: func(w *world[S]) (any, error) {
			h := []human[S]{{ID: 2}, {ID: 3}}
			err := w.Model(&h).Association("Pets").Append(&animal[S]{Secrets: values[S](40)}, &animal[S]{Secrets: values[S](41)})
			return h, err
		}},
	}...)
}
