package gormplugin_test

import (
	"database/sql"
	"errors"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

// finding reads into a new T.
func finding[T any, S secrets](find func(tx *gorm.DB, into *T) *gorm.DB) func(w *world[S]) (any, error) {
	return func(w *world[S]) (any, error) {
		var into T
		return result(&into, find(w.DB, &into))
	}
}

func readEntries[S secrets]() []entry[S] {
	type one = human[S]
	type many = []human[S]
	return []entry[S]{
		{name: "Find", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Order("id").Find(h) })},
		{name: "Find into a slice of pointers", run: finding[[]*one, S](func(tx *gorm.DB, h *[]*one) *gorm.DB { return tx.Order("id").Find(h) })},
		{name: "Find into an array", run: finding[[3]one, S](func(tx *gorm.DB, h *[3]one) *gorm.DB { return tx.Order("id").Find(h) })},
		{name: "Find into a struct", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB { return tx.Limit(1).Order("id desc").Find(h) })},
		{name: "Find by keys", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Order("id").Find(h, []int{1, 3}) })},
		{name: "Find nothing", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Where("id > 100").Find(h) })},
		{name: "First", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB { return tx.First(h) })},
		{name: "First by key", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB { return tx.First(h, 2) })},
		{name: "First of a filled struct", run: func(w *world[S]) (any, error) {
			h := human[S]{ID: 2}
			return result(&h, w.First(&h))
		}},
		{name: "First into a pointer to a pointer", run: finding[*one, S](func(tx *gorm.DB, h **one) *gorm.DB { return tx.First(h) })},
		{name: "Last", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB { return tx.Last(h) })},
		{name: "Take", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB { return tx.Where("id = ?", 2).Take(h) })},
		{name: "First that is not there", run: func(w *world[S]) (any, error) {
			return errors.Is(w.First(&human[S]{}, 99).Error, gorm.ErrRecordNotFound) || w.DryRun, nil
		}},
		{name: "Select", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Select("id", "name", "Height").Order("id").Find(h) })},
		{name: "Select as one string", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Select("id, humans.name, city AS city").Order("id").Find(h)
		})},
		{name: "Select with an alias of the table", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Table("humans AS h").Select("h.*").Order("h.id").Find(h)
		})},
		{name: "Select of a function of plain columns", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Model(&human[S]{}).Select("upper(city) AS loud", "name").Order("id").Find(m)
		})},
		{name: "Omit", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Omit("name", "Notes").Order("id").Find(h) })},
		{name: "Order, Limit, Offset by plain columns", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Order("city desc").Order(clause.OrderByColumn{Column: clause.Column{Name: "id"}}).Limit(1).Offset(1).Find(h)
		})},
		{name: "Group and Having of plain columns", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Model(&animal[S]{}).Select("species", "count(*) AS n").Group("species").Having("count(*) > ?", 1).Find(m)
		})},
		{name: "Distinct of a plain column", run: finding[[]string, S](func(tx *gorm.DB, s *[]string) *gorm.DB {
			return tx.Model(&animal[S]{}).Distinct("species").Order("species").Pluck("species", s)
		})},
		{name: "Where a struct of plain fields", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB { return tx.Where(&one{City: "city 2"}).Find(h) })},
		{name: "Where a map of plain columns", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Where(map[string]any{"city": []string{"city 1", "city 2"}}).Order("id").Find(h)
		})},
		{name: "Where IS NULL and IS NOT NULL", run: finding[[]animal[S], S](func(tx *gorm.DB, a *[]animal[S]) *gorm.DB {
			return tx.Where("ssn IS NULL AND name IS NOT NULL").Not(map[string]any{"name": nil}).Order("id").Find(a)
		})},
		{name: "Or, Not and groups of plain conditions", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			fresh := tx.Session(&gorm.Session{NewDB: true})
			return tx.Where(fresh.Where("id = ?", 1).Or("city = @c", map[string]any{"c": "city 3"})).Not("id = ?", 3).Find(h)
		})},
		{name: "Where a sub-query of plain columns", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Where("id IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&animal[S]{}).Select("owner_id").Where("species = ?", "hen")).Find(h)
		})},
		{name: "From a sub-query", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Table("(?) AS humans", tx.Session(&gorm.Session{NewDB: true}).Model(&human[S]{}).Where("id < 3")).Order("humans.id").Find(h)
		})},
		{name: "Find a model with a computed column", run: finding[[]counted[S], S](func(tx *gorm.DB, c *[]counted[S]) *gorm.DB {
			return tx.Model(&human[S]{}).Select("humans.*, (SELECT count(*) FROM animals WHERE owner_id = humans.id) AS n").Order("id").Find(c)
		})},
		{name: "MapColumns", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.MapColumns(map[string]string{"name": "city", "city": "name"}).Select("id", "name", "city").Order("id").Find(h)
		})},
		{name: "Where some fields of a struct", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Where(&one{City: "city 2", Secrets: values[S](1)}, "City").Find(h)
		})},
		{name: "First into a used struct", run: func(w *world[S]) (any, error) {
			a := animal[S]{ID: 1, Secrets: values[S](1)}
			return result(&a, w.First(&a))
		}},
		{name: "Find into a used slice", run: func(w *world[S]) (any, error) {
			h := []human[S]{newHuman[S](1), newHuman[S](2), newHuman[S](3), newHuman[S](4)}
			return result(&h, w.Where("id = ?", 2).Find(&h))
		}},
		{name: "PostgreSQL's simple protocol", run: simple[S]},
		{name: "FindInBatches", run: batches[S]},
		{name: "Count", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB { return tx.Model(&human[S]{}).Where("id > ?", 1).Count(n) })},
		{name: "Count of a sealed column", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB { return tx.Model(&animal[S]{}).Select("ssn").Count(n) })},
		{name: "Count of distinct plain values", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB {
			return tx.Model(&animal[S]{}).Distinct("species").Count(n)
		})},
		{name: "FOR UPDATE", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Clauses(clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}).Order("id").Find(h)
		})},
		{name: "FOR SHARE OF a table", run: finding[many, S](func(tx *gorm.DB, h *many) *gorm.DB {
			return tx.Clauses(clause.Locking{Strength: "SHARE", Table: clause.Table{Name: clause.CurrentTable}}).Order("id").Find(h)
		})},
	}
}

// counted is a model with a column more.
type counted[S secrets] struct {
	human[S] `gorm:"embedded"`
	N        int
}

// simple sends parameters as text inside of the statement, where there is a
// protocol that does so.
func simple[S secrets](w *world[S]) (any, error) {
	dial := w.lab.dial()
	if p, ok := dial.(*postgres.Dialector); ok {
		dial = postgres.New(postgres.Config{DSN: p.DSN, PreferSimpleProtocol: true})
	}
	db, err := gorm.Open(dial, &gorm.Config{Logger: w.lab.log, NowFunc: w.NowFunc})
	if err != nil {
		return nil, err
	}
	defer func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	}()
	if w.sealed {
		if err := db.Use(gormplugin.New(w.lab.cipher)); err != nil {
			return nil, err
		}
	}
	db = db.Session(&gorm.Session{DryRun: w.DryRun})
	h := newHuman[S](10)
	var all []human[S]
	err = errors.Join(db.Create(&h).Error, db.Model(&h).Update("name", canary+" simple").Error, db.Order("id").Find(&all).Error)
	return []any{h, all}, err
}

func batches[S secrets](w *world[S]) (any, error) {
	var seen []string
	var batch []human[S]
	err := w.Order("id").FindInBatches(&batch, 2, func(tx *gorm.DB, n int) error {
		for i := range batch {
			seen = append(seen, nameOf(batch[i].Secrets))
			batch[i].City = "batch"
		}
		return tx.Save(&batch).Error
	}).Error
	return seen, err
}

// card is a destination that is no model and has no tags.
type card struct {
	ID     uint
	Name   string
	SSN    sql.NullString
	Height *int64
	Secret []byte
	Photo  []byte
	City   string
}

func destinationEntries[S secrets]() []entry[S] {
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&human[S]{}).Order("id") }
	maps := []string{"id", "name", "ssn", "height", "secret", "photo", "city"}
	return []entry[S]{
		{name: "Scan into a DTO", run: finding[card, S](func(tx *gorm.DB, c *card) *gorm.DB { return model(tx).Limit(1).Scan(c) })},
		{name: "Scan into DTOs", run: finding[[]card, S](func(tx *gorm.DB, c *[]card) *gorm.DB { return model(tx).Scan(c) })},
		{name: "Find into DTOs", run: finding[[]*card, S](func(tx *gorm.DB, c *[]*card) *gorm.DB { return model(tx).Find(c) })},
		{name: "First into a DTO", run: finding[card, S](func(tx *gorm.DB, c *card) *gorm.DB { return tx.Model(&human[S]{}).First(c) })},
		{name: "Take into a map", run: finding[map[string]any, S](func(tx *gorm.DB, m *map[string]any) *gorm.DB { return model(tx).Select(maps).Take(m) })},
		{name: "Find into maps", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB { return model(tx).Select(maps).Find(m) })},
		{name: "Scan into maps by Table", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Table("humans").Select("name", "city").Order("id").Scan(m)
		})},
		{name: "Pluck of text", run: finding[[]string, S](func(tx *gorm.DB, s *[]string) *gorm.DB { return model(tx).Pluck("name", s) })},
		{name: "Pluck by field name", run: finding[[]string, S](func(tx *gorm.DB, s *[]string) *gorm.DB { return model(tx).Pluck("SSN", s) })},
		{name: "Pluck of sql.NullString", run: finding[[]sql.NullString, S](func(tx *gorm.DB, s *[]sql.NullString) *gorm.DB {
			return tx.Model(&animal[S]{}).Order("id").Pluck("ssn", s)
		})},
		{name: "Pluck of numbers", run: finding[[]int, S](func(tx *gorm.DB, n *[]int) *gorm.DB { return model(tx).Pluck("height", n) })},
		{name: "Pluck of bytes", run: finding[[][]byte, S](func(tx *gorm.DB, b *[][]byte) *gorm.DB { return model(tx).Pluck("secret", b) })},
		{name: "Scan of one value", run: finding[string, S](func(tx *gorm.DB, s *string) *gorm.DB { return model(tx).Select("name").Limit(1).Scan(s) })},
		{name: "Scan into a model by Table", run: finding[[]human[S], S](func(tx *gorm.DB, h *[]human[S]) *gorm.DB { return tx.Table("humans").Order("id").Scan(h) })},
		{name: "Row", run: func(w *world[S]) (any, error) {
			var name string
			var photo []byte
			err := model(w.DB).Select("name", "photo").Limit(1).Row().Scan(&name, &photo)
			return []any{name, photo}, err
		}},
		{name: "Row of nothing", run: func(w *world[S]) (any, error) {
			var name string
			return model(w.DB).Where("id = 99").Select("name").Row().Scan(&name).Error(), nil
		}},
		{name: "Rows", run: func(w *world[S]) (any, error) {
			rows, err := model(w.DB).Select("id", "name", "height").Rows()
			if err != nil {
				return nil, err
			}
			defer func() { _ = rows.Close() }()
			var got []any
			for rows.Next() {
				var id, height int
				var name string
				if err := rows.Scan(&id, &name, &height); err != nil {
					return nil, err
				}
				got = append(got, id, name, height)
			}
			return got, rows.Err()
		}},
		{name: "Rows with ScanRows into models", run: scanRows[human[S], S]},
		{name: "Rows with ScanRows into DTOs", run: scanRows[card, S]},
		{name: "Rows left half read", run: func(w *world[S]) (any, error) {
			rows, err := model(w.DB).Rows()
			if err != nil {
				return nil, err
			}
			ok := rows.Next()
			return ok, rows.Close()
		}},
	}
}

func scanRows[T any, S secrets](w *world[S]) (any, error) {
	rows, err := w.Model(&human[S]{}).Order("id").Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var got []T
	for rows.Next() {
		var one T
		if err := w.ScanRows(rows, &one); err != nil {
			return nil, err
		}
		got = append(got, one)
	}
	return got, rows.Err()
}

func firstOrEntries[S secrets]() []entry[S] {
	type one = human[S]
	return []entry[S]{
		{name: "FirstOrInit that finds", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "city 2"}).Attrs(one{Secrets: named[S]("no")}).FirstOrInit(h)
		})},
		{name: "FirstOrInit that does not find, Attrs", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "new"}).Attrs(one{Secrets: named[S]("attr")}).FirstOrInit(h)
		})},
		{name: "FirstOrInit, Assign", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "city 2"}).Assign(one{Secrets: named[S]("assign")}).FirstOrInit(h)
		})},
		{name: "FirstOrCreate that finds", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "city 2"}).Attrs(map[string]any{"name": "no"}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate that creates, Attrs", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "new"}).Attrs(one{Secrets: values[S](50)}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate that creates, Attrs of a map", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(map[string]any{"city": "new"}).Attrs(map[string]any{"name": canary + " attr"}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate that creates, Assign", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "new"}).Assign(one{Secrets: values[S](50)}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate that finds, Assign", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "city 2"}).Assign(one{Secrets: values[S](50)}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate that finds, Assign of a map", run: finding[one, S](func(tx *gorm.DB, h *one) *gorm.DB {
			return tx.Where(one{City: "city 2"}).Assign(map[string]any{"name": canary + " map"}).FirstOrCreate(h)
		})},
		{name: "FirstOrCreate of a filled struct", run: func(w *world[S]) (any, error) {
			h := newHuman[S](60)
			return result(&h, w.Where(human[S]{City: "new"}).FirstOrCreate(&h))
		}},
	}
}
