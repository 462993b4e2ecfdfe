// The pgx example seals columns of a plain struct, without an ORM.
//
//	DATABASE_URL=postgres://… go run ./examples/pgx
//
// It makes the table patients and the schema rowseal there, and the file root.key in the working directory.
//
// Three steps make it safe:
//
//  1. The struct says which columns are sealed. [field.TableOf] reads its tags. A field of type
//     [field.Secret] cannot be sent to a database, or read from it, in any other way than the next two.
//  2. Writing goes through [field.Cipher.SealStruct], or SealStructs for many rows. It leaves the struct
//     alone and gives the statement's arguments, by name or in the order of the columns you list.
//  3. Reading goes through [field.Cipher.OpenStructs], in place of pgx.CollectRows. It reads all rows,
//     fetches the keys of all of them at once, and checks that each value belongs to its row.
//
// The CHECK constraints are the database's own guard: it takes nothing in a sealed column that Rowseal did
// not seal for it, whatever program writes there.
//
// The keys stand, wrapped, in the same database; the root key that wraps them is the file root.key. In
// production it is in a KMS (package awskms).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// Patient has two sealed fields. Each clinic is a tenant with a key of its own; every value is bound to its
// clinic and to the patient's ID.
type Patient struct {
	ID     int64                `rowseal:"rowid"`
	Clinic string               `rowseal:"tenant"`
	Name   string               `rowseal:"type=varchar(45)"`
	SSN    field.Secret[string] `db:"ssn" rowseal:"seal"`
	Room   *int
}

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), "root.key", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, key string, out io.Writer) error {
	if url == "" {
		return errors.New("set DATABASE_URL to the connection string of a PostgreSQL, postgres://user@host/database")
	}
	store, err := sqlstore.Open(ctx, url) // with a pool of its own
	if err != nil {
		return err
	}
	defer store.Close()
	cipher, err := newCipher(ctx, store, key)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	table, err := field.TableOf(Patient{}, field.StructConfig{Table: "patients"})
	if err != nil {
		return err
	}
	if err := create(ctx, conn, table); err != nil {
		return err
	}
	if err := write(ctx, conn, cipher, table); err != nil {
		return err
	}
	return read(ctx, conn, cipher, table, out)
}

func newCipher(ctx context.Context, store *sqlstore.Store, key string) (*field.Cipher, error) {
	root, err := localkms.OpenOrCreate(key)
	if err != nil {
		return nil, err
	}
	if err := store.Init(ctx); err != nil {
		return nil, err
	}
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: store})
	if err != nil {
		return nil, err
	}
	return field.New(field.Config{Keyring: ring})
}

// create makes the table: a sealed column is a bytea whose values begin as Rowseal's for that column do.
func create(ctx context.Context, conn *pgx.Conn, table *field.Table) error {
	guard := func(column string) string {
		begin := table.Column(column).Guard()
		return fmt.Sprintf(`bytea CHECK (octet_length(%[1]s) >= 56 AND substr(%[1]s, 1, %[2]d) = '\x%[3]x')`, column, len(begin), begin)
	}
	_, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS patients (id bigint PRIMARY KEY, clinic text NOT NULL, room int,
		name `+guard("name")+`, ssn `+guard("ssn")+`)`)
	return err
}

func write(ctx context.Context, conn *pgx.Conn, cipher *field.Cipher, table *field.Table) error {
	room := 7
	ann := Patient{ID: 1, Clinic: "north", Name: "Ann Example", SSN: field.SecretOf("900-12-3456"), Room: &room}
	row, err := cipher.SealStruct(ctx, table, ann)
	if err != nil {
		return err
	}
	// Arguments by name. Passing ann.SSN itself would be an error.
	if _, err := conn.Exec(ctx, `INSERT INTO patients (id, clinic, name, ssn, room) VALUES (@id, @clinic, @name, @ssn, @room)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, ssn = excluded.ssn`, pgx.StrictNamedArgs(row.Map())); err != nil {
		return err
	}
	return writeMany(ctx, conn, cipher, table, []Patient{
		{ID: 2, Clinic: "north", Name: "Ben Example", SSN: field.SecretOf("900-12-7890")},
		{ID: 3, Clinic: "south", Name: "Cleo Example", SSN: field.SecretOf("900-34-0001")},
	})
}

// writeMany copies a page of rows, whose keys are fetched at once.
func writeMany(ctx context.Context, conn *pgx.Conn, cipher *field.Cipher, table *field.Table, patients []Patient) error {
	if _, err := conn.Exec(ctx, "DELETE FROM patients WHERE id > 1"); err != nil {
		return err
	}
	rows, err := cipher.SealStructs(ctx, table, patients)
	if err != nil {
		return err
	}
	columns := []string{"id", "clinic", "name", "ssn", "room"}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"patients"}, columns,
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) { return rows[i].Args(columns...), nil }))
	return err
}

func read(ctx context.Context, conn *pgx.Conn, cipher *field.Cipher, table *field.Table, out io.Writer) error {
	var patients []Patient
	rows, _ := conn.Query(ctx, "SELECT id, clinic, name, ssn, room FROM patients ORDER BY id") // OpenStructs gives its error
	if err := cipher.OpenStructs(ctx, table, &patients, rows); err != nil {
		return err
	}
	for _, p := range patients {
		fmt.Fprintf(out, "%d %s: %s, %s\n", p.ID, p.Clinic, p.Name, p.SSN.V)
	}
	var stored string
	if err := conn.QueryRow(ctx, "SELECT encode(substr(ssn, 1, 8), 'hex') FROM patients WHERE id = 1").Scan(&stored); err != nil {
		return err
	}
	fmt.Fprintf(out, "the database has: %s…\n", stored)
	return nil
}
