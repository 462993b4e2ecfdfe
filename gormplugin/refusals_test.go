package gormplugin_test

import (
	"errors"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

// refusal is an operation that must fail, and leave nothing in clear.
type refusal struct {
	name string
	want error
	run  func(tx *gorm.DB) *gorm.DB
}

// conditions are the ways to have the database look at a sealed value.
func conditions() []refusal {
	find := func(tx *gorm.DB) *gorm.DB { return tx.Find(&[]person{}) }
	c := canary + " name 1"
	e := gormplugin.ErrCondition
	return []refusal{
		{"a struct", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(&person{Name: c})) }},
		{"an inline struct", e, func(tx *gorm.DB) *gorm.DB { return tx.First(&person{}, &person{Name: c}) }},
		{"a map", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(map[string]any{"name": c})) }},
		{"a string", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("name = ?", c)) }},
		{"a string in capitals", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("NAME = ?", c)) }},
		{"a quoted name", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(`"name" = ?`, c)) }},
		{"a qualified name", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("people.name = ?", c)) }},
		{"behind a comment", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("/* x */ name /* y */ = ?", c)) }},
		{"a literal", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("name = 'x'")) }},
		{"a named parameter", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("name = @n", map[string]any{"n": c})) }},
		{"IN", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("name IN ?", []string{c})) }},
		{"a map's IN", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(map[string]any{"name": []string{c, c}})) }},
		{"LIKE", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("name LIKE ?", c+"%")) }},
		{"a function", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("lower(name) = ?", c)) }},
		{"a function's IS NULL", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("nullif(name, ?) IS NULL", c)) }},
		{"Not", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Not("name = ?", c)) }},
		{"Not of a struct", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Not(&person{Name: c})) }},
		{"Or", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where("city = ?", "x").Or(&person{Name: c})) }},
		{"a group", e, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where(tx.Session(&gorm.Session{NewDB: true}).Where("city = ?", 1).Or("name = ?", c)))
		}},
		{"clause.Eq", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(clause.Eq{Column: "name", Value: c})) }},
		{"clause.Neq", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(clause.Neq{Column: "name", Value: c})) }},
		{"clause.Like", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Where(clause.Like{Column: "name", Value: c})) }},
		{"a sub-query's condition", e, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where("id IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&person{}).Select("id").Where("name = ?", c)))
		}},
		{"a sub-query's column", e, func(tx *gorm.DB) *gorm.DB {
			return find(tx.Where("city IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&person{}).Select("name")))
		}},
		{"Delete with a sub-query", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Where("id IN (?)", tx.Session(&gorm.Session{NewDB: true}).Model(&person{}).Select("id").Where("name = ?", c)).Delete(&person{})
		}},
		{"Delete", e, func(tx *gorm.DB) *gorm.DB { return tx.Where("name = ?", c).Delete(&person{}) }},
		{"Delete of a struct", e, func(tx *gorm.DB) *gorm.DB { return tx.Where(&person{Name: c}).Delete(&person{}) }},
		{"Update's condition", e, func(tx *gorm.DB) *gorm.DB { return tx.Model(&person{}).Where("name = ?", c).Update("city", "x") }},
		{"ORDER BY", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Order("name")) }},
		{"ORDER BY DESC", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Order("city, people.name DESC")) }},
		{"ORDER BY a place", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Select("id", "name").Order("2")) }},
		{"ORDER BY an alias", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Select("id, name AS n").Order("n").Find(&[]map[string]any{})
		}},
		{"GROUP BY", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Select("count(*)").Group("name").Find(&[]int{})
		}},
		{"HAVING", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Select("city").Group("city").Having("min(name) > ?", c).Find(&[]string{})
		}},
		{"DISTINCT", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Distinct("name")) }},
		{"Raw DISTINCT *", e, func(tx *gorm.DB) *gorm.DB { return tx.Raw("SELECT DISTINCT * FROM people").Scan(&[]person{}) }},
		{"Count of DISTINCT", e, func(tx *gorm.DB) *gorm.DB { return tx.Model(&person{}).Distinct("name").Count(new(int64)) }},
		{"a join's condition", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Joins("JOIN members m ON m.email = people.name")) }},
		{"USING", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Joins("JOIN other USING (name)")) }},
		{"NATURAL JOIN", e, func(tx *gorm.DB) *gorm.DB { return find(tx.Joins("NATURAL JOIN members")) }},
		{"UNION", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT * FROM people UNION SELECT * FROM people").Scan(&[]person{})
		}},
		{"FirstOrCreate", e, func(tx *gorm.DB) *gorm.DB { return tx.FirstOrCreate(&person{}, person{Name: c}) }},
		{"FirstOrInit", e, func(tx *gorm.DB) *gorm.DB { return tx.FirstOrInit(&person{}, person{Name: c}) }},
		{"a conflict's target", e, func(tx *gorm.DB) *gorm.DB {
			p := newPerson(1)
			return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoNothing: true}).Create(&p)
		}},
		{"a conflict's condition", e, func(tx *gorm.DB) *gorm.DB {
			p := newPerson(1)
			return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"city"}), Where: clause.Where{Exprs: []clause.Expression{clause.Eq{Column: "people.name", Value: c}}}}).Create(&p)
		}},
		{"Raw", e, func(tx *gorm.DB) *gorm.DB { return tx.Raw("SELECT * FROM people WHERE name = ?", c).Scan(&[]person{}) }},
		{"Raw behind WITH", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("WITH x AS (SELECT id FROM people WHERE name = ?) SELECT * FROM x", c).Scan(&[]person{})
		}},
		{"CASE", e, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Select("CASE WHEN name = ? THEN 1 END", c).Find(&[]int{})
		}},
		{"Pluck of a function", e, func(tx *gorm.DB) *gorm.DB { return tx.Model(&person{}).Pluck("upper(name)", &[]string{}) }},
		{"a whole row", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT to_json(p) FROM people p").Scan(&[]string{})
		}},
		{"a hidden column", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("SELECT photo AS name FROM people").Scan(&[]person{})
		}},
	}
}

// writes are the ways to have the database store something other than what
// the cipher made.
func writes() []refusal {
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&person{}).Where("id = ?", 1) }
	return []refusal{
		{"Exec UPDATE", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE people SET name = ? WHERE id = 1", canary) }},
		{"Exec UPDATE of a literal", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE people SET name = 'x'") }},
		{"Exec UPDATE of bytes", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE people SET name = ?", []byte(canary)) }},
		{"Exec INSERT", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO people (name) VALUES (?)", canary) }},
		{"Exec INSERT named", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("INSERT INTO people (name) VALUES (@n)", map[string]any{"n": canary})
		}},
		{"Exec INSERT without columns", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO people VALUES (?, ?)", 1, canary) }},
		{"Exec INSERT SELECT", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO people (name) SELECT city FROM people") }},
		{"Exec INSERT SELECT of another column", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB { return tx.Exec("INSERT INTO people (name) SELECT ssn FROM people") }},
		{"Exec of a tuple", gormplugin.ErrCondition, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE people SET (name, city) = (?, ?)", canary, "x") }},
		{"Exec of two", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB { return tx.Exec("DELETE FROM people; UPDATE people SET name = 'x'") }},
		{"Exec MERGE", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("MERGE INTO people p USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET name = 'x'")
		}},
		{"Exec DO", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB { return tx.Exec("DO 'BEGIN UPDATE people SET name = null; END'") }},
		{"Exec of an unfinished literal", gormplugin.ErrStatement, func(tx *gorm.DB) *gorm.DB { return tx.Exec("UPDATE people SET name = 'x") }},
		{"Raw UPDATE RETURNING", gormplugin.ErrUnsealed, func(tx *gorm.DB) *gorm.DB {
			return tx.Raw("UPDATE people SET name = ? RETURNING *", canary).Scan(&[]person{})
		}},
		{"gorm.Expr", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB { return model(tx).Update("name", gorm.Expr("upper(?)", canary)) }},
		{"gorm.Expr in a map", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			return model(tx).Updates(map[string]any{"name": gorm.Expr("city")})
		}},
		{"a column", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB { return model(tx).Update("name", clause.Column{Name: "city"}) }},
		{"a sub-query", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			return model(tx).Update("name", tx.Session(&gorm.Session{NewDB: true}).Model(&person{}).Select("city").Limit(1))
		}},
		{"an expression to create", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Create(map[string]any{"name": gorm.Expr("?", canary)})
		}},
		{"a sealed value in a plain column", gormplugin.ErrCondition, func(tx *gorm.DB) *gorm.DB { return model(tx).Update("city", gorm.Expr("name")) }},
		{"a row key for many rows", gormplugin.ErrManyRows, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Where("city <> ?", "").Update("notes", notes{Text: canary})
		}},
		{"a row key for two rows", gormplugin.ErrManyRows, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Where("id IN ?", []int{1, 2}).Update("notes", notes{Text: canary})
		}},
		{"a row key behind OR", gormplugin.ErrManyRows, func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&person{}).Where("id = ?", 1).Or("city <> ?", "").Update("notes", notes{Text: canary})
		}},
		{"one value for two conflicts", gormplugin.ErrManyRows, func(tx *gorm.DB) *gorm.DB {
			two := []person{newPerson(1), newPerson(2)}
			return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"name": canary})}).Create(&two)
		}},
		{"a conflict's expression", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			p := newPerson(1)
			return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"name": gorm.Expr("people.name || ?", canary)})}).Create(&p)
		}},
		{"another excluded column", gormplugin.ErrExpression, func(tx *gorm.DB) *gorm.DB {
			p := newPerson(1)
			return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Set{{Column: clause.Column{Name: "name"}, Value: clause.Column{Table: "excluded", Name: "city"}}}}).Create(&p)
		}},
	}
}

func TestWhatTheDatabaseCannotDoIsRefused(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		people := []person{newPerson(1), newPerson(2)}
		must(t, l.Create(&people).Error)
		before := l.dump(t, "people")
		for _, r := range append(conditions(), writes()...) {
			tx := r.run(l.Session(&gorm.Session{}))
			if !errors.Is(tx.Error, r.want) {
				t.Errorf("%s: error %v, want %v", r.name, tx.Error, r.want)
			}
			var refused *gormplugin.Error
			if errors.As(tx.Error, &refused) && (refused.Table == "" || refused.Remedy == "") {
				t.Errorf("%s: the error names no table or remedy: %v", r.name, tx.Error)
			}
			if tx.Error != nil && strings.Contains(tx.Error.Error(), canary) {
				t.Errorf("%s: the error shows the value", r.name)
			}
		}
		if string(l.dump(t, "people")) != string(before) {
			t.Error("a refused statement changed rows")
		}
		l.mustHideCanaries(t)
	})
}

func TestToSQLShowsNoPlaintext(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		ops := append(conditions(), writes()...)
		ops = append(ops,
			refusal{"Create", nil, func(tx *gorm.DB) *gorm.DB { p := newPerson(1); return tx.Create(&p) }},
			refusal{"Save", nil, func(tx *gorm.DB) *gorm.DB { p := newPerson(1); p.ID = 1; return tx.Save(&p) }},
			refusal{"Update", nil, func(tx *gorm.DB) *gorm.DB { return tx.Model(&person{ID: 1}).Update("name", canary) }},
		)
		for _, r := range ops {
			if strings.HasPrefix(r.name, "FirstOr") || strings.Contains(r.name, "Raw") || strings.Contains(r.name, "UNION") || r.name == "a whole row" || r.name == "a hidden column" {
				continue // GORM's Scan and FirstOr do not run dry
			}
			if sql := l.ToSQL(r.run); strings.Contains(sql, canary) {
				t.Errorf("%s: ToSQL shows the plaintext: %s", r.name, sql)
			}
		}
		l.mustHideCanaries(t)
	})
}

func TestRowOfARefusedStatementGivesTheError(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		var s string
		if err := l.Model(&person{}).Select("name").Where("name = ?", canary).Row().Scan(&s); !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("Row: %v", err)
		}
		rows, err := l.Model(&person{}).Order("name").Rows()
		if !errors.Is(err, gormplugin.ErrCondition) {
			t.Errorf("Rows: %v", err)
		}
		if rows != nil {
			_ = rows.Close()
		}
	})
}

func TestNamesThatAreNotTheSealedColumnPass(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		must(t, l.stock.Exec("CREATE TABLE places (id int, name text)").Error)
		must(t, l.Exec("INSERT INTO places (id, name) VALUES (?, ?)", 1, "here").Error)
		passes := []func() *gorm.DB{
			func() *gorm.DB { return l.Where("city = 'name' OR city <> ' people.name = x'").Find(&[]person{}) },
			func() *gorm.DB { return l.Where("city <> ? -- name = 1", "x").Find(&[]person{}) },
			func() *gorm.DB { return l.Table("places").Where("name = ?", "here").Find(&[]map[string]any{}) },
			func() *gorm.DB {
				return l.Joins("JOIN places ON places.name <> people.city").Where("places.name = ?", "here").Find(&[]person{})
			},
			func() *gorm.DB {
				return l.Joins("LEFT JOIN places pl ON pl.id = people.id").Order("pl.name").Find(&[]person{})
			},
			func() *gorm.DB {
				return l.Where("name IS NOT NULL AND (ssn IS NULL OR ssn IS NOT NULL)").Find(&[]person{})
			},
			func() *gorm.DB { return l.Not(map[string]any{"name": nil}).Find(&[]person{}) },
			func() *gorm.DB { return l.Model(&person{}).Where("id > ?", 0).Count(new(int64)) },
			func() *gorm.DB { return l.Model(&person{}).Select("name").Count(new(int64)) },
			func() *gorm.DB { return l.Model(&person{}).Distinct("city").Pluck("city", &[]string{}) },
		}
		for i, pass := range passes {
			if tx := pass(); tx.Error != nil || tx.RowsAffected == 0 {
				t.Errorf("%d: %d rows, error %v", i, tx.RowsAffected, tx.Error)
			}
		}
	})
}
