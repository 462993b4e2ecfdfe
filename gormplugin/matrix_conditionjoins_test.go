package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// sealedJoins compare sealed columns with each other.
func sealedJoins[S secrets, K findable]() []entry[S] {
	type many = []client[K]
	type rows = []map[string]any
	by := func(name string, scope func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB { return scope(tx).Order("clients.id").Find(c) })}
	}
	pairs := func(name string, scope func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[rows, S](func(tx *gorm.DB, m *rows) *gorm.DB { return scope(tx).Order("1, 2").Scan(m) })}
	}
	estates := func(tx *gorm.DB) *gorm.DB { return fresh(tx).Model(&estate[K]{}) }
	return []entry[S]{
		by("IN a sub-query of sealed values", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail IN (?)", estates(tx).Select("mail").Where("mail <> ? AND name <> ?", mail(0), "alone"))
		}),
		by("NOT IN a sub-query of sealed values", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail NOT IN (?)", estates(tx).Select("mail").Where("mail IS NOT NULL"))
		}),
		by("IN a sub-query with DISTINCT", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail IN (?)", estates(tx).Distinct("mail")) }),
		by("IN a sub-query with GROUP BY", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail IN (?)", fresh(tx).Model(&chattel[K]{}).Select("mail").Group("mail").Having("count(*) > ?", 1))
		}),
		by("IN a sub-query of plain values", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("alias <> ?", mail(0)).Where("id IN (?)", fresh(tx).Model(&client[K]{}).Select("kin_id").Where("mail = ?", mail(1))).Where("role = ?", "role1")
		}),
		by("IN Raw", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail IN (?)", fresh(tx).Raw("SELECT mail FROM estates WHERE mail = ? OR name = ?", mail(1), "empty"))
		}),
		by("= a sub-query", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail = (?)", estates(tx).Select("mail").Where("name = ?", "e1"))
		}),
		by("EXISTS, correlated", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("EXISTS (?)", fresh(tx).Table("estates AS e").Select("1").Where("e.mail = clients.mail AND e.name <> ?", "e0"))
		}),
		by("NOT EXISTS, Raw", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("NOT EXISTS (?)", fresh(tx).Raw("SELECT 1 FROM estates e WHERE e.mail = clients.mail"))
		}),
		by("EXISTS of a sealed column", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("EXISTS (?)", fresh(tx).Table("estates AS e").Select("e.mail").Where("e.mail = clients.mail"))
		}),
		by("EXISTS with a value", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("EXISTS (SELECT 1 FROM clients k WHERE k.id = clients.kin_id AND k.mail = ?)", mail(1))
		}),
		by("sub-queries inside of sub-queries", func(tx *gorm.DB) *gorm.DB {
			inner := fresh(tx).Model(&chattel[K]{}).Select("mail").Where("alias = ?", mail(2))
			return tx.Where("mail IN (?)", estates(tx).Select("mail").Where("mail IN (?) OR mail = ?", inner, ""))
		}),
		by("FROM a sub-query with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Table("(?) AS clients", fresh(tx).Model(&client[K]{}).Where("mail = ?", mail(1)))
		}),
		by("Joins text ON sealed columns", func(tx *gorm.DB) *gorm.DB {
			return tx.Joins("JOIN estates e ON e.mail = clients.mail AND e.name <> ?", "e0")
		}),
		by("Joins text, the other way round, with a value", func(tx *gorm.DB) *gorm.DB {
			return tx.Joins("JOIN estates ON clients.mail = estates.mail AND estates.mail = ?", mail(1)).Where("clients.alias <> ?", mail(0))
		}),
		by("Joins of a sub-query", func(tx *gorm.DB) *gorm.DB {
			return tx.Joins("JOIN (?) AS few ON few.id = clients.id", fresh(tx).Model(&client[K]{}).Select("id").Where("mail = ?", mail(1)))
		}),
		pairs("LEFT JOIN with a value", func(tx *gorm.DB) *gorm.DB {
			return tx.Table("clients AS c").Select("c.id, e.id AS other, c.mail, e.name").Joins("LEFT JOIN estates AS e ON e.mail = c.mail AND e.mail = ?", mail(1))
		}),
		pairs("a self join", func(tx *gorm.DB) *gorm.DB {
			return tx.Table("clients AS a").Select("a.id, b.id AS other, a.mail").Joins("JOIN clients AS b ON a.mail = b.mail AND a.id < b.id").Where("a.mail <> ?", mail(1))
		}),
		pairs("FROM two tables", func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT c.id, e.id AS other FROM clients c, estates e WHERE c.mail = e.mail AND e.mail <> ? ORDER BY 1, 2", mail(0))
		}),
		by("Joins of an association, its sealed column in Where", func(tx *gorm.DB) *gorm.DB {
			return tx.Joins("Kin").Where(clause.Eq{Column: clause.Column{Table: "Kin", Name: "mail"}, Value: mail(1)})
		}),
		by("Joins of an association with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Joins("Kin", fresh(tx).Where(map[string]any{"mail": mail(1)}))
		}),
		by("Joins of an association with a struct", func(tx *gorm.DB) *gorm.DB {
			return tx.InnerJoins("Kin", fresh(tx).Where(&client[K]{Keys: mailed[K](mail(1))}))
		}),
		by("Preload with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Preload("Kin", "mail = ?", mail(1)).Where("clients.mail <> ?", mail(1))
		}),
		by("Preload with a function", func(tx *gorm.DB) *gorm.DB {
			return tx.Preload("Kin", func(tx *gorm.DB) *gorm.DB { return tx.Where(map[string]any{"mail": []string{mail(1), ""}}) })
		}),
	}
}

// sealedKeyEntries have associations whose keys are sealed.
func sealedKeyEntries[S secrets, K findable]() []entry[S] {
	type estates = []estate[K]
	type chattels = []chattel[K]
	first := func(w *world[S]) (e estate[K], err error) {
		return e, w.First(&e, "mail = ?", mail(1)).Error
	}
	on := func(name string, do func(a *gorm.Association) (any, error)) entry[S] {
		return entry[S]{name: name, run: func(w *world[S]) (any, error) {
			e, err := first(w)
			if err != nil {
				return nil, err
			}
			return do(w.Model(&e).Association("Chattels"))
		}}
	}
	return []entry[S]{
		{name: "Create with has many", run: func(w *world[S]) (any, error) {
			e := estate[K]{Keys: mailed[K](mail(20)), Chattels: chattels{{Name: "x"}, {Name: "y"}}}
			return result(&e, w.Create(&e))
		}},
		{name: "Create with belongs to", run: func(w *world[S]) (any, error) {
			c := chattel[K]{Name: "x", Owner: &estate[K]{Keys: mailed[K](mail(20)), Name: "new"}}
			return result(&c, w.Create(&c))
		}},
		{name: "Preload of has many", run: finding[estates, S](func(tx *gorm.DB, e *estates) *gorm.DB {
			return tx.Preload("Chattels", func(tx *gorm.DB) *gorm.DB { return tx.Order("chattels.id") }).Order("id").Find(e)
		})},
		{name: "Preload of has many with a condition", run: finding[estates, S](func(tx *gorm.DB, e *estates) *gorm.DB {
			return tx.Preload("Chattels", "alias = ? OR name = ?", mail(1), "c2").Order("id").Find(e)
		})},
		{name: "Preload of belongs to", run: finding[chattels, S](func(tx *gorm.DB, c *chattels) *gorm.DB { return tx.Preload("Owner").Order("id").Find(c) })},
		{name: "Joins of belongs to", run: finding[chattels, S](func(tx *gorm.DB, c *chattels) *gorm.DB { return tx.Joins("Owner").Order("chattels.id").Find(c) })},
		{name: "InnerJoins with a condition", run: finding[chattels, S](func(tx *gorm.DB, c *chattels) *gorm.DB {
			return tx.InnerJoins("Owner", fresh(tx).Where(&estate[K]{Keys: mailed[K](mail(1))})).Order("chattels.id").Find(c)
		})},
		{name: "Joins, generics", run: func(w *world[S]) (any, error) {
			return gorm.G[chattel[K]](w.DB).Joins(clause.InnerJoin.Association("Owner"), func(on gorm.JoinBuilder, owner, _ clause.Table) error {
				on.Where("?.mail <> ?", owner, mail(1))
				return nil
			}).Order("chattels.id").Find(w.Statement.Context)
		}},
		on("Association Find", func(a *gorm.Association) (any, error) {
			var c chattels
			return &c, a.Find(&c)
		}),
		on("Association Find with a condition", func(a *gorm.Association) (any, error) {
			var c chattels
			return &c, a.Find(&c, "alias = ?", mail(2))
		}),
		on("Association Count", func(a *gorm.Association) (any, error) { return a.Count(), a.Error }),
		on("Association Append", func(a *gorm.Association) (any, error) { return nil, a.Append(&chattel[K]{Name: "new"}) }),
		on("Association Replace", func(a *gorm.Association) (any, error) { return nil, a.Replace(&chattel[K]{Name: "new"}) }),
		on("Association Delete", func(a *gorm.Association) (any, error) {
			var c chattel[K]
			if err := a.DB.Session(&gorm.Session{NewDB: true}).Where("mail = ?", mail(1)).Order("id").Take(&c).Error; err != nil {
				return nil, err
			}
			return nil, a.Delete(&c)
		}),
		on("Association Clear", func(a *gorm.Association) (any, error) { return nil, a.Clear() }),
		{name: "Delete with Select", run: func(w *world[S]) (any, error) {
			e, err := first(w)
			if err != nil {
				return nil, err
			}
			return result(nil, w.Select("Chattels").Delete(&e))
		}},
	}
}
