package gormplugin_test

import (
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

func updateEntries[S secrets]() []entry[S] {
	return append(updatesOfOne[S](), updatesOfMany[S]()...)
}

// first returns human 1 as it is in the database.
func first[S secrets](w *world[S]) (human[S], error) {
	var h human[S]
	err := w.Session(&gorm.Session{}).First(&h, 1).Error
	if h.ID == 0 {
		h.ID = 1 // a dry run
	}
	return h, err
}

// updating runs an update of human 1, and gives back the model.
func updating[S secrets](update func(tx *gorm.DB, h *human[S]) *gorm.DB) func(w *world[S]) (any, error) {
	return func(w *world[S]) (any, error) {
		h, err := first(w)
		if err != nil {
			return nil, err
		}
		return result(&h, update(w.DB, &h))
	}
}

func updatesOfOne[S secrets]() []entry[S] {
	return []entry[S]{
		{name: "Save", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Secrets = values[S](50)
			h.City = "saved"
			return tx.Save(h)
		})},
		{name: "Save of zero values", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			var none S
			h.Secrets = none
			return tx.Save(h)
		})},
		{name: "Save with Select", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Secrets = values[S](50)
			h.City = "no"
			return tx.Select("Name", "Notes").Save(h)
		})},
		{name: "Save with Omit", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Secrets = values[S](50)
			return tx.Omit("Name").Save(h)
		})},
		{name: "Save with associations", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Pets = []animal[S]{{ID: 1, Secrets: named[S]("not updated")}, {Secrets: named[S]("new pet")}}
			h.Passport = &passport[S]{Secrets: named[S]("second")}
			return tx.Save(h)
		})},
		{name: "Save with FullSaveAssociations", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Pets = []animal[S]{{ID: 1, OwnerID: ptr(uint(1)), Secrets: named[S]("updated")}, {Secrets: named[S]("new pet")}}
			return tx.Session(&gorm.Session{FullSaveAssociations: true}).Save(h)
		})},
		{name: "Updates of a struct", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Updates(human[S]{Secrets: named[S]("u"), City: "here"})
		})},
		{name: "Updates of a pointer", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Updates(&human[S]{Secrets: values[S](50)})
		})},
		{name: "Updates of the model itself", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			h.Secrets = named[S]("itself")
			return tx.Updates(h)
		})},
		{name: "Updates of a map", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Updates(map[string]any{"name": canary + " um", "Height": 3, "city": "there", "birthday": time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC)})
		})},
		{name: "Updates of zero values with Select", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Select("Name", "SSN", "Height").Updates(human[S]{})
		})},
		{name: "Updates with Select(*)", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Select("*").Omit("ID", "CompanyID").Updates(newHuman[S](40))
		})},
		{name: "Updates with Select", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Select("name", "Notes").Updates(newHuman[S](40))
		})},
		{name: "Updates with Omit", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Omit("name", "City").Updates(newHuman[S](40))
		})},
		{name: "Updates of a map with Select", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Select("name").Updates(map[string]any{"name": canary + " s", "height": 1, "city": "no"})
		})},
		{name: "Updates of a map with Omit", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Omit("name").Updates(map[string]any{"name": canary + " s", "height": 1})
		})},
		{name: "Updates of a DTO", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Select("name", "city").Updates(struct{ Name, City string }{canary + " dto", "dto"})
		})},
		{name: "Update", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("name", canary+" u") })},
		{name: "Update by field name", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("SSN", canary+" f") })},
		{name: "Update of a pointer's value", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("ssn", ptr(canary+" p")) })},
		{name: "Update to NULL", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("ssn", nil) })},
		{name: "Update of a value with a row key", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("notes", memo{Text: canary}) })},
		{name: "Update of a value with a row key by condition", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&human[S]{}).Where("id = ?", 1).Select("Notes").Updates(human[S]{Secrets: values[S](30)}))
		}},
		{name: "Update of bytes", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("secret", []byte(canary)) })},
		{name: "UpdateColumn", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).UpdateColumn("name", canary+" uc") })},
		{name: "UpdateColumns of a struct", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).UpdateColumns(human[S]{Secrets: named[S]("ucs"), City: "ucs"})
		})},
		{name: "UpdateColumns of a map", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).UpdateColumns(map[string]any{"name": canary, "height": 0})
		})},
		{name: "Update of a plain column", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB { return tx.Model(h).Update("city", gorm.Expr("upper(city)")) })},
		{name: "Update of an embedded pointer", run: func(w *world[S]) (any, error) {
			s := stamp[S]{ID: 1}
			return result(&s, w.Model(&s).Updates(stamp[S]{Out: ptr(named[S]("changed"))}))
		}},
		{name: "Update, Returning all", mysql: gormplugin.ErrStatement, run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Clauses(clause.Returning{}).Update("name", canary+" r")
		})},
		{name: "Update, Returning columns", mysql: gormplugin.ErrStatement, run: func(w *world[S]) (any, error) {
			var h []human[S]
			tx := w.Model(&h).Clauses(clause.Returning{Columns: []clause.Column{{Name: "name"}, {Name: "height"}}}).Where("id < ?", 3).Update("city", "r")
			return result(&h, tx)
		}},
		{name: "Update with an optimistic condition that fails", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Where("updated_at = ?", h.UpdatedAt.Add(-time.Hour)).Update("name", canary+" lost")
		})},
		{name: "Update with an optimistic condition that holds", run: updating(func(tx *gorm.DB, h *human[S]) *gorm.DB {
			return tx.Model(h).Where("updated_at = ?", h.UpdatedAt).Update("name", canary+" won")
		})},
		{name: "Update of a row that is not there", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&human[S]{ID: 999}).Update("name", canary))
		}},
		{name: "Updates of one sealed column leave the bytes of the others", alone: true, want: []string{"name"}, run: untouched[S]},
	}
}

// untouched returns the columns of human 1 whose bytes an update of the name
// changed, without those that GORM keeps itself.
func untouched[S secrets](w *world[S]) (any, error) {
	names := []string{"name", "ssn", "birthday", "notes", "secret", "height", "city", "photo", "created_at"}
	cells := func() (map[string]string, error) {
		m := map[string]string{}
		for _, name := range names {
			var cell sql.RawBytes
			rows, err := w.lab.stock.Table("humans").Select(name).Where("id = ?", 1).Rows()
			if err != nil {
				return nil, err
			}
			rows.Next()
			err = rows.Scan(&cell)
			m[name] = string(cell)
			if err = errors.Join(err, rows.Close()); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	before, err := cells()
	if err != nil {
		return nil, err
	}
	if err := w.Model(&human[S]{ID: 1}).Updates(map[string]any{"name": canary + " only"}).Error; err != nil {
		return nil, err
	}
	after, err := cells()
	changed := []string{}
	for name, v := range before {
		if v != after[name] {
			changed = append(changed, name)
		}
	}
	return changed, err
}

func updatesOfMany[S secrets]() []entry[S] {
	return []entry[S]{
		{name: "Update of several rows by condition", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&human[S]{}).Where("id > ?", 1).Update("name", canary+" many"))
		}},
		{name: "Updates of several rows by models", run: func(w *world[S]) (any, error) {
			h := []human[S]{{ID: 1}, {ID: 2}}
			return result(h, w.Model(&h).Updates(map[string]any{"name": canary + " two", "city": "two"}))
		}},
		{name: "Update of all rows", run: func(w *world[S]) (any, error) {
			return result(nil, w.Session(&gorm.Session{AllowGlobalUpdate: true}).Model(&human[S]{}).Update("name", canary+" all"))
		}},
		{name: "Update by Table", run: func(w *world[S]) (any, error) {
			return result(nil, w.Table("humans").Where("id = ?", 1).Updates(map[string]any{"name": canary + " t", "city": "t"}))
		}},
		{name: "Update by a sub-query", run: func(w *world[S]) (any, error) {
			sub := w.Session(&gorm.Session{NewDB: true}).Model(&animal[S]{}).Select("owner_id").Where("species = ?", "cat")
			return result(nil, w.Model(&human[S]{}).Where("id IN (?)", sub).Update("name", canary+" cat's"))
		}},
		{name: "Update where a sealed column IS NULL", run: func(w *world[S]) (any, error) {
			return result(nil, w.Model(&animal[S]{}).Where("ssn IS NULL").Update("ssn", canary))
		}},
		{name: "Update without a condition", run: func(w *world[S]) (any, error) {
			err := w.Model(&human[S]{}).Update("name", canary).Error
			return err.Error(), nil
		}},
	}
}

func deleteEntries[S secrets]() []entry[S] {
	return []entry[S]{
		{name: "Delete, soft", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 3}
			if err := w.Delete(&h).Error; err != nil {
				return nil, err
			}
			var left []human[S]
			return &left, w.Order("id").Find(&left).Error
		}},
		{name: "Find, Unscoped after a soft delete", run: func(w *world[S]) (any, error) {
			if err := w.Where("id = ?", 3).Delete(&human[S]{}).Error; err != nil {
				return nil, err
			}
			var h human[S]
			return &h, w.Unscoped().First(&h, 3).Error
		}},
		{name: "Update, Unscoped after a soft delete", run: func(w *world[S]) (any, error) {
			if err := w.Delete(&human[S]{}, 3).Error; err != nil {
				return nil, err
			}
			return result(nil, w.Unscoped().Model(&human[S]{ID: 3}).Updates(map[string]any{"deleted_at": nil, "name": canary + " back"}))
		}},
		{name: "Delete, Unscoped", run: func(w *world[S]) (any, error) {
			return result(nil, w.Unscoped().Delete(&human[S]{ID: 3}))
		}},
		{name: "Delete by condition", run: func(w *world[S]) (any, error) {
			return result(nil, w.Where("species = ?", "dog").Delete(&animal[S]{}))
		}},
		{name: "Delete where a sealed column IS NOT NULL", run: func(w *world[S]) (any, error) {
			return result(nil, w.Where("ssn IS NOT NULL AND id > 0").Delete(&animal[S]{}))
		}},
		{name: "Delete, Returning all", run: func(w *world[S]) (any, error) {
			var a []animal[S]
			tx := w.Clauses(clause.Returning{}).Where("id < ?", 3).Delete(&a)
			return result(&a, tx)
		}},
		{name: "Delete, Returning columns", run: func(w *world[S]) (any, error) {
			var a []animal[S]
			tx := w.Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}, {Name: "name"}}}).Where("id < ?", 3).Delete(&a)
			return result(&a, tx)
		}},
		{name: "Delete, soft, Returning all", mysql: gormplugin.ErrStatement, run: func(w *world[S]) (any, error) {
			var h []human[S]
			tx := w.Clauses(clause.Returning{}).Where("id < ?", 3).Delete(&h)
			return result(&h, tx)
		}},
		{name: "Delete with Select of associations", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 1}
			return result(nil, w.Select("Pets", "Notices").Delete(&h))
		}},
	}
}
