package field_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// A value is sealed for a tenant and opened again. Programs keep their keys in
// a real key store (keyring/sqlstore) under a real root key.
func ExampleCipher() {
	ring, err := keyring.New(keyring.Config{
		Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{},
	})
	if err != nil {
		log.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		log.Fatal(err)
	}
	date, err := codec.ParseType("date")
	if err != nil {
		log.Fatal(err)
	}
	users, err := field.NewTable(field.TableConfig{
		Name:    "users",
		Columns: []field.ColumnConfig{{Name: "dob", Type: date}},
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := field.WithTenant(context.Background(), "acme")
	dob := users.Column("dob")
	sealed, err := cipher.Seal(ctx, nil, dob, field.Row{}, "1815-12-10")
	if err != nil {
		log.Fatal(err)
	}
	var opened string
	if err := cipher.Open(ctx, &opened, dob, field.Row{}, sealed); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(sealed), opened)

	other := field.WithTenant(context.Background(), "evil")
	fmt.Println(cipher.Open(other, &opened, dob, field.Row{}, sealed))
	// Output:
	// 60 1815-12-10
	// rowseal: open users.dob: value or row belongs to another tenant
}
