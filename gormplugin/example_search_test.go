package gormplugin_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// Subscriber can be found by e-mail address, which is sealed, within its tenant.
type Subscriber struct {
	ID    uint
	Shop  string `rowseal:"tenant"`
	Email string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	Name  string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

// subscribers opens a database that lives as long as the program, with keys
// that do; the package's example shows each step.
func subscribers(name string) *gorm.DB {
	ring, errRing := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	cipher, errCipher := field.New(field.Config{Keyring: ring})
	db, errDB := gorm.Open(sqlite.Open("file:"+name+"?mode=memory&cache=shared"), &gorm.Config{Logger: logger.Default.LogMode(logger.Silent)})
	if err := errors.Join(errRing, errCipher, errDB); err != nil {
		log.Fatal(err)
	}
	plugin := gormplugin.New(cipher)
	plugin.Models = []any{&Subscriber{}}
	if err := errors.Join(db.Use(plugin), db.AutoMigrate(&Subscriber{})); err != nil {
		log.Fatal(err)
	}
	return db
}

// A column with search=equality is looked for as a plain one. The database
// sees terms in place of the column and the value.
func Example_search() {
	db := subscribers("example_search")
	ctx := gormplugin.WithTenant(context.Background(), "books")
	err := db.WithContext(ctx).Create([]*Subscriber{
		{Email: "ada@example.com", Name: "Ada"},
		{Email: "bob@example.com", Name: "Bob"},
		{Email: "ada@example.com", Name: "Ada, too"},
	}).Error
	if err != nil {
		log.Fatal(err)
	}

	var found []Subscriber
	ada := db.WithContext(ctx).Where("shop = ? AND email = ?", "books", "ada@example.com").Session(&gorm.Session{})
	if err := ada.Order("id").Find(&found).Error; err != nil {
		log.Fatal(err)
	}
	for _, s := range found {
		fmt.Println(s.Name)
	}
	fmt.Println(ada.Session(&gorm.Session{DryRun: true}).Find(&found).Statement.SQL.String())

	var groups []struct {
		Email string
		N     int
	}
	err = db.WithContext(ctx).Model(&Subscriber{}).Select("email, count(*) AS n").
		Where("shop = ?", "books").Group("email").Order("n DESC").Scan(&groups).Error
	fmt.Println(groups, err)

	err = db.WithContext(ctx).Where("email LIKE ?", "ada%").Find(&found).Error
	fmt.Println(errors.Is(err, gormplugin.ErrCondition))
	// Output:
	// Ada
	// Ada, too
	// SELECT * FROM `subscribers` WHERE shop = ? AND substr(email, 9, 16) = ?
	// [{ada@example.com 2} {bob@example.com 1}] <nil>
	// true
}

// A middleware calls WithTenant once for a request. What the request writes is
// then that tenant's, and what it reads can be no other's.
func ExampleWithTenant() {
	db := subscribers("example_tenant")
	books := gormplugin.WithTenant(context.Background(), "books")
	games := gormplugin.WithTenant(context.Background(), "games")
	ada := Subscriber{Email: "ada@example.com", Name: "Ada"}
	if err := db.WithContext(books).Create(&ada).Error; err != nil {
		log.Fatal(err)
	}
	fmt.Println(ada.Shop)

	// The same address is another term for another tenant.
	var n int64
	err := db.WithContext(games).Model(&Subscriber{}).Where("email = ?", ada.Email).Count(&n).Error
	fmt.Println(n, err)

	// Another tenant's row does not open, even where no condition keeps it out.
	err = db.WithContext(games).First(&Subscriber{}, ada.ID).Error
	fmt.Println(errors.Is(err, field.ErrTenantMismatch))

	// Without a tenant, nothing says whose terms to look for.
	err = db.Where("email = ?", ada.Email).First(&Subscriber{}).Error
	fmt.Println(errors.Is(err, field.ErrTenantUnknown))
	// Output:
	// books
	// 0 <nil>
	// true
	// true
}
