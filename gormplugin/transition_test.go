package gormplugin_test

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// mover takes over from plain columns: email and note write the sealed one
// only, code writes both.
type mover struct {
	ID    uint
	OrgID string  `gorm:"size:40" rowseal:"tenant"`
	Email string  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text,search=equality,transition=email_clear"`
	Code  *int64  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int4,search=equality,transition=code_clear/both"`
	Note  *string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text,transition=note_clear"`
	Role  string
	Kin   *uint
}

// twinMover is its twin in clear.
type twinMover struct {
	ID    uint
	OrgID string `gorm:"size:40"`
	Email string
	Code  *int64
	Note  *string
	Role  string
	Kin   *uint
}

func newMover(i int) mover {
	m := mover{ID: uint(i + 1), OrgID: "a", Email: mail(i % 5), Role: fmt.Sprint("role", i%2)}
	if i%4 != 0 {
		m.Code = ptr(int64(i % 4))
	}
	if i%5 != 0 {
		m.Note = ptr(fmt.Sprint(canary, " note ", i))
	}
	if i > 0 {
		m.Kin = ptr(uint(i))
	}
	return m
}

// movingLab has rows with plain values only, with sealed ones only, and with
// both, and a twin table with the same rows in clear.
func movingLab(t *testing.T, kind string) *lab {
	t.Helper()
	l := newLab(t, kind)
	must(t, l.AutoMigrate(&mover{}, &twinMover{}))
	for _, column := range []string{"email_clear text", "code_clear integer", "note_clear text"} {
		must(t, l.stock.Exec("ALTER TABLE movers ADD COLUMN "+column).Error)
	}
	for i := range people {
		m := newMover(i)
		twin := twinMover(m)
		must(t, l.Create(&twin).Error)
		if i%3 == 0 {
			must(t, l.stock.Exec("INSERT INTO movers (id, org_id, email_clear, code_clear, note_clear, role, kin) VALUES (?, ?, ?, ?, ?, ?, ?)",
				m.ID, m.OrgID, m.Email, m.Code, m.Note, m.Role, m.Kin).Error)
			continue
		}
		must(t, l.Create(&m).Error)
		if i%3 == 1 {
			must(t, l.stock.Exec("UPDATE movers SET code_clear = NULL WHERE id = ?", m.ID).Error)
		} else {
			must(t, l.stock.Exec("UPDATE movers SET email_clear = ?, note_clear = ? WHERE id = ?", m.Email, m.Note, m.ID).Error)
		}
	}
	return l
}

// onMySQL returns how MySQL writes what the others write otherwise.
func onMySQL(db *gorm.DB, mysql, others string) string {
	if db.Name() == "mysql" {
		return mysql
	}
	return others
}

// mustSealMovers fails where a plaintext stands in a sealed column or a log.
func (l *lab) mustSealMovers(t *testing.T) {
	t.Helper()
	var cells []struct{ Email, Code, Note []byte }
	must(t, l.stock.Raw("SELECT email, code, note FROM movers").Scan(&cells).Error)
	for _, c := range cells {
		if strings.Contains(string(slices.Concat(c.Email, c.Code, c.Note)), canary) {
			t.Error("a sealed column holds a plaintext")
		}
		for _, b := range [][]byte{c.Email, c.Code, c.Note} {
			if b != nil && b[0] != 0xa7 && len(b) < 30 {
				t.Errorf("a sealed column holds %d bytes", len(b))
			}
		}
	}
	for line := range strings.SplitSeq(l.log.String(), "\n") {
		if strings.Contains(line, canary) && !strings.Contains(line, "twin_movers") {
			t.Fatalf("the log shows a plaintext: %s", line)
		}
	}
}

func unsealed(left map[string]gormplugin.Remains) map[string]int64 {
	out := map[string]int64{}
	for column, r := range left {
		out[column] = r.Unsealed
	}
	return out
}

func TestRemainingNeedsAColumnInTransition(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		for _, model := range []any{&person{}, &struct{ ID uint }{}} {
			if left, err := l.plugin.Remaining(l.DB, model); !errors.Is(err, gormplugin.ErrTransition) || left != nil {
				t.Errorf("%T: %v, %v", model, left, err)
			}
		}
	})
}

// stored returns a row's plain columns.
func (l *lab) stored(t *testing.T, id uint) string {
	t.Helper()
	var row struct {
		EmailClear, NoteClear *string
		CodeClear             *int64
	}
	must(t, l.stock.Raw("SELECT email_clear, note_clear, code_clear FROM movers WHERE id = ?", id).Scan(&row).Error)
	return fmt.Sprintln(deref(row.EmailClear), deref(row.NoteClear), deref(row.CodeClear))
}

func moverText(m mover) string {
	return fmt.Sprintln(m.ID, m.OrgID, m.Email, deref(m.Code), deref(m.Note), m.Role, deref(m.Kin))
}

// movers is either side of a comparison of twins.
type movers struct {
	*gorm.DB
	table string
}

func (s movers) find(t *testing.T, tx *gorm.DB) []string {
	t.Helper()
	out := []string{}
	if s.table == "movers" {
		var got []mover
		must(t, tx.Find(&got).Error)
		for _, m := range got {
			out = append(out, moverText(m))
		}
	} else {
		var got []twinMover
		must(t, tx.Find(&got).Error)
		for _, m := range got {
			out = append(out, moverText(mover(m)))
		}
	}
	slices.Sort(out)
	return out
}

func (s movers) model(m mover) any {
	if s.table == "movers" {
		return &m
	}
	twin := twinMover(m)
	return &twin
}

// both runs a query on both sides.
func (l *lab) both(t *testing.T, name string, q func(t *testing.T, s movers) []string) {
	t.Run(name, func(t *testing.T) {
		db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
		own := func(table string) movers {
			of := clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "org_id"}, Value: "a"}
			return movers{db.Where(of).Session(&gorm.Session{}), table}
		}
		want, got := q(t, own("twin_movers")), q(t, own("movers"))
		if !slices.Equal(got, want) {
			t.Errorf("moving\n%s\ntwin\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestConditionsOnMovingColumnsFindWhatPlainOnesFind(t *testing.T) {
	type query = func(t *testing.T, s movers) []string
	where := func(q any, args ...any) query {
		return func(t *testing.T, s movers) []string { return s.find(t, s.Where(q, args...)) }
	}
	queries := map[string]query{
		"all":                where("1 = 1"),
		"text":               where("email = ?", mail(1)),
		"text, other side":   where("? = email", mail(1)),
		"text, other side 2": where("? <> email", mail(1)),
		"text, not":          where("email <> ?", mail(1)),
		"text, not 2":        where("email != ? AND role = ?", mail(1), "role1"),
		"text, and":          where("role = ? AND email = ? AND kin > ?", "role1", mail(1), 2),
		"text, or":           where("email = ? OR role = ? OR email = ?", mail(1), "role1", mail(2)),
		"text, qualified":    func(t *testing.T, s movers) []string { return s.find(t, s.Where(s.table+".email = ?", mail(0))) },
		"text, nothing":      where("email = ?", "nobody"),
		"text, tenant":       where("email = ? AND org_id = ?", mail(1), "a"),
		"in":                 where("email IN ? AND role = ?", []string{mail(0), mail(3), "nobody"}, "role1"),
		"in, empty":          where("email IN ?", []string{}),
		"in, null":           where("code IN (?, NULL)", 2),
		"not in":             where("email NOT IN ? AND role = ?", []string{mail(0), mail(3)}, "role0"),
		"not in, null":       where("NOT (code NOT IN (?, NULL))", 2),
		"named":              where("email = @mail OR code = @code OR email = @mail", map[string]any{"mail": mail(2), "code": 3}),
		"map":                where(map[string]any{"email": mail(2)}),
		"map in":             where(map[string]any{"email": []string{mail(2), mail(4)}}),
		"map null":           where(map[string]any{"code": nil}),
		"number":             where("code = ?", 2),
		"number, wide":       where("code = ? OR code = ?", int64(1)<<40, 1),
		"number, not":        where("code <> ?", 2),
		"number, not wide":   where("code <> ?", int64(1)<<40),
		"null":               where("code IS NULL"),
		"null, unsearched":   where("note IS NULL"),
		"not null":           where("code IS NOT NULL AND email = ?", mail(1)),
		"not null 2":         where("NOT note IS NULL"),
		"null parameter":     where("code = ?", nil),
		"pointer":            where("code = ?", ptr(int64(3))),
		"eq":                 where(clause.Eq{Column: "email", Value: mail(1)}),
		"neq":                where(clause.Neq{Column: "email", Value: mail(1)}),
		"clause in":          where(clause.IN{Column: "email", Values: []any{mail(1), mail(4)}}),
		"expr":               where(gorm.Expr("email = ?", mail(1))),
		"double not":         where("NOT (NOT (code = ?))", 2),
		"not and":            where("NOT (code = ? AND email = ?)", 2, mail(2)),
		"is distinct": func(t *testing.T, s movers) []string {
			return s.find(t, s.Where(onMySQL(s.DB, "NOT (code <=> ?)", "code IS DISTINCT FROM ?"), 2))
		},
		"is not distinct": func(t *testing.T, s movers) []string {
			return s.find(t, s.Where(onMySQL(s.DB, "code <=> ?", "code IS NOT DISTINCT FROM ?"), nil))
		},
		"case": where("CASE WHEN email = ? THEN 1 ELSE 2 END = ?", mail(1), 1),
		"struct": func(t *testing.T, s movers) []string {
			return s.find(t, s.Where(s.model(mover{Email: mail(1), Role: "role1"})))
		},
		"not": func(t *testing.T, s movers) []string { return s.find(t, s.Not("email = ?", mail(1))) },
		"not map": func(t *testing.T, s movers) []string {
			return s.find(t, s.Not(map[string]any{"email": []string{mail(1), mail(2)}}))
		},
		"not struct": func(t *testing.T, s movers) []string {
			return s.find(t, s.Not(s.model(mover{Email: mail(1)})))
		},
		"groups": func(t *testing.T, s movers) []string {
			return s.find(t, s.Where(s.Where("email = ?", mail(1)).Or("code = ?", 2)).Where(s.Not("role = ?", "role1")))
		},
		"sub-query": func(t *testing.T, s movers) []string {
			sub := s.DB.Table(s.table).Select("kin").Where("email = ?", mail(1))
			return s.find(t, s.Where("email <> ?", mail(0)).Where("id IN (?)", sub).Where("role = ?", "role1"))
		},
		"exists": func(t *testing.T, s movers) []string {
			return s.find(t, s.Where("EXISTS (?)", s.DB.Table(s.table+" AS k").Select("1").Where("k.kin = "+s.table+".id AND k.email = ?", mail(3))))
		},
		"join": func(t *testing.T, s movers) []string {
			return s.find(t, s.Joins("JOIN "+s.table+" k ON k.kin = "+s.table+".id AND k.email = ?", mail(3)))
		},
		"count": func(t *testing.T, s movers) []string {
			var n, m, k int64
			must(t, s.DB.Table(s.table).Select("code").Count(&n).Error)
			must(t, s.DB.Table(s.table).Where("email = ?", mail(1)).Count(&m).Error)
			must(t, s.Raw("SELECT count(note) FROM "+s.table+" WHERE role = ?", "role1").Scan(&k).Error)
			return []string{fmt.Sprint(n, m, k)}
		},
	}
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			for name, q := range queries {
				l.both(t, name, q)
			}
			l.mustSealMovers(t)
		})
	}
}

func TestEveryDestinationSeesOneColumn(t *testing.T) {
	type short struct {
		ID    uint
		Email string
	}
	maps := func(t *testing.T, tx *gorm.DB) []string {
		t.Helper()
		var got []map[string]any
		must(t, tx.Scan(&got).Error)
		out := []string{}
		for _, m := range got {
			out = append(out, fmt.Sprint(m))
		}
		slices.Sort(out)
		return out
	}
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			for name, q := range map[string]func(t *testing.T, s movers) []string{
				"query fields": func(t *testing.T, s movers) []string { return s.find(t, s.Session(&gorm.Session{QueryFields: true})) },
				"select":       func(t *testing.T, s movers) []string { return s.find(t, s.Select("id", "email", "code")) },
				"omit":         func(t *testing.T, s movers) []string { return s.find(t, s.Omit("note")) },
				"order":        func(t *testing.T, s movers) []string { return s.find(t, s.Order("id").Limit(3).Offset(2)) },
				"pluck": func(t *testing.T, s movers) []string {
					var got []string
					must(t, s.DB.Table(s.table).Order("id").Pluck("email", &got).Error)
					return got
				},
				"pluck null": func(t *testing.T, s movers) []string {
					var got []sql.NullString
					must(t, s.DB.Table(s.table).Order("id").Pluck("note", &got).Error)
					return []string{fmt.Sprint(got)}
				},
				"maps":      func(t *testing.T, s movers) []string { return maps(t, s.DB.Table(s.table).Select("id, email, note")) },
				"maps, all": func(t *testing.T, s movers) []string { return maps(t, s.DB.Table(s.table)) },
				"raw": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("SELECT m.id, m.email AS mail FROM "+s.table+" m"))
				},
				"raw, comment": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("SELECT id, email -- the address\nFROM "+s.table))
				},
				"raw, star": func(t *testing.T, s movers) []string { return maps(t, s.Raw("SELECT *, 1 AS one FROM "+s.table)) },
				"raw, sub-query": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("SELECT x.id, x.email FROM (SELECT * FROM "+s.table+") AS x"))
				},
				"raw, with": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("WITH x AS (SELECT * FROM "+s.table+") SELECT email, id FROM x"))
				},
				"raw, other star": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("SELECT m.*, k.role AS kin_role FROM "+s.table+" m JOIN "+s.table+" k ON k.id = m.kin"))
				},
				"raw, two rows in one": func(t *testing.T, s movers) []string {
					return maps(t, s.Raw("SELECT m.id, m.email, k.email AS kin_email FROM "+s.table+" m LEFT JOIN "+s.table+" k ON k.id = m.kin"))
				},
				"struct": func(t *testing.T, s movers) []string {
					var got []short
					must(t, s.DB.Table(s.table).Order("id").Scan(&got).Error)
					return []string{fmt.Sprint(got)}
				},
				"row": func(t *testing.T, s movers) []string {
					var id uint
					var email string
					must(t, s.DB.Table(s.table).Select("id", "email").Where("id = ?", 1).Row().Scan(&id, &email))
					return []string{fmt.Sprint(id, email)}
				},
				"rows": func(t *testing.T, s movers) []string {
					rows, err := s.DB.Table(s.table).Order("id").Rows()
					must(t, err)
					defer func() { _ = rows.Close() }()
					names, err := rows.Columns()
					must(t, err)
					types, err := rows.ColumnTypes()
					must(t, err)
					names = slices.Sorted(slices.Values(names))
					out := []string{fmt.Sprint(names, len(types))}
					for rows.Next() {
						var got short
						must(t, s.ScanRows(rows, &got))
						out = append(out, fmt.Sprint(got))
					}
					must(t, rows.Err())
					return out
				},
			} {
				l.both(t, name, q)
			}
			l.mustSealMovers(t)
		})
	}
}

func TestMovingColumnsRefuse(t *testing.T) {
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			var got []map[string]any
			for name, tx := range map[string]*gorm.DB{
				"distinct":                db.Model(&mover{}).Distinct("email").Find(&got),
				"count distinct":          db.Model(&mover{}).Distinct("email").Count(new(int64)),
				"group by":                db.Model(&mover{}).Select("email").Group("email").Find(&got),
				"selected beside a group": db.Raw("SELECT email FROM movers GROUP BY id, email_clear").Scan(&got),
				"join":                    db.Table("movers AS a").Select("a.id").Joins("JOIN movers b ON a.email = b.email AND a.org_id = b.org_id").Find(&got),
				"sub-query":               db.Raw("SELECT id FROM movers WHERE email IN (SELECT email FROM movers)").Scan(&got),
				"union":                   db.Raw("SELECT id, email FROM movers UNION ALL SELECT id, role FROM twin_movers").Scan(&got),
				"union of stars":          db.Raw("SELECT * FROM movers UNION ALL SELECT * FROM movers").Scan(&got),
				"two stars":               db.Raw("SELECT * FROM movers a JOIN movers b ON a.id = b.kin").Scan(&got),
				"another table's name":    db.Raw("SELECT m.*, w.email FROM movers m JOIN twin_movers w ON w.id = m.id WHERE m.id = 1").Scan(&got),
				"another table's star":    db.Raw("SELECT m.*, w.* FROM movers m JOIN twin_movers w ON w.id = m.id").Scan(&got),
				"another table's plain":   db.Raw("SELECT m.*, w.role AS email_clear FROM movers m JOIN twin_movers w ON w.id = m.id").Scan(&got),
				"like":                    db.Raw("SELECT id FROM movers WHERE email LIKE ?", "x").Scan(&got),
				"conflict target":         db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoNothing: true}).Create(&mover{ID: 90, OrgID: "a", Email: "x"}),
				"order":                   db.Order("email").Find(&[]mover{}),
				"null by hand":            db.Exec("UPDATE movers SET email = NULL WHERE id = 1"),
				"plain map":               db.Model(&mover{}).Where("id = ?", 1).Update("email_clear", canary),
				"plain create":            db.Model(&mover{}).Create(map[string]any{"id": 91, "org_id": "a", "email_clear": canary}),
				"plain conflict":          db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"email_clear": canary})}).Create(&mover{ID: 1, OrgID: "a"}),
				"plain by hand":           db.Exec("UPDATE movers SET email_clear = ? WHERE id = 1", canary),
				"plain literal by hand":   db.Exec("UPDATE movers SET email_clear = '" + "x" + "' WHERE id = 1"),
				"plain computed by hand":  db.Exec("UPDATE movers SET role = ?, email_clear = concat(role, role) WHERE id = 1", "x"),
				"plain inserted by hand":  db.Exec("INSERT INTO movers (id, org_id, email_clear) VALUES (?, ?, ?)", 92, "a", canary),
				"plain upserted by hand":  db.Exec("INSERT INTO movers (id, org_id) VALUES (1, 'a') "+onMySQL(db, "ON DUPLICATE KEY UPDATE", "ON CONFLICT (id) DO UPDATE SET")+" email_clear = ?", canary),
				"plain copied by hand":    db.Exec("INSERT INTO movers (id, org_id, email_clear) SELECT id + 100, org_id, email FROM twin_movers"),
				"copy":                    db.Exec("INSERT INTO movers (id, org_id, email) SELECT id + 100, org_id, email FROM movers"),
				"out of range":            db.Where("code = ?", uint64(1)<<63).Find(&[]mover{}),
			} {
				var e *gormplugin.Error
				if !errors.As(tx.Error, &e) || !errors.Is(e, gormplugin.ErrTransition) || !strings.Contains(e.Error(), "_clear") {
					t.Errorf("%s: %v", name, tx.Error)
				}
			}
			must(t, db.Exec("UPDATE movers SET role = ?, note_clear = NULL WHERE id = ?", "role0", 1).Error)
			must(t, db.Exec("UPDATE movers SET note_clear = ? WHERE id = ?", nil, 1).Error)
			if err := db.Where("note = ?", "x").Find(&[]mover{}).Error; !errors.Is(err, gormplugin.ErrCondition) {
				t.Errorf("a condition without search: %v", err)
			}
			if got := l.stored(t, 1); got != fmt.Sprintln(mail(0), nil, nil) {
				t.Errorf("row 1 has %s", got)
			}
			l.mustSealMovers(t)
		})
	}
}

func TestWritesMoveValues(t *testing.T) {
	nothing := fmt.Sprintln(nil, nil, nil)
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			left, err := l.plugin.Remaining(l.DB, &mover{})
			must(t, err)
			if want := (map[string]int64{"email": 4, "code": 3, "note": 3}); !reflect.DeepEqual(unsealed(left), want) || left["email"].Plain < 5 {
				t.Errorf("left are %v, want %v", left, want)
			}
			must(t, db.Create(&mover{ID: 50, Email: mail(7), Code: ptr(int64(7)), Note: ptr(canary)}).Error)
			mustStore(t, l, 50, fmt.Sprintln(nil, nil, 7))
			must(t, db.Model(&mover{}).Create(&[]map[string]any{{"id": 51, "org_id": "a", "email": mail(8), "code": 8}, {"id": 52, "org_id": "a", "email": mail(8)}}).Error)
			mustStore(t, l, 51, fmt.Sprintln(nil, nil, 8))
			mustStore(t, l, 52, nothing)

			// An old row gets a new value, and NULL: the old one does not come back.
			must(t, db.Model(&mover{ID: 1, OrgID: "a"}).Update("email", mail(70)).Error)
			mustStore(t, l, 1, nothing)
			must(t, db.Model(&mover{ID: 4, OrgID: "a"}).Updates(map[string]any{"note": nil, "code": 30}).Error)
			mustStore(t, l, 4, fmt.Sprintln(mail(3), nil, 30))
			must(t, db.Model(&mover{}).Where("email = ?", mail(1)).Updates(&mover{Code: ptr(int64(31))}).Error)
			var m mover
			must(t, db.First(&m, 4).Error)
			if m.Note != nil || *m.Code != 30 || m.Email != mail(3) {
				t.Errorf("row 4 is %s", moverText(m))
			}
			must(t, db.Where("email = ? AND code = ?", mail(1), 31).Order("id").First(&mover{}, "id = ?", 7).Error)
			mustStore(t, l, 7, fmt.Sprintln(mail(1), fmt.Sprint(canary, " note 6"), 31))

			// Upserts, of the inserted values and of given ones.
			row := mover{ID: 7, OrgID: "a", Email: mail(71), Code: ptr(int64(71))}
			must(t, db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error)
			mustStore(t, l, 7, fmt.Sprintln(nil, nil, 71))
			row = mover{ID: 10, OrgID: "a", Email: mail(72), Code: ptr(int64(72))}
			must(t, db.Clauses(clause.OnConflict{
				Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"email": mail(73), "code": 73}),
			}).Create(&row).Error)
			mustStore(t, l, 10, fmt.Sprintln(nil, fmt.Sprint(canary, " note 9"), 73))

			// RETURNING, and deletes by either column.
			var back []mover
			tx := db.Model(&back).Clauses(clause.Returning{}).Where("id IN ?", []int{10, 50}).Update("role", "seen")
			if kind == "mysql" { // it has none for UPDATE
				mustRefuse(t, "returning", tx.Error, gormplugin.ErrStatement)
			} else if must(t, tx.Error); len(back) != 2 || deref(back[0].Note) == nil || back[0].Role != "seen" {
				t.Errorf("returned %+v", back)
			}
			back = nil
			must(t, db.Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}, {Name: "note"}}}).Where("email = ?", mail(73)).Delete(&back).Error)
			if len(back) != 1 || *back[0].Note != canary+" note 9" {
				t.Errorf("deleted %+v", back)
			}
			l.mustSealMovers(t)
		})
	}
}

func mustStore(t *testing.T, l *lab, id uint, want string) {
	t.Helper()
	if got := l.stored(t, id); got != want {
		t.Errorf("row %d has the plain values %s, want %s", id, got, want)
	}
}

func TestABackfillLeavesNothing(t *testing.T) {
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			for last, n := uint(0), 1; n > 0; {
				must(t, l.Transaction(func(tx *gorm.DB) error {
					var batch []mover
					query := tx.Where("id > ?", last).Order("id").Limit(5)
					if kind != "sqlite" {
						query = query.Clauses(clause.Locking{Strength: "UPDATE"})
					}
					must(t, query.Find(&batch).Error)
					for i := range batch {
						must(t, tx.Model(&batch[i]).Select("Email", "Code", "Note").UpdateColumns(&batch[i]).Error)
						last = batch[i].ID
					}
					n = len(batch)
					return nil
				}))
			}
			left, err := l.plugin.Remaining(l.DB, &mover{})
			must(t, err)
			if want := (map[string]int64{"email": 0, "code": 0, "note": 0}); !reflect.DeepEqual(unsealed(left), want) || left["email"].Plain != 0 || left["code"].Plain == 0 {
				t.Errorf("left are %v", left)
			}
			for i := range people {
				mustStore(t, l, uint(i+1), fmt.Sprintln(nil, nil, deref(newMover(i).Code)))
			}
			l.both(t, "all", func(t *testing.T, s movers) []string { return s.find(t, s.DB) })
			l.mustSealMovers(t)
		})
	}
}

func TestATenantsConditionTouchesNoPlainValueOfAnother(t *testing.T) {
	for _, kind := range matrixDatabases {
		t.Run(kind, func(t *testing.T) {
			l := movingLab(t, kind)
			must(t, l.stock.Exec("INSERT INTO movers (id, org_id, email_clear) VALUES (80, 'b', ?)", mail(0)).Error)
			db := l.WithContext(gormplugin.WithTenant(t.Context(), "a"))
			var got []mover
			must(t, db.Where("email IN ?", []string{mail(0), mail(1)}).Find(&got).Error)
			if len(got) != 6 {
				t.Errorf("found %d rows", len(got))
			}
			must(t, l.stock.Exec("INSERT INTO movers (id, org_id, email_clear) VALUES (81, 'A', ?), (82, 'a ', ?)", mail(0), mail(0)).Error)
			must(t, db.Where("email = ?", mail(0)).Delete(&mover{}).Error)
			var others int64
			must(t, l.stock.Raw("SELECT count(*) FROM movers WHERE id > 80").Scan(&others).Error)
			if others != 2 {
				t.Errorf("of tenants that differ in case or a space, %d rows are left", others)
			}
			must(t, l.Model(&mover{OrgID: "b"}).Where("email = ?", mail(0)).Find(&got).Error)
			if len(got) != 1 || got[0].ID != 80 {
				t.Errorf("found %+v", got)
			}
			if err := db.First(&got, 80).Error; !errors.Is(err, field.ErrTenantMismatch) {
				t.Errorf("another tenant's plain value: %v", err)
			}
			if err := l.Where("email = ?", mail(0)).Find(&got).Error; !errors.Is(err, field.ErrTenantUnknown) {
				t.Errorf("no tenant: %v", err)
			}
		})
	}
}

func TestMovingDryRunsShowNoPlaintext(t *testing.T) {
	l := movingLab(t, "postgres")
	for name, f := range map[string]func(tx *gorm.DB) *gorm.DB{
		"find": func(tx *gorm.DB) *gorm.DB { return tx.Where("email = ? AND org_id = ?", mail(1), "a").Find(&[]mover{}) },
		"create": func(tx *gorm.DB) *gorm.DB {
			return tx.Create(&mover{OrgID: "a", Email: mail(1), Code: ptr(int64(4711))})
		},
		"update": func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&mover{ID: 1, OrgID: "a"}).Updates(&mover{Email: mail(1), Code: ptr(int64(4711))})
		},
	} {
		stmt := f(l.Session(&gorm.Session{DryRun: true})).Statement
		text := l.ToSQL(f) + fmt.Sprintf("%s %v %+v %#v", stmt.SQL.String(), stmt.Vars, stmt.Vars, stmt.Vars)
		if strings.Contains(text, canary) || strings.Contains(text, "4711") || !strings.Contains(text, "[sealed]") || !strings.Contains(text, "_clear") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
