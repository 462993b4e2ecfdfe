package gormplugin_test

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

func genericEntries[S secrets]() []entry[S] {
	ctx := context.Background()
	people := func(w *world[S]) gorm.Interface[human[S]] { return gorm.G[human[S]](w.DB) }
	pets := func(w *world[S]) gorm.Interface[animal[S]] { return gorm.G[animal[S]](w.DB) }
	return []entry[S]{
		{name: "Create", run: func(w *world[S]) (any, error) { h := newHuman[S](10); return &h, people(w).Create(ctx, &h) }},
		{name: "CreateInBatches", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](10), newHuman[S](11), newHuman[S](12)}
			return h, people(w).CreateInBatches(ctx, &h, 2)
		}},
		{name: "Create with OnConflict", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			h.ID = 2
			return &h, gorm.G[human[S]](w.DB, onID(clause.AssignmentColumns([]string{"name"}))).Create(ctx, &h)
		}},
		{name: "Create with Select", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return &h, people(w).Select("name", "city").Create(ctx, &h)
		}},
		{name: "Set and Create", run: func(w *world[S]) (any, error) {
			return nil, pets(w).Set(clause.Assignment{Column: clause.Column{Name: "name"}, Value: canary + " set"}, clause.Assignment{Column: clause.Column{Name: "species"}, Value: "newt"}).Create(ctx)
		}},
		{name: "Find", run: func(w *world[S]) (any, error) { return people(w).Where("id > ?", 1).Order("id").Find(ctx) }},
		{name: "First, Last, Take", run: func(w *world[S]) (any, error) {
			a, err := people(w).First(ctx)
			if err != nil {
				return nil, err
			}
			b, err := people(w).Last(ctx)
			if err != nil {
				return nil, err
			}
			c, err := people(w).Where("id = ?", 2).Take(ctx)
			return []any{a, b, c}, err
		}},
		{name: "FindInBatches", run: func(w *world[S]) (any, error) {
			var names []string
			err := people(w).Order("id").FindInBatches(ctx, 2, func(data []human[S], _ int) error {
				for _, h := range data {
					names = append(names, nameOf(h.Secrets))
				}
				return nil
			})
			return names, err
		}},
		{name: "Update", run: func(w *world[S]) (any, error) { return pets(w).Where("id = ?", 1).Update(ctx, "name", canary+" g") }},
		{name: "Updates", run: func(w *world[S]) (any, error) {
			return pets(w).Where("id = ?", 1).Updates(ctx, animal[S]{Secrets: values[S](50)})
		}},
		{name: "Set and Update", run: func(w *world[S]) (any, error) {
			return pets(w).Where("id = ?", 1).Set(clause.Assignment{Column: clause.Column{Name: "name"}, Value: canary + " set"}).Update(ctx)
		}},
		{name: "Delete", run: func(w *world[S]) (any, error) { return pets(w).Where("id < ?", 3).Delete(ctx) }},
		{name: "Count", run: func(w *world[S]) (any, error) { return pets(w).Where("species = ?", "dog").Count(ctx, "id") }},
		{name: "Count of a sealed column", run: func(w *world[S]) (any, error) { return pets(w).Count(ctx, "ssn") }},
		{name: "Scan", run: func(w *world[S]) (any, error) {
			var c []card
			return &c, people(w).Order("id").Scan(ctx, &c)
		}},
		{name: "Raw", run: func(w *world[S]) (any, error) {
			return people(w).Raw("SELECT * FROM humans WHERE id > ? ORDER BY id", 1).Find(ctx)
		}},
		{name: "Raw into a DTO", run: func(w *world[S]) (any, error) {
			var c card
			return &c, people(w).Raw("SELECT id, name, photo FROM humans WHERE id = ?", 1).Scan(ctx, &c)
		}},
		{name: "Row", run: func(w *world[S]) (any, error) {
			var name string
			err := people(w).Where("id = ?", 1).Select("name").Row(ctx).Scan(&name)
			return name, err
		}},
		{name: "Rows", run: func(w *world[S]) (any, error) {
			rows, err := people(w).Order("id").Select("name").Rows(ctx)
			if err != nil {
				return nil, err
			}
			defer func() { _ = rows.Close() }()
			var names []string
			for rows.Next() {
				var name string
				if err := rows.Scan(&name); err != nil {
					return nil, err
				}
				names = append(names, name)
			}
			return names, rows.Err()
		}},
		{name: "Preload", run: func(w *world[S]) (any, error) {
			return people(w).Preload("Pets", func(db gorm.PreloadBuilder) error {
				db.Order("id desc").Where("species <> ?", "hen")
				return nil
			}).Order("id").Find(ctx)
		}},
		{name: "Preload, limited per record", run: func(w *world[S]) (any, error) {
			return people(w).Preload("Pets", func(db gorm.PreloadBuilder) error {
				db.Order("id").LimitPerRecord(1)
				return nil
			}).Order("id").Find(ctx)
		}},
		{name: "Joins", run: func(w *world[S]) (any, error) {
			return pets(w).Joins(clause.LeftJoin.Association("Owner"), nil).Order("animals.id").Find(ctx)
		}},
		{name: "Joins with a condition", run: func(w *world[S]) (any, error) {
			return pets(w).Joins(clause.InnerJoin.Association("Owner"), func(db gorm.JoinBuilder, joined, _ clause.Table) error {
				db.Where("?.city = ?", joined, "city 1")
				return nil
			}).Order("animals.id").Find(ctx)
		}},
		{name: "Joins of a sub-query", run: func(w *world[S]) (any, error) {
			sub := people(w).Select("id", "city").Where("id < ?", 2)
			return pets(w).Joins(clause.LeftJoin.AssociationFrom("Owner", sub).As("owned"), func(db gorm.JoinBuilder, joined, current clause.Table) error {
				db.Where("?.owner_id = ?.id", current, joined)
				return nil
			}).Order("animals.id").Find(ctx)
		}},
		{name: "Joins with a function of a sealed column", refused: gormplugin.ErrCondition, run: func(w *world[S]) (any, error) {
			return pets(w).Joins(clause.InnerJoin.Association("Owner"), func(db gorm.JoinBuilder, joined, _ clause.Table) error {
				db.Where("lower(?.name) = ?", joined, canary)
				return nil
			}).Find(ctx)
		}},
		{name: "Order by a sealed column", refused: gormplugin.ErrCondition, run: func(w *world[S]) (any, error) { return people(w).Order("name").Find(ctx) }},
		{name: "Set of an expression", refused: gormplugin.ErrExpression, run: func(w *world[S]) (any, error) {
			return pets(w).Where("id = ?", 1).Set(clause.Assignment{Column: clause.Column{Name: "name"}, Value: gorm.Expr("upper(species)")}).Update(ctx)
		}},
	}
}
