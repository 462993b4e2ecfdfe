package gormplugin_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/plugin/dbresolver"

	"github.com/rowseal/rowseal/gormplugin"
)

func hookEntries[S secrets]() []entry[S] {
	watched := func(name string, h hookLog, run func(tx *gorm.DB) error) entry[S] {
		return entry[S]{name: name, run: func(w *world[S]) (any, error) {
			log := h
			err := run(w.WithContext(withHooks(context.Background(), &log)))
			if errors.Is(err, errHook) {
				log.seen, err = append(log.seen, "refused"), nil
			}
			return log.seen, err
		}}
	}
	return []entry[S]{
		watched("Create", hookLog{}, func(tx *gorm.DB) error { h := newHuman[S](10); return tx.Create(&h).Error }),
		watched("Create of several", hookLog{}, func(tx *gorm.DB) error {
			return tx.Create([]*human[S]{ptr(newHuman[S](10)), ptr(newHuman[S](11))}).Error
		}),
		watched("Save of an old row", hookLog{}, func(tx *gorm.DB) error { h := newHuman[S](10); h.ID = 1; return tx.Save(&h).Error }),
		watched("Updates", hookLog{}, func(tx *gorm.DB) error {
			return tx.Model(&human[S]{ID: 1}).Updates(human[S]{Secrets: values[S](10)}).Error
		}),
		watched("UpdateColumn runs none", hookLog{}, func(tx *gorm.DB) error { return tx.Model(&human[S]{ID: 1}).UpdateColumn("name", canary).Error }),
		watched("Delete", hookLog{}, func(tx *gorm.DB) error { h := newHuman[S](10); h.ID = 1; return tx.Delete(&h).Error }),
		watched("Find", hookLog{}, func(tx *gorm.DB) error { return tx.Order("id").Find(&[]human[S]{}).Error }),
		watched("First with Preload", hookLog{}, func(tx *gorm.DB) error { return tx.Preload("Pets").First(&human[S]{}).Error }),
		watched("Preload of the hookLog model", hookLog{}, func(tx *gorm.DB) error { return tx.Preload("Owner").Order("id").Find(&[]animal[S]{}).Error }),
		watched("SetColumn in BeforeSave of Create", hookLog{set: canary + " set"}, func(tx *gorm.DB) error { h := newHuman[S](10); return tx.Create(&h).Error }),
		watched("SetColumn in BeforeSave of Save", hookLog{set: canary + " set"}, func(tx *gorm.DB) error { h := newHuman[S](10); h.ID = 1; return tx.Save(&h).Error }),
		watched("SetColumn in BeforeSave of Updates", hookLog{set: canary + " set"}, func(tx *gorm.DB) error {
			return tx.Model(&human[S]{ID: 1}).Updates(human[S]{City: "x"}).Error
		}),
		watched("SetColumn in BeforeSave of Updates of a map", hookLog{set: canary + " set"}, func(tx *gorm.DB) error {
			return tx.Model(&human[S]{ID: 1}).Updates(map[string]any{"city": "x"}).Error
		}),
		watched("a BeforeCreate that fails", hookLog{fail: "BeforeCreate"}, func(tx *gorm.DB) error { h := newHuman[S](10); return tx.Create(&h).Error }),
		watched("an AfterCreate that fails rolls back", hookLog{fail: "AfterCreate"}, func(tx *gorm.DB) error { h := newHuman[S](10); return tx.Create(&h).Error }),
		watched("SkipHooks", hookLog{}, func(tx *gorm.DB) error {
			h := newHuman[S](10)
			return tx.Session(&gorm.Session{SkipHooks: true}).Create(&h).Error
		}),
	}
}

var errRollback = errors.New("roll back")

func transactionEntries[S secrets]() []entry[S] {
	create := func(tx *gorm.DB, n int) error { h := newHuman[S](n); return tx.Create(&h).Error }
	ignore := func(err error) error {
		if errors.Is(err, errRollback) {
			return nil
		}
		return err
	}
	return []entry[S]{
		{name: "Transaction", run: func(w *world[S]) (any, error) {
			var h human[S]
			err := w.Transaction(func(tx *gorm.DB) error { return errors.Join(create(tx, 10), tx.Last(&h).Error) })
			return &h, err
		}},
		{name: "Transaction that rolls back", run: func(w *world[S]) (any, error) {
			return nil, ignore(w.Transaction(func(tx *gorm.DB) error { return errors.Join(create(tx, 10), errRollback) }))
		}},
		{name: "nested Transaction that rolls back", run: func(w *world[S]) (any, error) {
			return nil, w.Transaction(func(tx *gorm.DB) error {
				inner := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(create(tx, 11), errRollback) })
				return errors.Join(create(tx, 10), ignore(inner))
			})
		}},
		{name: "Begin, SavePoint, RollbackTo, Commit", run: func(w *world[S]) (any, error) {
			tx := w.Begin()
			err := errors.Join(create(tx, 10), tx.SavePoint("sp").Error, create(tx, 11), tx.RollbackTo("sp").Error, create(tx, 12))
			return nil, errors.Join(err, tx.Commit().Error)
		}},
		{name: "Begin, Rollback", run: func(w *world[S]) (any, error) {
			tx := w.Begin(&sql.TxOptions{})
			return nil, errors.Join(create(tx, 10), tx.Rollback().Error)
		}},
		{name: "a refused statement inside of a Transaction", run: func(w *world[S]) (any, error) {
			err := w.Transaction(func(tx *gorm.DB) error {
				if err := create(tx, 10); err != nil {
					return err
				}
				if w.sealed {
					return tx.Order("name").Find(&[]human[S]{}).Error
				}
				return errRollback
			})
			if w.sealed && !errors.Is(err, gormplugin.ErrCondition) {
				return nil, err
			}
			return nil, nil
		}},
		{name: "SkipDefaultTransaction", run: func(w *world[S]) (any, error) {
			return nil, create(w.Session(&gorm.Session{SkipDefaultTransaction: true}), 10)
		}},
		{name: "Connection", run: func(w *world[S]) (any, error) {
			var h human[S]
			err := w.Connection(func(tx *gorm.DB) error { return errors.Join(create(tx, 10), tx.Last(&h).Error) })
			return &h, err
		}},
		{name: "FOR UPDATE inside of a Transaction", run: func(w *world[S]) (any, error) {
			var h human[S]
			err := w.Transaction(func(tx *gorm.DB) error {
				if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).First(&h, 1).Error; err != nil {
					return err
				}
				return tx.Model(&h).Update("name", nameOf(h.Secrets)+" locked").Error
			})
			return &h, err
		}},
	}
}

func sessionEntries[S secrets]() []entry[S] {
	return []entry[S]{
		{name: "PrepareStmt", run: prepared[S]},
		{name: "PrepareStmt inside of a Transaction", run: func(w *world[S]) (any, error) {
			var h []human[S]
			err := w.Session(&gorm.Session{PrepareStmt: true}).Transaction(func(tx *gorm.DB) error {
				n := newHuman[S](10)
				return errors.Join(tx.Create(&n).Error, tx.Model(&n).Update("name", canary+" p").Error, tx.Order("id").Find(&h).Error)
			})
			return h, err
		}},
		{name: "a shared Session", run: func(w *world[S]) (any, error) {
			shared := w.Where("id < ?", 3).Session(&gorm.Session{})
			var some, fewer []human[S]
			var n int64
			err := errors.Join(shared.Order("id").Find(&some).Error, shared.Where("city = ?", "city 1").Find(&fewer).Error,
				shared.Model(&human[S]{}).Count(&n).Error)
			return []any{some, fewer, n}, err
		}},
		{name: "NewDB", run: func(w *world[S]) (any, error) {
			var h []human[S]
			err := w.Where("id = ?", 1).Session(&gorm.Session{NewDB: true}).Order("id").Find(&h).Error
			return h, err
		}},
		{name: "a statement used again", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			tx := w.Create(&h)
			var n int64
			again := newHuman[S](11)
			err := errors.Join(tx.Error, w.Model(&h).Count(&n).Error, w.Session(&gorm.Session{}).Create(&again).Error)
			return []any{h, again, n}, err
		}},
		{name: "a statement with an update built twice", run: func(w *world[S]) (any, error) {
			tx := w.Model(&human[S]{}).Where("id = ?", 1).Session(&gorm.Session{})
			return nil, errors.Join(tx.Update("name", canary+" 1").Error, tx.Update("name", canary+" 2").Error)
		}},
		{name: "Scopes", run: func(w *world[S]) (any, error) {
			var h []human[S]
			scope := func(tx *gorm.DB) *gorm.DB { return tx.Where("id > ?", 1).Select("id", "name") }
			return result(&h, w.Scopes(scope).Order("id").Find(&h))
		}},
		{name: "Scopes on an update", run: func(w *world[S]) (any, error) {
			scope := func(tx *gorm.DB) *gorm.DB { return tx.Where("id > ?", 1) }
			return result(nil, w.Model(&human[S]{}).Scopes(scope).Update("name", canary+" scoped"))
		}},
		{name: "QueryFields", run: func(w *world[S]) (any, error) {
			var h []human[S]
			return result(&h, w.Session(&gorm.Session{QueryFields: true}).Order("id").Find(&h))
		}},
		{name: "Debug", run: func(w *world[S]) (any, error) {
			var h human[S]
			return &h, w.Debug().First(&h).Error
		}},
		{name: "DryRun", run: func(w *world[S]) (any, error) {
			h := newHuman[S](10)
			stmt := w.Session(&gorm.Session{DryRun: true}).Create(&h).Statement
			text := stmt.SQL.String()
			shown := w.Dialector.Explain(text, stmt.Vars...)
			if w.sealed && strings.Contains(shown, canary) {
				return nil, errors.New("a dry run shows a plaintext")
			}
			return text, nil
		}},
		{name: "ToSQL", run: func(w *world[S]) (any, error) {
			text := w.ToSQL(func(tx *gorm.DB) *gorm.DB { h := newHuman[S](10); return tx.Create(&h) }) +
				w.ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Model(&human[S]{ID: 1}).Update("name", canary) })
			if w.sealed && strings.Contains(text, canary) {
				return nil, errors.New("ToSQL shows a plaintext")
			}
			return strings.Count(text, "INSERT") + strings.Count(text, "UPDATE"), nil
		}},
		{name: "AutoMigrate again", run: func(w *world[S]) (any, error) {
			tx := w.Session(&gorm.Session{NewDB: true})
			tx.DryRun = false
			return nil, errors.Join(tx.AutoMigrate(matrixModels[S]()...), tx.AutoMigrate(matrixModels[S]()...))
		}},
		{name: "a cancelled context", run: func(w *world[S]) (any, error) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			h := newHuman[S](10)
			err := errors.Join(w.WithContext(ctx).Create(&h).Error, w.WithContext(ctx).Find(&[]human[S]{}).Error)
			return errors.Is(err, context.Canceled) || w.DryRun, nil
		}},
		{name: "dbresolver with sources and replicas", run: resolved[S]},
		{name: "dbresolver registered before the plugin", run: func(w *world[S]) (any, error) {
			return resolving(w, true)
		}},
	}
}

func prepared[S secrets](w *world[S]) (any, error) {
	tx := w.Session(&gorm.Session{PrepareStmt: true})
	var got []any
	for n := range 3 {
		h := newHuman[S](10 + n)
		var back human[S]
		var names []string
		err := errors.Join(tx.Create(&h).Error, tx.Model(&h).Update("name", canary+" prepared").Error,
			tx.First(&back, h.ID).Error, tx.Model(&human[S]{}).Order("id").Pluck("name", &names).Error)
		if err != nil {
			return nil, err
		}
		got = append(got, h, back, names)
	}
	return got, nil
}

func resolved[S secrets](w *world[S]) (any, error) { return resolving(w, false) }

// resolving uses a database with a second connection to itself as its replica.
func resolving[S secrets](w *world[S], resolverFirst bool) (any, error) {
	db, err := gorm.Open(w.lab.dial(), &gorm.Config{Logger: w.lab.log, NowFunc: w.NowFunc})
	if err != nil {
		return nil, err
	}
	resolver := dbresolver.Register(dbresolver.Config{
		Sources: []gorm.Dialector{w.lab.dial()}, Replicas: []gorm.Dialector{w.lab.dial(), w.lab.dial()},
		TraceResolverMode: true,
	}).Register(dbresolver.Config{Replicas: []gorm.Dialector{w.lab.dial()}}, &animal[S]{})
	defer func() {
		_ = resolver.Call(func(pool gorm.ConnPool) error { return pool.(*sql.DB).Close() })
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	}()
	plugins := []gorm.Plugin{resolver}
	if w.sealed {
		p := gormplugin.New(w.lab.cipher)
		p.Models = matrixModels[S]()
		plugins = append([]gorm.Plugin{p}, plugins...)
		if resolverFirst {
			plugins[0], plugins[1] = plugins[1], plugins[0]
		}
	}
	for _, p := range plugins {
		if err := db.Use(p); err != nil {
			return nil, err
		}
	}
	db = db.Session(&gorm.Session{DryRun: w.DryRun})
	h := newHuman[S](10)
	var all, primary []human[S]
	var pets []animal[S]
	var names []string
	err = errors.Join(db.Create(&h).Error, db.Model(&h).Update("name", canary+" resolved").Error,
		db.Preload("Pets").Order("id").Find(&all).Error, db.Clauses(dbresolver.Write).Order("id").Find(&primary).Error,
		db.Joins("Owner").Order("animals.id").Find(&pets).Error, db.Model(&human[S]{}).Order("id").Pluck("name", &names).Error,
		db.Transaction(func(tx *gorm.DB) error {
			return tx.Model(&human[S]{}).Where("id = ?", 2).Update("name", canary+" in a transaction").Error
		}))
	return []any{h, all, primary, pets, names}, err
}
