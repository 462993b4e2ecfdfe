package gormplugin_test

import (
	"slices"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

// household has associations whose keys are sealed columns.
type household struct {
	ID     uint
	Mail   string  `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=owner"`
	Things []thing `gorm:"foreignKey:OwnerMail;references:Mail;constraint:-"`
	First  *thing  `gorm:"foreignKey:OwnerMail;references:Mail;constraint:-"`
}

type thing struct {
	ID        uint
	OwnerMail *string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=owner"`
	Name      string
	Owner     *household `gorm:"foreignKey:OwnerMail;references:Mail;constraint:-"`
}

func TestAssociationsOverSealedKeys(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t, kind)
			must(t, l.Session(&gorm.Session{}).Migrator().CreateTable(&household{}, &thing{}))
			for _, mail := range []string{"a", "b", "c"} {
				o := household{Mail: canary + mail, Things: []thing{{Name: mail + "1"}, {Name: mail + "2"}}}
				must(t, l.Create(&o).Error)
			}
			must(t, l.Create(&thing{Name: "nobody's"}).Error)

			var owners []household
			must(t, l.Preload("Things").Preload("First").Order("id").Find(&owners).Error)
			for i, mail := range []string{"a", "b", "c"} {
				var names []string
				for _, x := range owners[i].Things {
					names = append(names, x.Name)
				}
				if slices.Sort(names); !slices.Equal(names, []string{mail + "1", mail + "2"}) || owners[i].First == nil || owners[i].First.Name[:1] != mail {
					t.Errorf("%s has %v and %+v", mail, names, owners[i].First)
				}
			}
			var things []thing
			must(t, l.Preload("Owner").Order("id").Find(&things).Error)
			for _, x := range things[:6] {
				if x.Owner == nil || x.Owner.Mail != canary+x.Name[:1] {
					t.Errorf("%s belongs to %+v", x.Name, x.Owner)
				}
			}
			if things[6].Owner != nil {
				t.Errorf("nobody's thing has the owner %+v", things[6].Owner)
			}
			must(t, l.Joins("Owner").Where(clause.Eq{Column: clause.Column{Table: "Owner", Name: "mail"}, Value: canary + "b"}).Find(&things).Error)
			if len(things) != 2 || things[0].Owner.Mail != canary+"b" {
				t.Errorf("joined %+v", things)
			}
			theirs, err := gorm.G[thing](l.DB).Joins(clause.JoinTarget{Association: "Owner"}, func(on gorm.JoinBuilder, owner, _ clause.Table) error {
				on.Where("?.mail <> ?", owner, canary+"c")
				return nil
			}).Find(t.Context())
			must(t, err)
			if len(theirs) != 4 {
				t.Errorf("a generic join found %+v", theirs)
			}
			if n := l.Model(&owners[2]).Association("Things").Count(); n != 2 {
				t.Errorf("c has %d things", n)
			}
			l.mustHideCanariesIn(t, "households", "things")
		})
	}
}

// bound and binding are associated by a foreign key over sealed bytes.
type bound struct {
	ID      uint
	Mail    string    `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=bound"`
	Binding []binding `gorm:"foreignKey:Mail;references:Mail"`
}

type binding struct {
	ID   uint
	Mail string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=bound"`
}

func TestForeignKeysOverSealedColumnsAreRefused(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		mustRefuse(t, "AutoMigrate", l.AutoMigrate(&bound{}, &binding{}), gormplugin.ErrTag)
		mustRefuse(t, "CreateTable", l.Migrator().CreateTable(&binding{}, &bound{}), gormplugin.ErrTag)
	})
}
