package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Person is the model that the demonstration works with.
type Person struct {
	ID       int64     `gorm:"primaryKey"`
	Tenant   string    `rowseal:"tenant"`
	Name     string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text,key=row"`
	SSN      string    `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text"`
	Birthday time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date"`
	Notes    Notes     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb,key=row"`
}

// TableName is the table's name.
func (Person) TableName() string { return "people" }

// Notes are a person's notes, sealed as one jsonb value.
type Notes struct {
	Visits    int      `json:"visits"`
	Allergies []string `json:"allergies,omitempty"`
	Contact   string   `json:"contact"`
}

var (
	tenants    = []string{"northwind", "acme", "globex", "initech", "umbrella"}
	firstNames = strings.Fields(`Alice Bruno Chidi Daria Emil Fatima Goran Hana Ines Jonas Kofi Lena Mateo Nadia Oskar
		Priya Quentin Rosa Samir Tilda Umar Vera Wanda Ximena Yusuf Zoë Ingrid Pablo Selma Teo`)
	lastNames = strings.Fields(`Adler Berg Castillo Dubois Eriksen Fischer García Haddad Ivanov Jansen Kowalski Lindqvist
		Moreau Nakamura Okafor Petrov Quist Rossi Schneider Tanaka Ueda Vargas Weiss Yilmaz Zhang Müller O'Brien`)
	substances = strings.Fields("penicillin latex peanuts pollen iodine aspirin")
)

// people returns the first n of a fixed sequence of invented people. Their
// social security numbers begin with 9, which is never given out.
func people(n int) []Person {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same people each time, and nothing secret
	list := make([]Person, n)
	for i := range list {
		p := &list[i]
		first, last := pick(r, firstNames), pick(r, lastNames)
		p.ID = int64(i + 1)
		p.Tenant = tenants[i%len(tenants)]
		p.Name = first + " " + last
		p.SSN = fmt.Sprintf("9%02d-%02d-%04d", r.IntN(100), 1+r.IntN(99), 1+r.IntN(9999))
		p.Birthday = time.Date(1940, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(65*365))
		p.Notes.Visits = r.IntN(30)
		for range r.IntN(3) {
			p.Notes.Allergies = append(p.Notes.Allergies, pick(r, substances))
		}
		p.Notes.Contact = strings.ToLower(first) + "@example.com"
	}
	return list
}

func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// same reports whether two people are the same in every field.
func same(a, b *Person) bool {
	return a.ID == b.ID && a.Tenant == b.Tenant && a.Name == b.Name && a.SSN == b.SSN &&
		a.Birthday.Equal(b.Birthday) && a.Notes.Visits == b.Notes.Visits &&
		a.Notes.Contact == b.Notes.Contact && strings.Join(a.Notes.Allergies, " ") == strings.Join(b.Notes.Allergies, " ")
}
