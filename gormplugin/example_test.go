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

type patient struct {
	ID        uint
	Clinic    string `rowseal:"tenant"`
	Name      string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Diagnosis string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal,key=row"`
	Ward      int
}

func Example() {
	// Keys that live as long as the program; a real one opens a key store.
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	if err != nil {
		log.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		log.Fatal(err)
	}
	db, err := gorm.Open(sqlite.Open("file:example?mode=memory&cache=shared"), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		log.Fatal(err)
	}
	plugin := gormplugin.New(cipher)
	plugin.Models = []any{&patient{}}
	if err := errors.Join(db.Use(plugin), db.AutoMigrate(&patient{})); err != nil {
		log.Fatal(err)
	}

	ctx := gormplugin.WithTenant(context.Background(), "north")
	db.WithContext(ctx).Create(&patient{Name: "Ada", Diagnosis: "curiosity", Ward: 3})

	var p patient
	db.WithContext(ctx).First(&p, "ward = ?", 3)
	fmt.Println(p.Clinic, p.Name, p.Diagnosis)

	err = db.WithContext(ctx).First(&p, "name = ?", "Ada").Error
	fmt.Println(errors.Is(err, gormplugin.ErrCondition))

	south := gormplugin.WithTenant(context.Background(), "south")
	err = db.WithContext(south).First(&patient{}, "ward = ?", 3).Error
	fmt.Println(errors.Is(err, field.ErrTenantMismatch))
	// Output:
	// north Ada curiosity
	// true
	// true
}
