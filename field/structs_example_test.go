package field_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// Structs are written and read with database/sql. With pgx it is the same; the
// module's examples/pgx is a whole program.
func ExampleCipher_OpenStructs() {
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
	type Patient struct {
		ID     int64                `rowseal:"rowid"`
		Clinic string               `rowseal:"tenant"`
		SSN    field.Secret[string] `rowseal:"seal"`
	}
	table, err := field.TableOf(Patient{}, field.StructConfig{Table: "patients"})
	if err != nil {
		log.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if _, err := db.Exec("create table patients (id integer primary key, clinic text, ssn blob)"); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	ann := Patient{ID: 1, Clinic: "north", SSN: field.SecretOf("900-12-3456")}
	row, err := cipher.SealStruct(ctx, table, ann)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "insert into patients (id, clinic, ssn) values (?, ?, ?)", row.Args("id", "clinic", "ssn")...); err != nil {
		log.Fatal(err)
	}

	rows, err := db.QueryContext(ctx, "select id, clinic, ssn from patients")
	if err != nil {
		log.Fatal(err)
	}
	var patients []Patient
	if err := cipher.OpenStructs(ctx, table, &patients, rows); err != nil {
		log.Fatal(err)
	}
	fmt.Println(patients[0].Clinic, patients[0].SSN.V, "printed:", patients[0].SSN)

	_, err = db.ExecContext(ctx, "update patients set ssn = ?", ann.SSN) // forgot to seal
	fmt.Println(err)
	// Output:
	// north 900-12-3456 printed: sealed
	// sql: converting argument $1 type: a field.Secret is not sealed; write it with Cipher.SealStruct and read it with Cipher.OpenStruct
}
