// The gorm example seals two columns in SQLite, with a key file and no server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// Patient has two sealed fields. Each clinic is a tenant with a key of its own.
type Patient struct {
	ID     uint
	Clinic string `rowseal:"tenant"`
	Name   string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=text,key=row"`
	SSN    string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
}

func main() {
	if err := run(context.Background(), ".", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string, out io.Writer) error {
	root, errRoot := localkms.OpenOrCreate(dir + "/root.key")
	store, errStore := sqlstore.Open(ctx, "sqlite:"+dir+"/keys.db") // a file of its own
	if err := errors.Join(errRoot, errStore); err != nil {
		return err
	}
	defer store.Close()
	ring, errRing := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: store})
	cipher, errCipher := field.New(field.Config{Keyring: ring})
	db, errDB := gorm.Open(sqlite.Open(dir+"/clinic.db"), &gorm.Config{})
	other, errOther := gorm.Open(sqlite.Open(dir+"/clinic.db"), &gorm.Config{}) // without Rowseal
	if err := errors.Join(store.Init(ctx), errRing, errCipher, errDB, errOther); err != nil {
		return err
	}
	var read Patient
	var stored string
	err := errors.Join(db.Use(gormplugin.New(cipher)), db.AutoMigrate(&Patient{}),
		db.Create(&Patient{Clinic: "north", Name: "Ann Example", SSN: "900-12-3456"}).Error,
		db.Last(&read).Error,
		other.Raw("SELECT hex(substr(ssn, 1, 8)) FROM patients").Scan(&stored).Error)
	fmt.Fprintf(out, "the application reads: %s, %s\nthe database has: %s…\n", read.Name, read.SSN, stored)
	return err
}
