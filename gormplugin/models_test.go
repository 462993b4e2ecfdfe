package gormplugin_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

func TestPeopleComeBackAsTheyWereCreated(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		one := newPerson(1)
		before := one
		must(t, l.Create(&one).Error)
		before.ID, before.UpdatedAt = one.ID, one.UpdatedAt
		if !reflect.DeepEqual(one, before) {
			t.Errorf("Create changed the struct: %+v", one)
		}
		many := []person{newPerson(2), newPerson(3)}
		must(t, l.Create(&many).Error)
		batch := make([]*person, 0, 10)
		for i := range 10 {
			p := newPerson(10 + i)
			batch = append(batch, &p)
		}
		must(t, l.CreateInBatches(batch, 3).Error)

		for _, want := range append([]*person{&one, &many[0], &many[1]}, batch...) {
			var got person
			must(t, l.First(&got, want.ID).Error)
			got.UpdatedAt = want.UpdatedAt
			if !reflect.DeepEqual(got, *want) {
				t.Errorf("got %+v, want %+v", got, *want)
			}
		}
		l.mustHideCanaries(t)
	})
}

func TestNullAndZeroValuesStayApart(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.Create(&person{City: "x"}).Error)
		var got person
		must(t, l.First(&got).Error)
		if got.SSN != nil || got.Name != "" || got.Secret != nil {
			t.Errorf("got %+v", got)
		}
		var nulls int64
		must(t, l.Model(&person{}).Where("ssn IS NULL").Count(&nulls).Error)
		if nulls != 1 {
			t.Errorf("%d rows without an SSN, want 1", nulls)
		}
		must(t, l.Model(&person{}).Where("name IS NOT NULL").Count(&nulls).Error)
		if nulls != 1 {
			t.Errorf("the empty name became NULL")
		}
		must(t, l.Where(map[string]any{"ssn": nil}).First(&got).Error)
	})
}

func TestUpdatesSealWhatTheyTouchAndNothingElse(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		steps := []struct {
			name   string
			update func() *gorm.DB
			check  func(got person) bool
		}{
			{"Save", func() *gorm.DB { p.Name = "canary saved"; return l.Save(&p) }, func(g person) bool { return g.Name == "canary saved" && *g.SSN == *p.SSN }},
			{"Update", func() *gorm.DB { return l.Model(&p).Update("name", "canary u") }, func(g person) bool { return g.Name == "canary u" }},
			{"Update by field name", func() *gorm.DB { return l.Model(&p).Update("SSN", "canary f") }, func(g person) bool { return *g.SSN == "canary f" }},
			{"Updates of a struct", func() *gorm.DB { return l.Model(&p).Updates(person{Name: "canary us", City: "here"}) }, func(g person) bool { return g.Name == "canary us" && g.City == "here" }},
			{"Updates of a map", func() *gorm.DB { return l.Model(&p).Updates(map[string]any{"name": "canary um", "city": "there"}) }, func(g person) bool { return g.Name == "canary um" && g.City == "there" }},
			{"UpdateColumn", func() *gorm.DB { return l.Model(&p).UpdateColumn("name", "canary uc") }, func(g person) bool { return g.Name == "canary uc" }},
			{"UpdateColumns", func() *gorm.DB { return l.Model(&p).UpdateColumns(person{Name: "canary ucs"}) }, func(g person) bool { return g.Name == "canary ucs" }},
			{"Select", func() *gorm.DB { return l.Model(&p).Select("name").Updates(person{Name: "canary s", City: "no"}) }, func(g person) bool { return g.Name == "canary s" && g.City == "there" }},
			{"Omit", func() *gorm.DB { return l.Model(&p).Omit("city").Updates(person{Name: "canary o", City: "no"}) }, func(g person) bool { return g.Name == "canary o" && g.City == "there" }},
			{"a condition", func() *gorm.DB { return l.Model(&person{}).Where("id = ?", p.ID).Update("name", "canary w") }, func(g person) bool { return g.Name == "canary w" }},
			{"a row key", func() *gorm.DB { return l.Model(&p).Update("notes", notes{Text: "canary n"}) }, func(g person) bool { return g.Notes.Text == "canary n" }},
			{"a row key by condition", func() *gorm.DB {
				return l.Model(&person{}).Where("id = ?", p.ID).Update("notes", notes{Text: "canary c"})
			}, func(g person) bool { return g.Notes.Text == "canary c" }},
			{"NULL", func() *gorm.DB { return l.Model(&p).Update("ssn", nil) }, func(g person) bool { return g.SSN == nil }},
			{"the table's name", func() *gorm.DB {
				return l.Table("people").Where("id = ?", p.ID).Updates(map[string]any{"name": "canary t"})
			}, func(g person) bool { return g.Name == "canary t" }},
			{"Save without a row", func() *gorm.DB { q := newPerson(7); q.ID = 700; return l.Save(&q) }, func(person) bool { return true }},
			{"Save of a slice", func() *gorm.DB { p.Name = "canary sl"; return l.Save([]person{p, newPerson(8)}) }, func(g person) bool { return g.Name == "canary sl" }},
			{"upsert", func() *gorm.DB {
				p.Name = "canary up"
				return l.Clauses(clause.OnConflict{UpdateAll: true}).Create(&p)
			}, func(g person) bool { return g.Name == "canary up" }},
			{"upsert of a column", func() *gorm.DB {
				p.Name = "canary uc1"
				return l.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(&p)
			}, func(g person) bool { return g.Name == "canary uc1" }},
			{"upsert of a value", func() *gorm.DB {
				return l.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"name": "canary uv"})}).Create(&p)
			}, func(g person) bool { return g.Name == "canary uv" }},
		}
		for _, s := range steps {
			if err := s.update().Error; err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
			var got person
			must(t, l.First(&got, p.ID).Error)
			if !s.check(got) {
				t.Errorf("%s: got %+v", s.name, got)
			}
		}
		l.mustHideCanaries(t)
	})
}

func TestMapsAreSealed(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		row := func(n string) map[string]any {
			return map[string]any{"name": canary + n, "SSN": canary, "birthday": time.Now(), "notes": notes{Text: canary}, "secret": []byte(canary), "city": n}
		}
		must(t, l.Model(&person{}).Create(row("1")).Error)
		must(t, l.Model(&person{}).Create(&[]map[string]any{row("2"), row("3")}).Error)
		must(t, l.Table("people").Create(map[string]any{"name": canary + "4", "city": "4"}).Error)
		var got []person
		must(t, l.Order("id").Find(&got).Error)
		if len(got) != 4 || got[1].Name != canary+"2" || got[3].Name != canary+"4" {
			t.Errorf("got %+v", got)
		}
		l.mustHideCanaries(t)
	})
}

func TestEveryDestinationSeesPlaintext(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Create(&p).Error)
		type untagged struct {
			Name  string
			SSN   string
			Photo []byte
		}
		var u untagged
		must(t, l.Model(&person{}).Scan(&u).Error)
		if u.Name != p.Name || u.SSN != *p.SSN || string(u.Photo) != string(p.Photo) {
			t.Errorf("Scan into a struct: %+v", u)
		}
		u = untagged{}
		must(t, l.Model(&person{}).First(&u).Error)
		if u.Name != p.Name {
			t.Errorf("First into a struct: %+v", u)
		}
		m := map[string]any{}
		must(t, l.Model(&person{}).Select("name", "ssn", "city", "photo").Take(&m).Error)
		if m["name"] != p.Name || m["city"] != p.City {
			t.Errorf("map: %v", m)
		}
		var ms []map[string]any
		must(t, l.Table("people").Find(&ms).Error)
		if len(ms) != 1 || ms[0]["name"] != p.Name {
			t.Errorf("maps: %v", ms)
		}
		var names []string
		must(t, l.Model(&person{}).Pluck("name", &names).Error)
		if len(names) != 1 || names[0] != p.Name {
			t.Errorf("Pluck: %v", names)
		}
		var name string
		must(t, l.Model(&person{}).Select("name").Row().Scan(&name))
		if name != p.Name {
			t.Errorf("Row: %q", name)
		}
		must(t, l.Raw("SELECT name FROM people WHERE id = ?", p.ID).Scan(&name).Error)
		var back person
		must(t, l.Raw("SELECT * FROM people").Scan(&back).Error)
		if back.Name != p.Name || back.Notes.Text != p.Notes.Text || !back.Birthday.Equal(p.Birthday) || string(back.Secret) != string(p.Secret) {
			t.Errorf("Raw: %+v", back)
		}
		var renamed struct{ Label string }
		must(t, l.Raw("SELECT p.name AS label FROM people p").Scan(&renamed).Error)
		if renamed.Label != p.Name {
			t.Errorf("renamed: %+v", renamed)
		}
		rows, err := l.Model(&person{}).Rows()
		must(t, err)
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var q person
			must(t, l.ScanRows(rows, &q))
			if q.Name != p.Name || q.Notes.Tags[1] != canary {
				t.Errorf("ScanRows: %+v", q)
			}
		}
		must(t, rows.Err())
	})
}

func TestReturningOpens(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		p := newPerson(1)
		must(t, l.Clauses(clause.Returning{}).Create(&p).Error)
		var got []person
		err := l.Model(&got).Clauses(clause.Returning{}).Where("id = ?", p.ID).Update("name", "canary r").Error
		if l.kind == "mysql" {
			if !errors.Is(err, gormplugin.ErrStatement) {
				t.Errorf("UPDATE … RETURNING: %v", err)
			}
			err = l.Model(&p).Update("name", "canary r").Error
			got = []person{p}
		}
		must(t, err)
		if len(got) != 1 || got[0].Name != "canary r" || got[0].Notes.Text != p.Notes.Text {
			t.Errorf("UPDATE: %+v", got)
		}
		var gone person
		must(t, l.Clauses(clause.Returning{Columns: []clause.Column{{Name: "name"}}}).Where("id = ?", p.ID).Delete(&gone).Error)
		if gone.Name != "canary r" {
			t.Errorf("DELETE: %+v", gone)
		}
	})
}
