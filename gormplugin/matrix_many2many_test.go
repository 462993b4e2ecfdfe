package gormplugin_test

import (
	"bytes"
	"fmt"

	"gorm.io/gorm"
)

// GORM makes a join table's model out of the names of both models' types, and
// cannot do so for generic types. So these have no plain twins.
type student struct {
	ID      uint
	Name    string   `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Courses []course `gorm:"many2many:enrolments"`
}

type course struct {
	ID       uint
	Title    string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Students []student `gorm:"many2many:enrolments"`
}

// enrolment is a join table with a sealed column of its own.
type enrolment struct {
	StudentID uint   `gorm:"primaryKey"`
	CourseID  uint   `gorm:"primaryKey"`
	Grade     string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,key=row"`
}

// school makes the tables with one student of two courses.
func school[S secrets](w *world[S]) (student, error) {
	for _, table := range []string{"enrolments", "students", "courses"} {
		if err := w.lab.stock.Exec("DROP TABLE IF EXISTS " + table).Error; err != nil {
			return student{}, err
		}
	}
	tx := w.Session(&gorm.Session{NewDB: true})
	tx.DryRun = false
	s := student{Name: canary + " Ann", Courses: []course{{Title: canary + " a"}, {Title: canary + " b"}}}
	for _, err := range []error{
		tx.SetupJoinTable(&student{}, "Courses", &enrolment{}),
		tx.SetupJoinTable(&course{}, "Students", &enrolment{}),
		tx.AutoMigrate(&student{}, &course{}, &enrolment{}),
		tx.Create(&s).Error,
	} {
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// titles are the courses of the student as the database has them. It fails
// where a join table's column or another holds a plaintext.
func titles[S secrets](w *world[S]) ([]string, error) {
	got := []string{}
	for _, table := range []string{"enrolments", "students", "courses"} {
		var rows []map[string]any
		if err := w.lab.stock.Table(table).Find(&rows).Error; err != nil {
			return nil, err
		}
		if bytes.Contains(fmt.Append(nil, rows), fmt.Append(nil, []byte(canary))) {
			return nil, fmt.Errorf("table %s holds a plaintext", table)
		}
	}
	var s student
	err := w.Preload("Courses", func(tx *gorm.DB) *gorm.DB { return tx.Order("courses.id") }).First(&s).Error
	for _, c := range s.Courses {
		got = append(got, c.Title)
	}
	return got, err
}

func joinTableEntries[S secrets]() []entry[S] {
	taught := func(name string, want []string, change func(w *world[S], s *student) error) entry[S] {
		return entry[S]{name: "many2many: " + name, alone: true, want: want, run: func(w *world[S]) (any, error) {
			s, err := school(w)
			if err != nil {
				return nil, err
			}
			if err := change(w, &s); err != nil {
				return nil, err
			}
			return titles(w)
		}}
	}
	a, b, c := canary+" a", canary+" b", canary+" c"
	return []entry[S]{
		taught("Create and Preload", []string{a, b}, func(*world[S], *student) error { return nil }),
		taught("Append", []string{a, b, c}, func(w *world[S], s *student) error {
			return w.Model(s).Association("Courses").Append(&course{Title: c})
		}),
		taught("Replace", []string{c}, func(w *world[S], s *student) error {
			return w.Model(s).Association("Courses").Replace(&course{Title: c})
		}),
		taught("Delete", []string{b}, func(w *world[S], s *student) error {
			return w.Model(s).Association("Courses").Delete(&s.Courses[0])
		}),
		taught("Clear", []string{}, func(w *world[S], s *student) error { return w.Model(s).Association("Courses").Clear() }),
		taught("Find and Count", []string{a, b}, func(w *world[S], s *student) error {
			var found []course
			err := w.Model(s).Order("courses.id").Association("Courses").Find(&found)
			if n := w.Model(s).Association("Courses").Count(); !w.DryRun && (n != 2 || len(found) != 2 || found[1].Title != b) {
				return fmt.Errorf("%d courses, found %v", n, found)
			}
			return err
		}),
		taught("a sealed column of the join table", []string{a, b}, func(w *world[S], s *student) error {
			e := enrolment{StudentID: s.ID, CourseID: s.Courses[0].ID}
			if err := w.Model(&e).Update("grade", canary+" grade").Error; err != nil {
				return err
			}
			var got enrolment
			err := w.Where("course_id = ?", e.CourseID).First(&got).Error
			if !w.DryRun && got.Grade != canary+" grade" {
				return fmt.Errorf("got %+v", got)
			}
			return err
		}),
	}
}
