package integration

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// envSakila names the folder with the sample database's schema.sql and data.sql.
const envSakila = "ROWSEAL_SAKILA"

// customer is sakila's customer with its personal columns sealed. The store
// is the tenant.
type customer struct {
	CustomerID int     `gorm:"primaryKey;autoIncrement:false"`
	StoreID    int     `rowseal:"tenant"`
	FirstName  string  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(45),key=row"`
	LastName   string  `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(45),key=row"`
	Email      *string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(50)"`
	AddressID  int
}

func (customer) TableName() string { return "sealed_customer" }

// address is sakila's address with its phone sealed; the context says whose.
type address struct {
	AddressID int `gorm:"primaryKey;autoIncrement:false"`
	District  string
	Phone     string `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(20)"`
}

func (address) TableName() string { return "sealed_address" }

func TestTheSakilaDatabaseIsSealedAndOpensToWhatItWas(t *testing.T) {
	dir := os.Getenv(envSakila)
	if dir == "" {
		t.Skipf("%s is not set; it names the folder with schema.sql and data.sql of the sakila sample database", envSakila)
	}
	ctx := field.WithTenant(t.Context(), "sakila")
	dsn := testpg.DSN(t)
	conn := load(t, dsn, dir)
	customers, addresses := originals(t, conn)
	if len(customers) != 599 || len(addresses) != 603 {
		t.Fatalf("%d customers and %d addresses; the sample database has 599 and 603", len(customers), len(addresses))
	}

	db := openSealed(t, dsn)
	must(t, db.CreateInBatches(clone(customers), 100).Error)
	must(t, db.WithContext(ctx).CreateInBatches(clone(addresses), 100).Error)

	compareCustomers(t, db, customers)
	compareAddresses(t, db.WithContext(ctx), addresses)
	nothingReadable(t, conn, customers)
	overlong(t, db)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clone keeps the originals out of GORM's hands.
func clone[T any](list []T) []T { return append([]T(nil), list...) }

// ownerOfTheDump makes the role that the dump names as its owner, which other servers may not have.
const ownerOfTheDump = `DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') THEN CREATE ROLE postgres; END IF;
END $$`

func load(t *testing.T, dsn, dir string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(context.Background())) })
	_, err = conn.Exec(t.Context(), ownerOfTheDump)
	must(t, err)
	for _, name := range []string{"schema.sql", "data.sql"} {
		script, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		must(t, runScript(t.Context(), conn, string(script)))
	}
	return conn
}

func originals(t *testing.T, conn *pgx.Conn) (customers []customer, addresses []address) {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT customer_id, store_id, first_name, last_name, email, address_id FROM public.customer ORDER BY customer_id")
	must(t, err)
	customers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[customer])
	must(t, err)
	rows, err = conn.Query(t.Context(), "SELECT address_id, district, phone FROM public.address ORDER BY address_id")
	must(t, err)
	addresses, err = pgx.CollectRows(rows, pgx.RowToStructByPos[address])
	must(t, err)
	return customers, addresses
}

// openSealed opens the database through the plugin, with tenant keys of its
// own in the same database.
func openSealed(t *testing.T, dsn string) *gorm.DB {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	must(t, store.Init(t.Context()))
	ring, err := keyring.New(keyring.Config{Namespace: "sakila", Roots: []kms.KMS{localkms.Memory()}, Store: store})
	must(t, err)
	cipher, err := field.New(field.Config{Keyring: ring})
	must(t, err)
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	must(t, err)
	pool, err := db.DB()
	must(t, err)
	t.Cleanup(func() { must(t, pool.Close()) })
	must(t, db.Use(gormplugin.New(cipher)))
	must(t, db.AutoMigrate(&customer{}, &address{}))
	return db
}

func compareCustomers(t *testing.T, db *gorm.DB, want []customer) {
	t.Helper()
	var got []customer
	must(t, db.Order("customer_id").Find(&got).Error)
	if len(got) != len(want) {
		t.Fatalf("%d customers, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.CustomerID != w.CustomerID || g.FirstName != w.FirstName || g.LastName != w.LastName ||
			(g.Email == nil) != (w.Email == nil) || g.Email != nil && *g.Email != *w.Email {
			t.Fatalf("customer %d does not open to what it was", w.CustomerID)
		}
	}
}

func compareAddresses(t *testing.T, db *gorm.DB, want []address) {
	t.Helper()
	var got []address
	must(t, db.Order("address_id").Find(&got).Error)
	if len(got) != len(want) {
		t.Fatalf("%d addresses, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("address %d does not open to what it was", want[i].AddressID)
		}
	}
}

// nothingReadable looks for first names in everything that is stored sealed.
// Names of 4 letters and fewer would be found by chance.
func nothingReadable(t *testing.T, conn *pgx.Conn, customers []customer) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT first_name || last_name || coalesce(email, '') FROM sealed_customer
		UNION ALL SELECT phone FROM sealed_address`)
	must(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	must(t, err)
	all := bytes.Join(values, nil)
	if len(values) != 599+603 || len(all) < 599*300 {
		t.Fatalf("%d rows with %d bytes are too few to be all", len(values), len(all))
	}
	names := 0
	for _, c := range customers {
		if len(c.FirstName) < 5 {
			continue
		}
		names++
		if bytes.Contains(all, []byte(c.FirstName)) {
			t.Errorf("the first name of customer %d stands readable in the sealed columns", c.CustomerID)
		}
	}
	if names < 300 {
		t.Fatalf("only %d names were looked for", names)
	}
}

// overlong: type modifiers act on sealed columns as on plain ones.
func overlong(t *testing.T, db *gorm.DB) {
	t.Helper()
	long := customer{CustomerID: 10_000, StoreID: 1, FirstName: string(bytes.Repeat([]byte("x"), 46)), LastName: "y"}
	if err := db.Create(&long).Error; err == nil {
		t.Fatal("a first name of 46 characters was taken for a varchar(45)")
	}
}
