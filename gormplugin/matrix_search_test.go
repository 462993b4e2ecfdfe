package gormplugin_test

import (
	"fmt"
	"testing"
)

// Conditions run on models of their own, whose sealed columns can be searched.
// As with secrets, there are two sets, which differ in the tags of two structs.
type findable interface{ sealedKeys | plainKeys }

// sealedKeys: the rows of all tenants can be found by Mail and Alias, those of
// one by the others, and by Note none.
type sealedKeys struct {
	Mail  *string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=mail"`
	Alias string  `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=alias"`
	Email string  `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Code  *int64  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=int4,search=equality"`
	Rate  float64 `gorm:"serializer:rowseal;type:bytes" rowseal:"type=float8,search=equality,key=row"`
	Note  string  `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type plainKeys struct {
	Mail  *string
	Alias string
	Email string
	Code  *int64
	Rate  float64
	Note  string
}

// unique values are conflict targets.
type unique interface{ sealedUnique | plainUnique }

type sealedUnique struct {
	Mail  *string `gorm:"serializer:rowseal;type:bytes;uniqueIndex" rowseal:"search=equality,scope=global"`
	Email string  `gorm:"serializer:rowseal;type:bytes;uniqueIndex:one_berth,priority:2" rowseal:"search=equality"`
	Label *string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

type plainUnique struct {
	Mail  *string `gorm:"size:80;uniqueIndex"`
	Email string  `gorm:"size:80;uniqueIndex:one_berth,priority:2"`
	Label *string
}

// client has a tenant.
type client[K findable] struct {
	ID    uint
	OrgID string `gorm:"size:40" rowseal:"tenant"`
	Keys  K      `gorm:"embedded"`
	Role  string
	KinID *uint
	Kin   *client[K] `gorm:"foreignKey:KinID;constraint:-"`
}

func (client[K]) TableName() string { return "clients" }

// estate and chattel are associated by a sealed column.
type estate[K findable] struct {
	ID       uint
	Keys     K `gorm:"embedded"`
	Name     string
	Chattels []chattel[K] `gorm:"foreignKey:Mail;references:Mail;constraint:-"`
}

func (estate[K]) TableName() string { return "estates" }

type chattel[K findable] struct {
	ID    uint
	Keys  K `gorm:"embedded"`
	Name  string
	Owner *estate[K] `gorm:"foreignKey:Mail;references:Mail;constraint:-"`
}

func (chattel[K]) TableName() string { return "chattels" }

// berth has a mail that no two rows share, and an email that no two of a
// tenant do.
type berth[U unique] struct {
	ID    uint
	OrgID string `gorm:"size:40;uniqueIndex:one_berth,priority:1" rowseal:"tenant"`
	Keys  U      `gorm:"embedded"`
	Size  int
}

func (berth[U]) TableName() string { return "berths" }

// searchSet is the set of S.
func searchSet[S secrets]() dataset[S] {
	var s S
	if _, sealed := any(s).(sealedSecrets); sealed {
		return any(searchable[sealedSecrets, sealedKeys, sealedUnique]()).(dataset[S])
	}
	return any(searchable[plainSecrets, plainKeys, plainUnique]()).(dataset[S])
}

func searchable[S secrets, K findable, U unique]() dataset[S] {
	return dataset[S]{
		models: []any{&client[K]{}, &estate[K]{}, &chattel[K]{}, &berth[U]{}},
		tables: []string{"clients", "estates", "chattels", "berths"},
		fill:   fillSearchable[S, K, U],
		read: func(into func(any)) {
			into(&[]client[K]{})
			into(&[]estate[K]{})
			into(&[]chattel[K]{})
			into(&[]berth[U]{})
		},
		themes: []theme[S]{
			{"conditions", conditionEntries[S, K]()},
			{"conditions within a tenant", tenantConditions[S, K]()},
			{"sub-queries and joins on sealed columns", sealedJoins[S, K]()},
			{"sealed keys", sealedKeyEntries[S, K]()},
			{"groups of sealed values", groupEntries[S, K]()},
			{"writes by condition", conditionWrites[S, K]()},
			{"sealed conflict targets", conflictEntries[S, U]()},
			{"refused conditions", refusedConditions[S, K]()},
		},
	}
}

func mail(n int) string { return fmt.Sprintf("%s%d@example.com", canary, n) }

// keyed returns keys that repeat: Mail is NULL or empty in some.
func keyed[K findable](i int) K {
	k := plainKeys{
		Alias: mail((i + 1) % 3), Email: mail(i % 4), Rate: float64(i%3) / 2, Note: fmt.Sprint(canary, " note ", i),
	}
	switch {
	case i%5 == 1:
		k.Mail, k.Email = ptr(""), ""
	case i%5 != 0:
		k.Mail = ptr(mail(i % 3))
	}
	if i%4 != 0 {
		k.Code = ptr(int64(i % 4))
	}
	return K(k)
}

// mailed returns keys that a row is found by.
func mailed[K findable](mail string) K { return K(plainKeys{Mail: &mail}) }

func fillSearchable[S secrets, K findable, U unique](t *testing.T, w *world[S]) {
	t.Helper()
	var clients []client[K]
	for i := range 16 {
		c := client[K]{OrgID: "a", Keys: keyed[K](i), Role: fmt.Sprint("role", i%2)}
		if i > 10 {
			c.OrgID = "b"
		}
		if i > 3 {
			c.KinID = ptr(uint(i - 3))
		}
		clients = append(clients, c)
	}
	must(t, w.Create(&clients).Error)
	must(t, w.Create(&[]estate[K]{
		{Keys: mailed[K](mail(0)), Name: "e0"},
		{Keys: mailed[K](mail(1)), Name: "e1"},
		{Keys: mailed[K](""), Name: "empty"},
		{Name: "none"},
		{Keys: mailed[K](mail(7)), Name: "alone"},
	}).Error)
	var chattels []chattel[K]
	for i := range 8 {
		chattels = append(chattels, chattel[K]{Keys: keyed[K](i), Name: fmt.Sprint("c", i)})
	}
	must(t, w.Create(&chattels).Error)
	must(t, w.Create(&[]berth[U]{
		{OrgID: "a", Keys: berthed[U](mail(1), mail(11)), Size: 1},
		{OrgID: "b", Keys: berthed[U](mail(2), mail(11)), Size: 2},
		{OrgID: "a", Keys: U(plainUnique{Email: ""}), Size: 3},
		{OrgID: "b", Keys: U(plainUnique{Email: ""}), Size: 4},
	}).Error)
}

func berthed[U unique](mail, email string) U {
	return U(plainUnique{Mail: &mail, Email: email, Label: ptr(canary + " label of " + email)})
}
