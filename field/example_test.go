package field_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
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
	// rowseal: open users.dob: value or row belongs to another tenant; the tenant of the value, of its row's tenant column and of the context (field.WithTenant) must be one
}

// A column is found by its terms: the database compares those of its values
// with the one of the operand.
func ExampleCipher_EqualityTerms() {
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
	file, err := field.ParseFile("rowseal.yaml", []byte("tables: {users: {columns: {ssn: {type: text, search: [equality]}}}}"))
	if err != nil {
		log.Fatal(err)
	}
	ssn := file.Policy.Table("users").Column("ssn")

	ctx := field.WithTenant(context.Background(), "acme")
	stored, err := cipher.Seal(ctx, nil, ssn, field.Row{}, "078-05-1120")
	if err != nil {
		log.Fatal(err)
	}
	terms := []field.Term{
		{Column: ssn, Value: "078-05-1120"},
		{Column: ssn, Value: "219-09-9999"},
	}
	if err := cipher.EqualityTerms(ctx, terms); err != nil {
		log.Fatal(err)
	}
	// SELECT … FROM users WHERE substr(ssn, 9, 16) = $1
	substr := stored[envelope.EqualityOffset:][:envelope.EqualitySize]
	for _, t := range terms {
		fmt.Println(t.Value, bytes.Equal(substr, t.Bytes))
	}
	// Output:
	// 078-05-1120 true
	// 219-09-9999 false
}
