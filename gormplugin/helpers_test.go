package gormplugin_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// Plaintexts that must be nowhere but in the application. Their common part is
// what the tests look for.
const canary = "canary"

// person has values of several types and both key modes, and no tenant.
type person struct {
	ID        uint
	Name      string    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	SSN       *string   `gorm:"serializer:rowseal;type:bytes" rowseal:"type=varchar(40)"`
	Birthday  time.Time `gorm:"serializer:rowseal;type:bytes" rowseal:"type=date"`
	Notes     notes     `gorm:"serializer:rowseal;type:bytes" rowseal:"type=jsonb,key=row"`
	Secret    []byte    `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	City      string
	Photo     []byte
	UpdatedAt time.Time
}

func (person) TableName() string { return "people" }

type notes struct {
	Text string   `json:"text"`
	Tags []string `json:"tags"`
}

// member has a tenant.
type member struct {
	ID    uint
	OrgID string `gorm:"size:40" rowseal:"tenant"`
	Email string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Phone string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Role  string
}

// ticket's values are bound to its rows.
type ticket struct {
	PublicID string `gorm:"primaryKey;size:40" rowseal:"rowid"`
	OrgID    int64  `rowseal:"tenant"`
	Body     string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Answer   string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	State    string
}

func models() []any { return []any{&person{}, &member{}, &ticket{}} }

// lab is a database with the plugin and eyes on everything that leaves it.
type lab struct {
	*gorm.DB
	kind   string
	cipher *field.Cipher
	store  *keyringtest.Store
	root   kms.KMS
	dial   func() gorm.Dialector
	plugin *gormplugin.Plugin
	log    *capture
	stock  *gorm.DB // the same database without the plugin
}

func newCipher(t testing.TB) (*field.Cipher, *keyringtest.Store, kms.KMS) {
	t.Helper()
	store, root := &keyringtest.Store{}, localkms.Memory()
	ring, err := keyring.New(keyring.Config{Namespace: "test", Roots: []kms.KMS{root}, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	return cipher, store, root
}

func dialector(t testing.TB, kind string) func() gorm.Dialector {
	t.Helper()
	switch kind {
	case "postgres":
		dsn := testpg.DSN(t)
		return func() gorm.Dialector { return postgres.Open(dsn) }
	case "mysql":
		dsn := testmysql.DSN(t, "parseTime=true", "clientFoundRows=true")
		return func() gorm.Dialector { return mysql.Open(dsn) }
	}
	path := filepath.Join(t.TempDir(), "test.db")
	return func() gorm.Dialector { return sqlite.Open(path + "?_pragma=busy_timeout(5000)") }
}

func open(t testing.TB, d gorm.Dialector, cfg *gorm.Config) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return db
}

func newLab(t testing.TB, kind string, change ...func(*gorm.Config)) *lab {
	t.Helper()
	dial := dialector(t, kind)
	l := &lab{kind: kind, log: &capture{}}
	l.cipher, l.store, l.root = newCipher(t)
	l.dial = dial
	cfg := &gorm.Config{Logger: l.log}
	for _, f := range change {
		f(cfg)
	}
	l.DB = open(t, dial(), cfg)
	l.plugin = gormplugin.New(l.cipher)
	l.plugin.Models = models()
	must(t, l.Use(l.plugin))
	l.stock = open(t, dial(), &gorm.Config{Logger: logger.Discard})
	must(t, l.AutoMigrate(models()...))
	return l
}

// withoutGuards makes the tables anew as a program without the plugin would, so
// that a test can put other bytes into sealed columns.
func (l *lab) withoutGuards(t testing.TB) {
	t.Helper()
	must(t, l.stock.Migrator().DropTable(models()...))
	must(t, l.stock.AutoMigrate(models()...))
}

// databases runs a test on each database.
func databases(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	for _, kind := range []string{"sqlite", "postgres", "mysql"} {
		t.Run(kind, func(t *testing.T) { test(t, newLab(t, kind)) })
	}
}

// expressive runs a test on each database that has indexes over expressions,
// and statements on schemas that a transaction takes back.
func expressive(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) { test(t, newLab(t, kind)) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

func newPerson(n int) person {
	return person{
		Name: fmt.Sprintf("%s name %d", canary, n), SSN: ptr(fmt.Sprintf("%s ssn %d", canary, n)),
		Birthday: time.Date(1990, 1, 1+n%28, 0, 0, 0, 0, time.UTC),
		Notes:    notes{Text: canary + " note", Tags: []string{"a", canary}},
		Secret:   []byte(canary + " bytes"), City: fmt.Sprintf("city %d", n), Photo: []byte{0xff, 0, byte(n)},
	}
}

// capture is a GORM logger that keeps every statement as it would be printed.
type capture struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *capture) LogMode(logger.LogLevel) logger.Interface    { return c }
func (c *capture) Info(_ context.Context, s string, v ...any)  { c.add(fmt.Sprintf(s, v...)) }
func (c *capture) Warn(_ context.Context, s string, v ...any)  { c.add(fmt.Sprintf(s, v...)) }
func (c *capture) Error(_ context.Context, s string, v ...any) { c.add(fmt.Sprintf(s, v...)) }
func (c *capture) Trace(_ context.Context, _ time.Time, f func() (string, int64), err error) {
	text, _ := f()
	c.add(fmt.Sprint(text, " ", err))
}

func (c *capture) add(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(s + "\n")
}

func (c *capture) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Reset()
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// dump returns every value of a table as the database has it.
func (l *lab) dump(t testing.TB, table string) []byte {
	t.Helper()
	rows, err := l.stock.Raw("SELECT * FROM " + table).Rows()
	must(t, err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	must(t, err)
	var out bytes.Buffer
	for rows.Next() {
		cells := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		must(t, rows.Scan(into...))
		for _, c := range cells {
			out.Write(c)
			out.WriteByte('\n')
		}
	}
	must(t, rows.Err())
	return out.Bytes()
}

// mustHideCanaries fails where a plaintext got out.
func (l *lab) mustHideCanaries(t testing.TB) {
	t.Helper()
	for _, table := range []string{"people", "members", "tickets"} {
		if bytes.Contains(l.dump(t, table), []byte(canary)) {
			t.Errorf("table %s holds a plaintext", table)
		}
	}
	if text := l.log.String(); strings.Contains(text, canary) {
		t.Errorf("the log shows a plaintext: %s", around(text))
	}
}

func around(text string) string {
	at := strings.Index(text, canary)
	return text[max(0, at-300):min(len(text), at+100)]
}

// coldCipher returns a cipher over the lab's keys that holds none of them yet.
func coldCipher(t testing.TB, l *lab) *field.Cipher {
	t.Helper()
	ring, err := keyring.New(keyring.Config{Namespace: "test", Roots: []kms.KMS{l.root}, Store: l.store})
	must(t, err)
	cipher, err := field.New(field.Config{Keyring: ring})
	must(t, err)
	return cipher
}

// deref returns what p points at, or nil.
func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}
