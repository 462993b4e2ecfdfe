package gormplugin_test

import (
	"database/sql"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// fresh is a handle without conditions, for sub-queries and groups.
func fresh(tx *gorm.DB) *gorm.DB { return tx.Session(&gorm.Session{NewDB: true}) }

// conditionEntries find rows of all tenants.
func conditionEntries[S secrets, K findable]() []entry[S] {
	type many = []client[K]
	by := func(name string, scope func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB { return scope(tx).Order("id").Find(c) })}
	}
	where := func(name string, query any, args ...any) entry[S] {
		return by(name, func(tx *gorm.DB) *gorm.DB { return tx.Where(query, args...) })
	}
	list := []string{mail(0), mail(2), "", "nobody"}
	entries := []entry[S]{
		where("text", "mail = ?", mail(1)),
		where("text, the other way round", "? = mail", mail(1)),
		where("text, quoted names", clause.Expr{SQL: "? = ?", Vars: []any{clause.Column{Table: clause.CurrentTable, Name: "mail"}, mail(1)}}),
		where("text, the empty string", "mail = ?", ""),
		where("text, nothing found", "mail = ?", "nobody"),
		where("text, a pointer", "mail = ?", ptr(mail(1))),
		where("text, sql.NullString", "mail = ?", sql.NullString{String: mail(1), Valid: true}),
		where("text, NULL", "mail = ?", nil),
		where("text, a nil pointer", "mail = ?", (*string)(nil)),
		where("text, <>", "mail <> ?", mail(1)),
		where("text, !=", "mail != ?", mail(1)),
		where("text, <> the other way round", "? <> mail", mail(1)),
		where("text, NOT", "NOT mail = ?", mail(1)),
		where("text, NOT with parentheses", "NOT (mail = ? OR alias = ?)", mail(1), mail(2)),
		where("text, AND", "mail = ? AND role = ?", mail(1), "role1"),
		where("text, OR of a plain column", "mail = ? OR role = ?", mail(1), "role1"),
		where("text, the table's name in front", "clients.mail = ?", mail(1)),
		where("text, two sealed columns", "mail = ? AND alias = ?", mail(1), mail(2)),
		where("text, IN ?", "mail IN ?", list),
		where("text, IN (?)", "mail IN (?)", list),
		where("text, IN (?, ?)", "mail IN (?, ?)", mail(1), ""),
		where("text, IN of one", "mail IN ?", []string{mail(2)}),
		where("text, IN with a NULL", "mail IN ?", []any{mail(1), nil}),
		where("text, IN an empty list", "mail IN ?", []string{}),
		where("text, NOT IN", "mail NOT IN ?", list),
		where("text, NOT IN an empty list", "mail NOT IN ?", []string{}),
		where("text, NOT IN with a NULL", "mail NOT IN ?", []any{mail(1), nil}),
		where("text, IS NULL or a value", "mail IS NULL OR mail = ?", mail(1)),
		where("text, IS NOT NULL and a value", "mail IS NOT NULL AND mail <> ?", mail(1)),
		where("text, @named in a map", "mail = @m OR alias = @a", map[string]any{"m": mail(1), "a": mail(2)}),
		where("text, @named in a struct", "mail = @Mail", struct{ Mail string }{mail(1)}),
		where("text, sql.Named", "mail = @m AND alias <> @m", sql.Named("m", mail(1))),
		where("text, @named list", "mail IN @list", map[string]any{"list": list}),
		where("text, one @name for a sealed and a plain column", "mail <> @v AND role = @v", map[string]any{"v": "role1"}),
		where("text, one @name for two sealed columns", "mail = @v OR alias = @v", map[string]any{"v": mail(1)}),
		where("text, CASE", "CASE WHEN mail = ? THEN 1 ELSE 0 END = 1", mail(1)),
		where("a map", map[string]any{"mail": mail(1)}),
		where("a map, two columns", map[string]any{"mail": mail(1), "role": "role0"}),
		where("a map, the table in front", map[string]any{"clients.mail": mail(1)}),
		where("a map, a list", map[string]any{"mail": list}),
		where("a map, an empty list", map[string]any{"mail": []string{}}),
		where("a map, NULL", map[string]any{"mail": nil}),
		where("a struct", &client[K]{Keys: mailed[K](mail(1))}),
		where("a struct, not a pointer", client[K]{Keys: mailed[K](mail(1)), Role: "role1"}),
		where("a struct, a pointer to the empty string", &client[K]{Keys: mailed[K]("")}),
		where("a struct, named field", &client[K]{Keys: mailed[K](mail(1)), Role: "role7"}, "mail"),
		where("a struct, named field that is NULL", &client[K]{}, "Mail"),
		where("a struct, named field that is empty", &client[K]{}, "Alias"),
		where("a slice of structs", []client[K]{{ID: 1}, {ID: 2, Keys: mailed[K](mail(2))}}),
		where("clause.Eq", clause.Eq{Column: "mail", Value: mail(1)}),
		where("clause.Eq of a column", clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "mail"}, Value: mail(1)}),
		where("clause.Eq of a list", clause.Eq{Column: "mail", Value: list}),
		where("clause.Eq of NULL", clause.Eq{Column: "mail", Value: nil}),
		where("clause.Neq", clause.Neq{Column: "mail", Value: mail(1)}),
		where("clause.Neq of a list", clause.Neq{Column: "mail", Value: list}),
		where("clause.Neq of NULL", clause.Neq{Column: "mail", Value: nil}),
		where("clause.IN", clause.IN{Column: "mail", Values: []any{mail(0), mail(2)}}),
		where("clause.IN of one", clause.IN{Column: "mail", Values: []any{mail(1)}}),
		where("clause.IN of none", clause.IN{Column: "mail"}),
		where("clause.And, Or, Not", clause.And(
			clause.Or(clause.Eq{Column: "mail", Value: mail(1)}, clause.IN{Column: "alias", Values: []any{mail(0)}}),
			clause.Not(clause.Eq{Column: "mail", Value: ""}, clause.Eq{Column: "mail", Value: mail(2)}),
		)),
		where("gorm.Expr", gorm.Expr("mail = ?", mail(1))),
		by("clause.Where", func(tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.Where{Exprs: []clause.Expression{clause.Eq{Column: "mail", Value: mail(1)}}})
		}),
		by("Where twice", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail = ?", mail(1)).Where("alias = ?", mail(2)) }),
		by("Not with text", func(tx *gorm.DB) *gorm.DB { return tx.Not("mail = ?", mail(1)) }),
		by("Not with a map of a list", func(tx *gorm.DB) *gorm.DB { return tx.Not(map[string]any{"mail": list}) }),
		by("Not with a struct", func(tx *gorm.DB) *gorm.DB { return tx.Not(client[K]{Keys: mailed[K](mail(1)), Role: "role1"}) }),
		by("Or", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail = ?", mail(1)).Or("alias = ?", mail(1)).Or(client[K]{Keys: mailed[K]("")}).Or(map[string]any{"mail": nil})
		}),
		by("groups", func(tx *gorm.DB) *gorm.DB {
			return tx.Where(fresh(tx).Where("mail = ?", mail(1)).Or("role = ?", "role1")).Where(fresh(tx).Not("alias = ?", mail(1)).Or("mail IS NULL"))
		}),
		by("Scopes", func(tx *gorm.DB) *gorm.DB {
			return tx.Scopes(func(tx *gorm.DB) *gorm.DB { return tx.Where("mail = ?", mail(1)) })
		}),
		by("an alias of the table", func(tx *gorm.DB) *gorm.DB {
			return tx.Table("clients AS c").Where("c.mail = ?", mail(1)).Where(map[string]any{"c.alias": mail(2)})
		}),
		by("FOR UPDATE", func(tx *gorm.DB) *gorm.DB {
			return tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("mail = ?", mail(1))
		}),
		by("Select of plain columns", func(tx *gorm.DB) *gorm.DB { return tx.Select("id", "role").Where("mail = ?", mail(1)) }),
		by("Limit and Offset", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail = ?", mail(1)).Limit(2).Offset(1) }),
	}
	return append(entries, finisherEntries[S, K]()...)
}

// finisherEntries end queries with a condition in every way that GORM has.
func finisherEntries[S secrets, K findable]() []entry[S] {
	type one = client[K]
	type many = []client[K]
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&one{}) }
	return append([]entry[S]{
		{name: "inline in Find", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB { return tx.Order("id").Find(c, "mail = ?", mail(1)) })},
		{name: "inline in Find, a struct", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB { return tx.Order("id").Find(c, one{Keys: mailed[K](mail(1))}) })},
		{name: "inline in Find, a map", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB {
			return tx.Order("id").Find(c, map[string]any{"mail": []string{mail(1), ""}})
		})},
		{name: "inline in First", run: finding[one, S](func(tx *gorm.DB, c *one) *gorm.DB { return tx.First(c, "mail = ?", mail(1)) })},
		{name: "inline in Last", run: finding[one, S](func(tx *gorm.DB, c *one) *gorm.DB { return tx.Last(c, "mail = ?", mail(1)) })},
		{name: "inline in Take", run: finding[one, S](func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Order("id").Take(c, clause.Eq{Column: "mail", Value: mail(2)})
		})},
		{name: "First that is not there", run: func(w *world[S]) (any, error) {
			return errors.Is(w.First(&one{}, "mail = ?", "nobody").Error, gorm.ErrRecordNotFound) || w.DryRun, nil
		}},
		{name: "Count", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB { return model(tx).Where("mail = ?", mail(1)).Count(n) })},
		{name: "Count of a sealed column", run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB {
			return model(tx).Select("mail").Where("alias <> ?", mail(1)).Count(n)
		})},
		{name: "Pluck", run: finding[[]string, S](func(tx *gorm.DB, s *[]string) *gorm.DB {
			return model(tx).Where("mail IN ?", []string{mail(1), ""}).Order("id").Pluck("mail", s)
		})},
		{name: "Scan into maps", run: finding[[]map[string]any, S](func(tx *gorm.DB, m *[]map[string]any) *gorm.DB {
			return model(tx).Select("id", "mail", "note").Where("mail = ?", mail(1)).Order("id").Scan(m)
		})},
		{name: "FindInBatches", run: func(w *world[S]) (any, error) {
			var notes []string
			var batch many
			err := w.Where("mail = ?", mail(1)).FindInBatches(&batch, 2, func(*gorm.DB, int) error {
				for _, c := range batch {
					notes = append(notes, plainKeys(c.Keys).Note)
				}
				return nil
			}).Error
			return notes, err
		}},
		{name: "Rows", run: func(w *world[S]) (any, error) {
			rows, err := model(w.DB).Select("mail", "role").Where("mail <> ?", mail(1)).Order("id").Rows()
			if err != nil {
				return nil, err
			}
			defer func() { _ = rows.Close() }()
			var got []string
			for rows.Next() {
				var mail, role string
				if err := rows.Scan(&mail, &role); err != nil {
					return nil, err
				}
				got = append(got, mail, role)
			}
			return got, rows.Err()
		}},
		{name: "Row", run: func(w *world[S]) (any, error) {
			var note string
			err := model(w.DB).Select("note").Where("mail = ?", mail(1)).Order("id").Row().Scan(&note)
			return note, err
		}},
		{name: "Raw", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB {
			return tx.Raw("SELECT * FROM clients WHERE mail IN ? OR ? = alias ORDER BY id", []string{mail(1), ""}, mail(0)).Scan(c)
		})},
		{name: "Raw with @named", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB {
			return tx.Raw("SELECT c.* FROM clients c WHERE c.mail = @m AND c.role = @r ORDER BY c.id", map[string]any{"m": mail(1), "r": "role1"}).Find(c)
		})},
		{name: "Raw with WITH", run: finding[many, S](func(tx *gorm.DB, c *many) *gorm.DB {
			return tx.Raw("WITH few AS (SELECT id FROM clients WHERE mail = ?) SELECT clients.* FROM clients JOIN few ON few.id = clients.id ORDER BY clients.id", mail(1)).Scan(c)
		})},
		{name: "FirstOrInit that is there", run: func(w *world[S]) (any, error) {
			var c one
			return result(&c, w.Where(one{Keys: mailed[K](mail(1))}).Attrs(one{Role: "attr"}).Assign(one{OrgID: "z"}).FirstOrInit(&c))
		}},
		{name: "FirstOrInit that is not there", run: func(w *world[S]) (any, error) {
			var c one
			return result(&c, w.Where(one{Keys: mailed[K](mail(9))}).Attrs(one{Role: "attr"}).Assign(map[string]any{"org_id": "z"}).FirstOrInit(&c))
		}},
		{name: "FirstOrInit with clause.Eq", run: func(w *world[S]) (any, error) {
			var c one
			return result(&c, w.Where(clause.Eq{Column: "mail", Value: mail(9)}).FirstOrInit(&c))
		}},
		{name: "FirstOrInit, inline", run: func(w *world[S]) (any, error) {
			var c one
			return result(&c, w.FirstOrInit(&c, one{Keys: mailed[K](mail(9))}))
		}},
		{name: "FirstOrInit, inline map", run: func(w *world[S]) (any, error) {
			var c one
			return result(&c, w.FirstOrInit(&c, map[string]any{"mail": mail(9), "role": "r"}))
		}},
	}, genericConditions[S, K]()...)
}

func genericConditions[S secrets, K findable]() []entry[S] {
	all := func(w *world[S]) gorm.Interface[client[K]] { return gorm.G[client[K]](w.DB) }
	return []entry[S]{
		{name: "generics, Find", run: func(w *world[S]) (any, error) {
			return all(w).Where("mail = ?", mail(1)).Or("alias IN ?", []string{mail(0), "nobody"}).Order("id").Find(w.Statement.Context)
		}},
		{name: "generics, Not", run: func(w *world[S]) (any, error) {
			return all(w).Not("mail = ?", mail(1)).Order("id").Find(w.Statement.Context)
		}},
		{name: "generics, First of a map", run: func(w *world[S]) (any, error) {
			return all(w).Where(map[string]any{"mail": mail(1)}).Order("id").First(w.Statement.Context)
		}},
		{name: "generics, Take of a struct", run: func(w *world[S]) (any, error) {
			return all(w).Where(client[K]{Keys: mailed[K](mail(1))}).Order("id").Take(w.Statement.Context)
		}},
		{name: "generics, Count", run: func(w *world[S]) (any, error) {
			return all(w).Where("mail = ?", mail(1)).Count(w.Statement.Context, "*")
		}},
		{name: "generics, Raw", run: func(w *world[S]) (any, error) {
			return all(w).Raw("SELECT * FROM clients WHERE mail = ? ORDER BY id", mail(1)).Find(w.Statement.Context)
		}},
		{name: "generics, FindInBatches", run: func(w *world[S]) (any, error) {
			var ids []uint
			err := all(w).Where("mail = ?", mail(1)).FindInBatches(w.Statement.Context, 2, func(data []client[K], _ int) error {
				for _, c := range data {
					ids = append(ids, c.ID)
				}
				return nil
			})
			return ids, err
		}},
		{name: "generics, Update", run: func(w *world[S]) (any, error) {
			return all(w).Where("mail = ?", mail(1)).Update(w.Statement.Context, "role", "generic")
		}},
		{name: "generics, Delete", run: func(w *world[S]) (any, error) {
			return all(w).Where("mail IN ?", []string{mail(1), ""}).Delete(w.Statement.Context)
		}},
	}
}
