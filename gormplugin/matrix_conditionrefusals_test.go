package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

// refusedConditions would find the wrong rows, or none.
func refusedConditions[S secrets, K findable]() []entry[S] {
	c, e := gormplugin.ErrCondition, gormplugin.ErrStatement
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&client[K]{}) }
	maps := func(tx *gorm.DB) *gorm.DB { return tx.Find(&[]map[string]any{}) }
	where := func(name string, query any, args ...any) entry[S] {
		return refusing[S](name, c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Where(query, args...)) })
	}
	ordered := func(name string, order any) entry[S] {
		return refusing[S](name, c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Order(order)) })
	}
	raw := func(name string, why error, text string, args ...any) entry[S] {
		return refusing[S](name, why, func(tx *gorm.DB) *gorm.DB { return tx.Raw(text, args...).Scan(&[]map[string]any{}) })
	}
	return []entry[S]{
		where("a column without search=equality", "note = ?", canary),
		where("a column without search=equality, IN", "note IN ?", []string{canary}),
		where("a column without search=equality, a map", map[string]any{"note": canary}),
		where("a column without search=equality, a struct", &client[K]{Keys: K(plainKeys{Note: canary})}),
		where("LIKE", "mail LIKE ?", canary+"%"),
		where("NOT LIKE", "mail NOT LIKE ?", canary+"%"),
		where("clause.Like", clause.Like{Column: "mail", Value: canary + "%"}),
		where("less than", "code < ?", 2),
		where("clause.Gt", clause.Gt{Column: "code", Value: 2}),
		where("clause.Lte", clause.Lte{Column: "code", Value: 2}),
		where("BETWEEN", "code BETWEEN ? AND ?", 1, 2),
		where("a function of the column", "lower(mail) = ?", mail(1)),
		where("a function of the value", "mail = lower(?)", mail(1)),
		where("coalesce", "coalesce(mail, ?) = ?", "", mail(1)),
		where("an operator at the column", "mail || 'x' = ?", mail(1)),
		where("an operator at the value", "code = ? + 1", 2),
		where("a cast of the value", "mail = CAST(? AS text)", mail(1)),
		where("a literal", "mail = 'x'"),
		where("a literal in a list", "mail IN ('x', ?)", mail(1)),
		where("a number", "code = 2"),
		where("a list of columns", "(mail, role) = (?, ?)", mail(1), "role1"),
		where("a value that is gorm.Expr", map[string]any{"mail": gorm.Expr("lower(?)", mail(1))}),
		where("columns of two domains", "mail = alias"),
		where("a sealed and a plain column", "mail = role"),
		where("columns of two tables and domains", "EXISTS (SELECT 1 FROM estates e WHERE e.alias = clients.mail)"),
		where("IN a sub-query of plain values, a sealed column", "mail IN (SELECT role FROM clients)"),
		where("IN a sub-query of sealed values, a plain column", "role IN (SELECT mail FROM estates)"),
		where("IN a sub-query of another domain", "mail IN (SELECT alias FROM estates)"),
		ordered("ORDER BY", "mail"),
		ordered("ORDER BY clause", clause.OrderByColumn{Column: clause.Column{Name: "mail"}, Desc: true}),
		ordered("ORDER BY CASE", "CASE WHEN mail < 'x' THEN 1 END"),
		refusing[S]("GROUP BY a column without search=equality", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("count(*)").Group("note")) }),
		refusing[S]("DISTINCT of a column without search=equality", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Distinct("note")) }),
		refusing[S]("DISTINCT of such a column beside one with it", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Distinct("mail", "note")) }),
		refusing[S]("Count of distinct values without search=equality", c, func(tx *gorm.DB) *gorm.DB { return model(tx).Distinct("note").Count(new(int64)) }),
		refusing[S]("max of a sealed column", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("max(mail)")) }),
		refusing[S]("a comparison in SELECT", c, func(tx *gorm.DB) *gorm.DB { return maps(model(tx).Select("mail = ? AS same", mail(1))) }),
		refusing[S]("a join on columns of two domains", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Select("clients.id").Joins("JOIN estates e ON e.mail = clients.alias"))
		}),
		refusing[S]("a join USING a sealed column", c, func(tx *gorm.DB) *gorm.DB {
			return maps(model(tx).Select("clients.id").Joins("JOIN estates USING (mail)"))
		}),
		where("a column that may be of two tables", "EXISTS (SELECT 1 FROM (SELECT 1 AS one) x WHERE mail = ?)", mail(1)),
		raw("DISTINCT of all columns", c, "SELECT DISTINCT * FROM clients"),
		raw("UNION", c, "SELECT mail FROM clients UNION SELECT mail FROM estates"),
		raw("EXCEPT", c, "SELECT mail FROM clients EXCEPT SELECT mail FROM estates"),
		raw("UNION ALL", e, "SELECT mail FROM clients UNION ALL SELECT mail FROM estates"),
		raw("a sub-query's list", e, "SELECT x.address FROM (SELECT mail AS address FROM clients) x"),
		raw("a sub-query in SELECT", e, "SELECT id, (SELECT mail FROM estates WHERE id = 1) AS other FROM clients"),
		raw("the list of a WITH", e, "WITH few AS (SELECT mail FROM clients) SELECT mail FROM few"),
		{name: "= ANY(?)", refused: c, run: func(w *world[S]) (any, error) {
			return result(nil, maps(model(w.DB).Where("mail = ANY(?)", mail(1))))
		}},
	}
}
