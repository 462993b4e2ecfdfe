package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

func rawEntries[S secrets]() []entry[S] {
	type humans = []human[S]
	type cards = []card
	return []entry[S]{
		{name: "Raw into models", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB { return tx.Raw("SELECT * FROM humans ORDER BY id").Scan(h) })},
		{name: "Raw into models by Find", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Raw("SELECT h.* FROM humans h WHERE h.id > @n ORDER BY h.id", map[string]any{"n": 1}).Find(h)
		})},
		{name: "Raw into DTOs", run: finding[cards, S](func(tx *gorm.DB, c *cards) *gorm.DB {
			return tx.Raw("SELECT id, name, ssn, height, secret, photo, city FROM humans ORDER BY id").Scan(c)
		})},
		{name: "Raw into a tagged DTO", run: tagged[S]},
		{name: "Raw into a value", run: finding[string, S](func(tx *gorm.DB, s *string) *gorm.DB {
			return tx.Raw("SELECT name FROM humans WHERE id = ?", 1).Scan(s)
		})},
		{name: "Raw into maps", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Raw("SELECT name AS label, city FROM humans ORDER BY id").Scan(m)
		})},
		{name: "Raw with a join", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return tx.Raw("SELECT h.name AS owner, a.name AS pet FROM animals a LEFT JOIN humans h ON h.id = a.owner_id ORDER BY a.id").Scan(m)
		})},
		{name: "Raw with UNION ALL", refused: gormplugin.ErrStatement, run: finding[[]string, S](func(tx *gorm.DB, s *[]string) *gorm.DB {
			return tx.Raw("SELECT name FROM humans WHERE id = 1 UNION ALL SELECT name FROM humans WHERE id = 2").Scan(s)
		})},
		{name: "Raw with WITH", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Raw("WITH few AS (SELECT id FROM humans WHERE id < 3) SELECT humans.* FROM humans JOIN few ON few.id = humans.id ORDER BY humans.id").Scan(h)
		})},
		{name: "Raw with WITH and all columns", run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Raw("WITH few AS (SELECT * FROM humans WHERE id < 3) SELECT * FROM few ORDER BY id").Scan(h)
		})},
		{name: "Raw with Rows", run: func(w *world[S]) (any, error) {
			rows, err := w.Raw("SELECT name, photo FROM humans ORDER BY id").Rows()
			if err != nil {
				return nil, err
			}
			defer func() { _ = rows.Close() }()
			var got []any
			for rows.Next() {
				var name string
				var photo []byte
				if err := rows.Scan(&name, &photo); err != nil {
					return nil, err
				}
				got = append(got, name, photo)
			}
			return got, rows.Err()
		}},
		{name: "Raw with Row", run: func(w *world[S]) (any, error) {
			var name string
			err := w.Raw("SELECT name FROM humans WHERE id = ?", 1).Row().Scan(&name)
			return name, err
		}},
		{name: "Raw UPDATE of a plain column, RETURNING", mysql: errItself, run: finding[humans, S](func(tx *gorm.DB, h *humans) *gorm.DB {
			return tx.Raw("UPDATE humans SET city = ? WHERE id = ? RETURNING *", "raw", 1).Scan(h)
		})},
		{name: "Exec UPDATE of a plain column", run: func(w *world[S]) (any, error) {
			return result(nil, w.Exec("UPDATE humans SET city = ? WHERE ssn IS NOT NULL", "raw"))
		}},
		{name: "Exec UPDATE to NULL", run: func(w *world[S]) (any, error) {
			return result(nil, w.Exec("UPDATE humans SET ssn = NULL, notes = ? WHERE id = 1", nil))
		}},
		{name: "Exec INSERT without sealed columns", run: func(w *world[S]) (any, error) {
			return result(nil, w.Exec("INSERT INTO humans (id, city) VALUES (?, ?)", 50, "raw"))
		}},
		{name: "Exec DELETE", run: func(w *world[S]) (any, error) { return result(nil, w.Exec("DELETE FROM animals WHERE id = 1")) }},
	}
}

// tagged reads into a struct that is no model and has the column's tags.
func tagged[S secrets](w *world[S]) (any, error) {
	type label[T secrets] struct {
		ID      uint
		Secrets T `gorm:"embedded"`
		Photo   []byte
	}
	var l []label[S]
	return result(&l, w.Raw("SELECT id, name, notes, birthday, photo FROM humans ORDER BY id").Scan(&l))
}

// refusing makes an entry of something that must be refused.
func refusing[S secrets](name string, why error, run func(tx *gorm.DB) *gorm.DB) entry[S] {
	return entry[S]{name: name, refused: why, run: func(w *world[S]) (any, error) { return result(nil, run(w.DB)) }}
}

func refusedReads[S secrets]() []entry[S] {
	c, e := gormplugin.ErrCondition, gormplugin.ErrExpression
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&human[S]{}) }
	maps := func(tx *gorm.DB) *gorm.DB { return tx.Find(&[]map[string]any{}) }
	return []entry[S]{
		refusing[S]("ORDER BY a sealed column", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Order("name")) }),
		refusing[S]("ORDER BY with clause.OrderBy", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Order(clause.OrderByColumn{Column: clause.Column{Name: "height"}, Desc: true}))
		}),
		refusing[S]("ORDER BY an expression", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Clauses(clause.OrderBy{Expression: clause.Expr{SQL: "length(name) + ?", Vars: []any{1}}}))
		}),
		refusing[S]("Returning an expression", c, func(tx *gorm.DB) *gorm.DB {
			h := newHuman[S](10)
			return tx.Clauses(clause.Returning{Columns: []clause.Column{{Name: "upper(name) AS city", Raw: true}}}).Create(&h)
		}),
		refusing[S]("Distinct beside Select", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("city", "name").Distinct()) }),
		refusing[S]("Last of a sealed order", c, func(tx *gorm.DB) *gorm.DB { return tx.Order("name desc").First(&human[S]{}) }),
		refusing[S]("GROUP BY a sealed column", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("count(*)").Group("name")) }),
		refusing[S]("HAVING over a sealed column", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Select("city").Group("city").Having("max(height) > ?", 3))
		}),
		refusing[S]("DISTINCT of a sealed column", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Distinct("name")) }),
		refusing[S]("Count of distinct sealed values", c, func(tx *gorm.DB) *gorm.DB { return model(tx).Distinct("name").Count(new(int64)) }),
		refusing[S]("LIKE", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("name LIKE ?", canary+"%")) }),
		refusing[S]("clause.Like", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where(clause.Like{Column: "name", Value: canary})) }),
		refusing[S]("a range", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("height BETWEEN ? AND ?", 1, 2)) }),
		refusing[S]("greater than", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("birthday > ?", "1990-01-01")) }),
		refusing[S]("a function in WHERE", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("lower(name) = ?", canary)) }),
		refusing[S]("a literal in WHERE", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("name = 'x'")) }),
		refusing[S]("a function in SELECT", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("upper(name)")) }),
		refusing[S]("an aggregate in SELECT", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("sum(height) AS total")) }),
		refusing[S]("an operator in SELECT", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("name || ? AS x", canary)) }),
		refusing[S]("CASE in SELECT", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("CASE WHEN height > 3 THEN 1 END AS x")) }),
		refusing[S]("a JSON operator", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where("notes ->> 'text' = ?", canary)) }),
		refusing[S]("a window over a sealed column", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Select("id, row_number() OVER (ORDER BY name) AS n"))
		}),
		refusing[S]("a sub-query's sealed column", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Where("city IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&animal[S]{}).Select("name")))
		}),
		refusing[S]("UNION", c, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT name FROM humans UNION SELECT name FROM humans").Scan(&[]string{})
		}),
		refusing[S]("a whole row", e, func(tx *gorm.DB) *gorm.DB { return tx.Raw("SELECT to_json(h) FROM humans h").Scan(&[]string{}) }),
		refusing[S]("another column under a sealed one's name", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT photo AS name FROM humans").Scan(&[]human[S]{})
		}),
	}
}

func refusedWrites[S secrets]() []entry[S] {
	e, u, many := gormplugin.ErrExpression, gormplugin.ErrUnsealed, gormplugin.ErrManyRows
	one := func(tx *gorm.DB) *gorm.DB { return tx.Model(&human[S]{ID: 1}) }
	return []entry[S]{
		refusing[S]("Update with gorm.Expr", e, func(tx *gorm.DB) *gorm.DB { return one(tx).Update("name", gorm.Expr("upper(?)", canary)) }),
		refusing[S]("Updates with gorm.Expr", e, func(tx *gorm.DB) *gorm.DB {
			return one(tx).Updates(map[string]any{"height": gorm.Expr("height + ?", 1), "city": "x"})
		}),
		refusing[S]("UpdateColumn with gorm.Expr", e, func(tx *gorm.DB) *gorm.DB { return one(tx).UpdateColumn("height", gorm.Expr("height + 1")) }),
		refusing[S]("Update with a sub-query", e, func(tx *gorm.DB) *gorm.DB {
			return one(tx).Update("name", tx.Session(&gorm.Session{NewDB: true}).Model(&company[S]{}).Select("kind").Limit(1))
		}),
		refusing[S]("Update with a column", e, func(tx *gorm.DB) *gorm.DB { return one(tx).Update("name", clause.Column{Name: "city"}) }),
		refusing[S]("Create with gorm.Expr", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&human[S]{}).Create(map[string]any{"name": gorm.Expr("?", canary)})
		}),
		refusing[S]("a sealed value into a plain column", gormplugin.ErrCondition, func(tx *gorm.DB) *gorm.DB { return one(tx).Update("city", gorm.Expr("name")) }),
		refusing[S]("a value with a row key for several rows", many, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&human[S]{}).Where("id > ?", 1).Select("notes").Updates(human[S]{Secrets: values[S](1)})
		}),
		refusing[S]("a value with a row key for two models", many, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&[]human[S]{{ID: 1}, {ID: 2}}).Update("notes", memo{Text: canary})
		}),
		refusing[S]("Exec UPDATE", u, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE humans SET name = ? WHERE id = 1", canary) }),
		refusing[S]("Exec UPDATE of a literal", u, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE humans SET name = 'x'") }),
		refusing[S]("Exec UPDATE of an expression", e, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE humans SET name = upper(city)") }),
		refusing[S]("Exec INSERT", u, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO humans (name) VALUES (?)", canary) }),
		refusing[S]("Exec INSERT without columns", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO humans VALUES (?, ?)", 90, canary) }),
		refusing[S]("Exec INSERT … SELECT", u, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO humans (name) SELECT kind FROM companies") }),
		refusing[S]("Exec of two statements", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("DELETE FROM humans; UPDATE humans SET name = 'x'")
		}),
		refusing[S]("Raw UPDATE, RETURNING", u, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("UPDATE humans SET name = ? RETURNING *", canary).Scan(&[]human[S]{})
		}),
	}
}
