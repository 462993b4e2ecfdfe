package rotate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// A verify of a table with one good value and one that somebody wrote past the application.
func ExampleRun_verify() {
	ctx := context.Background()
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	check(err)
	cipher, err := field.New(field.Config{Keyring: ring})
	check(err)
	text, err := codec.ParseType("text")
	check(err)
	people, err := field.NewTable(field.TableConfig{
		Name: "people", Tenant: field.TenantSource{Default: "acme"},
		Columns: []field.ColumnConfig{{Name: "name", Type: text, Mode: envelope.ModeRow}},
	})
	check(err)

	db, err := sql.Open("sqlite", "file:verify?mode=memory&cache=shared")
	check(err)
	defer db.Close()
	sealed, err := cipher.Seal(ctx, nil, people.Column("name"), field.Row{}, "Ann")
	check(err)
	_, err = db.Exec("CREATE TABLE people (id integer PRIMARY KEY, name blob)")
	check(err)
	_, err = db.Exec("INSERT INTO people VALUES (1, ?), (2, ?)", sealed, []byte("Bob"))
	check(err)

	result, err := rotate.Run(ctx,
		rotate.Config{DB: db, Dialect: rotate.SQLite, Keyring: ring, Cipher: cipher},
		rotate.Job{Kind: rotate.Verify, Table: people})
	fmt.Println(errors.Is(err, rotate.ErrFindings), result.Counts["values"])
	for _, f := range result.Findings {
		fmt.Println(f.Kind, f.Column, f.Row)
	}
	// Output:
	// true 2
	// unsealed name id=2
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
