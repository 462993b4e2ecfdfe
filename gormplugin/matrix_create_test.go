package gormplugin_test

import (
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// row is a human as a map, by names of columns and of fields.
func row(n int) map[string]any {
	return map[string]any{
		"name": fmt.Sprint(canary, " map ", n), "SSN": canary, "secret": []byte(canary), "height": n,
		"city": fmt.Sprint("m", n),
	}
}

// result is what most operations give back: the caller's value, and what the
// statement says of itself.
func result(caller any, tx *gorm.DB) (any, error) {
	return []any{caller, tx.RowsAffected}, tx.Error
}

func createEntries[S secrets]() []entry[S] {
	return []entry[S]{
		{name: "Create of a struct", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return result(&h, w.Create(&h))
		}},
		{name: "Create of a slice", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](10), newHuman[S](11)}
			return result(h, w.Create(&h))
		}},
		{name: "Create of a slice of pointers", run: func(w *world[S]) (any, error) {
			h := []*human[S]{ptr(newHuman[S](10)), ptr(newHuman[S](11))}
			return result(h, w.Create(h))
		}},
		{name: "Create of an array", run: func(w *world[S]) (any, error) {
			h := [2]human[S]{newHuman[S](10), newHuman[S](11)}
			return result(&h, w.Create(&h))
		}},
		{name: "Create of zero and NULL values", run: func(w *world[S]) (any, error) {
			h := human[S]{}
			return result(&h, w.Create(&h))
		}},
		{name: "Create of a map", run: func(w *world[S]) (any, error) {
			m := row(1)
			tx := w.Model(&human[S]{}).Create(m)
			return result(m["name"], tx)
		}},
		{name: "Create of a pointer to a map", run: func(w *world[S]) (any, error) {
			m := row(1)
			tx := w.Model(&human[S]{}).Create(&m)
			return result(m["name"], tx)
		}},
		{name: "Create of []map without a pointer", fails: true, run: func(w *world[S]) (any, error) {
			m := []map[string]any{row(1), row(2)}
			tx := w.Model(&human[S]{}).Create(m)
			return result(m[1]["name"], tx)
		}},
		{name: "Create of *[]map", run: func(w *world[S]) (any, error) {
			m := []map[string]any{row(1), row(2)}
			tx := w.Model(&human[S]{}).Create(&m)
			return result(m[1]["name"], tx)
		}},
		{name: "Create of a map with NULL", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&human[S]{}).Create(map[string]any{"name": nil, "ssn": nil, "secret": nil, "birthday": nil, "height": 7}))
		}},
		{name: "Create of a map by Table", run: func(w *world[S]) (any, error) {
			return result(nil, w.Table("humans").Create(map[string]any{"name": canary, "city": "t"}))
		}},
		{name: "CreateInBatches", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](10), newHuman[S](11), newHuman[S](12), newHuman[S](13), newHuman[S](14)}
			return result(h, w.CreateInBatches(&h, 2))
		}},
		{name: "CreateInBatches by Session", run: func(w *world[S]) (any, error) {
			h := []*human[S]{ptr(newHuman[S](10)), ptr(newHuman[S](11)), ptr(newHuman[S](12))}
			return result(h, w.Session(&gorm.Session{CreateBatchSize: 2}).Create(h))
		}},
		{name: "Create with Select", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return result(&h, w.Select("Name", "City").Create(&h))
		}},
		{name: "Create with Omit", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return result(&h, w.Omit("SSN", "birthday", "Photo").Create(&h))
		}},
		{name: "Create with associations", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			h.Company = &company[S]{Secrets: values[S](1)}
			h.Passport = &passport[S]{Secrets: values[S](2), Stamps: []stamp[S]{{Secrets: values[S](3), Out: ptr(values[S](4))}, {Secrets: values[S](5)}}}
			h.Pets = []animal[S]{{Secrets: values[S](6)}, {Secrets: values[S](7)}}
			h.Notices = []notice[S]{{Secrets: values[S](8)}}
			return result(&h, w.Create(&h))
		}},
		{name: "Create without associations", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			h.Pets = []animal[S]{{Secrets: values[S](6)}}
			return result(&h, w.Omit(clause.Associations).Create(&h))
		}},
		{name: "Create, Returning all", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return result(&h, w.Clauses(clause.Returning{}).Create(&h))
		}},
		{name: "Create, Returning columns", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](10), newHuman[S](11)}
			return result(&h, w.Clauses(clause.Returning{Columns: []clause.Column{{Name: "name"}, {Name: "id"}}}).Create(&h))
		}},
		{name: "Save of a new struct", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			return result(&h, w.Save(&h))
		}},
		{name: "Save of a new struct with a key", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			h.ID = 100
			return result(&h, w.Save(&h))
		}},
		{name: "Save of a slice of old and new", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](10), newHuman[S](11)}
			h[0].ID = 2
			h[1].ID = 100
			return result(&h, w.Save(&h))
		}},
		{name: "Create of an embedded pointer", run: func(w *world[S]) (any, error) {
			s := []stamp[S]{{Secrets: values[S](1), Out: ptr(values[S](2))}, {Secrets: values[S](3)}}
			return result(&s, w.Create(&s))
		}},
		{name: "Create of a key that is there", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			h.ID = 1
			err := w.Create(&h).Error
			return err != nil, nil
		}},
		{name: "Create with an expression in a plain column", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&human[S]{}).Create(map[string]any{"name": canary, "city": gorm.Expr("upper(?)", "x")}))
		}},
	}
}

// onID is a conflict of the primary key.
func onID(set clause.Set) clause.OnConflict {
	return clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: set}
}

func upsertEntries[S secrets]() []entry[S] {
	known := func() human[S] {
		h := newHuman[S](10)
		h.ID = 2
		return h
	}
	return []entry[S]{
		{name: "OnConflict DoNothing", run: func(w *world[S]) (any, error) {
			h := known()
			tx := w.Clauses(clause.OnConflict{DoNothing: true}).Create(&h)
			return result(h, tx)
		}},
		{name: "OnConflict UpdateAll", run: func(w *world[S]) (any, error) {
			h := []human[S]{known(), newHuman[S](11)}
			h[1].ID = 20
			return result(&h, w.Clauses(clause.OnConflict{UpdateAll: true}).Create(&h))
		}},
		{name: "OnConflict AssignmentColumns", run: func(w *world[S]) (any, error) {
			h := []human[S]{known(), newHuman[S](11)}
			h[1].ID = 3
			return result(&h, w.Clauses(onID(clause.AssignmentColumns([]string{"name", "notes", "city"}))).Create(&h))
		}},
		{name: "OnConflict Assignments of a sealed column", run: func(w *world[S]) (any, error) {
			h := known()
			return result(&h, w.Clauses(onID(clause.Assignments(map[string]any{"name": canary + " assigned"}))).Create(&h))
		}},
		{name: "OnConflict Assignments of NULL", run: func(w *world[S]) (any, error) {
			h := known()
			return result(&h, w.Clauses(onID(clause.Assignments(map[string]any{"ssn": nil}))).Create(&h))
		}},
		{name: "OnConflict Assignments of a plain column", run: func(w *world[S]) (any, error) {
			h := []human[S]{known(), newHuman[S](11)}
			return result(h[0], w.Clauses(onID(clause.Assignments(map[string]any{"city": "there"}))).Omit("Photo").Create(h[:1]))
		}},
		{name: "OnConflict with Where", mysql: gormplugin.ErrCondition, run: func(w *world[S]) (any, error) {
			h := known()
			c := onID(clause.AssignmentColumns([]string{"name"}))
			c.Where = clause.Where{Exprs: []clause.Expression{clause.Eq{Column: clause.Column{Table: "humans", Name: "city"}, Value: "elsewhere"}}}
			return result(h, w.Clauses(c).Create(&h))
		}},
		{name: "OnConflict, Returning all", run: func(w *world[S]) (any, error) {
			h := known()
			return result(&h, w.Clauses(onID(clause.AssignmentColumns([]string{"name"})), clause.Returning{}).Create(&h))
		}},
		{name: "OnConflict of a map", run: func(w *world[S]) (any, error) {
			m := row(1)
			m["id"] = 2
			return result(nil, w.Model(&human[S]{}).Clauses(onID(clause.AssignmentColumns([]string{"name", "city"}))).Create(m))
		}},
		{name: "OnConflict of another tenant's row leaves it alone", alone: true, want: "beta", mysql: field.ErrTenantMismatch, run: func(w *world[S]) (any, error) {
			l := letter[S]{ID: 2, OrgID: "acme", Secrets: named[S]("stolen")}
			if err := w.Clauses(onID(clause.AssignmentColumns([]string{"name"}))).Create(&l).Error; err != nil {
				return nil, err
			}
			var got letter[S]
			if err := w.First(&got, 2).Error; err != nil {
				return nil, err
			}
			if nameOf(got.Secrets) != nameOf(values[S](71)) {
				return "stolen", nil
			}
			return got.OrgID, nil
		}},
		{name: "OnConflict Assignments of a sealed column, several rows", refused: gormplugin.ErrManyRows, run: func(w *world[S]) (any, error) {
			h := []human[S]{known(), newHuman[S](11)}
			return result(&h, w.Clauses(onID(clause.Assignments(map[string]any{"name": canary}))).Create(&h))
		}},
		{name: "OnConflict Assignments of an expression", refused: gormplugin.ErrExpression, run: func(w *world[S]) (any, error) {
			h := known()
			return result(&h, w.Clauses(onID(clause.Assignments(map[string]any{"name": gorm.Expr("humans.name || ?", canary)}))).Create(&h))
		}},
		{name: "OnConflict of another excluded column", refused: gormplugin.ErrExpression, run: func(w *world[S]) (any, error) {
			h := known()
			set := clause.Set{{Column: clause.Column{Name: "name"}, Value: clause.Column{Table: "excluded", Name: "city"}}}
			return result(&h, w.Clauses(onID(set)).Create(&h))
		}},
	}
}
