package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/sqlproxy"
)

// folk is the table that jobs are killed over.
type folk struct {
	ID     int    `gorm:"primaryKey;autoIncrement:false"`
	Tenant string `rowseal:"tenant"`
	Name   string `gorm:"serializer:rowseal;type:bytes" rowseal:"key=row"`
	Memo   string `gorm:"serializer:rowseal;type:bytes" rowseal:"key=row,wrap=kms"`
	SSN    string `gorm:"column:ssn;serializer:rowseal;type:bytes;index" rowseal:"search=equality"`
	Mail   string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality,scope=global,domain=mail"`
}

func (folk) TableName() string { return "folk" }

// values are those of the sealed columns, in the policy's order.
func (f *folk) values() []string { return []string{f.Name, f.Memo, f.SSN, f.Mail} }

const folkPolicy = `
tables:
  folk:
    tenant: {column: tenant}
    columns:
      name: {type: text, key: row}
      memo: {type: text, key: row, wrap: kms}
      ssn:  {type: text, search: [equality]}
      mail: {type: text, search: [equality], scope: global, domain: mail}
`

// A table is walked in some ten pages.
const (
	crashRows  = 240
	crashPage  = 25
	crashSpare = 4 // rows that are there at times
)

var folkTenants = []string{"t0", "t1", "t2"}

// kept is a row as its last writer left it.
type kept struct {
	mu    sync.Mutex
	row   folk
	there bool
}

// application writes and reads folk, through GORM and through the proxy, each with keys of its own, as two programs
// would. It knows what each row's last writer gave, since one writes a row at a time.
type application struct {
	t       testing.TB
	gorm    *gorm.DB
	proxy   string // connection string
	keys    []interface{ Forget() }
	rows    []*kept
	written atomic.Int64
	serial  atomic.Int64

	stop chan struct{}
	done sync.WaitGroup
	// inserted and deleted are rows since the application went on last.
	inserted, deleted atomic.Int64
}

// newApplication makes the table and fills it.
func newApplication(t testing.TB, dsn, keyFile string) *application {
	t.Helper()
	a := &application{t: t}
	behindGORM, err := openHand(dsn, keyFile, folkPolicy, bare)
	must(t, err)
	behindProxy, err := openHand(dsn, keyFile, folkPolicy, bare)
	must(t, err)
	t.Cleanup(func() { _, _ = behindGORM.db.Close(), behindProxy.db.Close() })
	a.keys = append(a.keys, behindGORM.ring, behindProxy.ring)
	a.gorm, err = gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	must(t, err)
	t.Cleanup(func() {
		if conn, err := a.gorm.DB(); err == nil {
			_ = conn.Close()
		}
	})
	plugin := gormplugin.New(behindGORM.cfg.Cipher)
	plugin.Models = []any{&folk{}}
	must(t, a.gorm.Use(plugin))
	must(t, a.gorm.AutoMigrate(&folk{}))
	a.proxy = withHost(t, dsn, startProxy(t, sqlproxy.Config{
		Upstream: sqlproxy.Upstream{Address: hostOf(t, dsn), Mode: sqlproxy.Disable},
		Policy:   behindProxy.file.Policy, Cipher: behindProxy.cfg.Cipher,
	}))
	for id := range crashRows + crashSpare {
		a.rows = append(a.rows, &kept{row: a.fresh(id + 1), there: id < crashRows})
	}
	first := make([]folk, crashRows)
	for i := range first {
		first[i] = a.rows[i].row
	}
	must(t, a.gorm.Create(&first).Error)
	return a
}

// of is the row of an id, which begin with 1; nil for none.
func (a *application) of(id int) *kept {
	if id < 1 || id > len(a.rows) {
		return nil
	}
	return a.rows[id-1]
}

// fresh is a row that nobody wrote before.
func (a *application) fresh(id int) folk {
	n := a.serial.Add(1)
	text := func(what string) string { return fmt.Sprintf("canary-%s-%d-%d", what, id, n) }
	return folk{ID: id, Tenant: folkTenants[id%len(folkTenants)], Name: text("name"), Memo: text("memo"), SSN: text("ssn"), Mail: text("mail")}
}

// forget drops all keys, as the cache's TTL and the key store's word to those who listen do.
func (a *application) forget() {
	for _, k := range a.keys {
		k.Forget()
	}
}

// goOn lets the application work until pause.
func (a *application) goOn(seed uint64) {
	a.stop = make(chan struct{})
	a.inserted.Store(0)
	a.deleted.Store(0)
	for i, use := range []func(context.Context) (writer, func(), error){a.byGORM, a.byProxy} {
		a.done.Go(func() {
			ctx := context.WithoutCancel(a.t.Context())
			w, end, err := use(ctx)
			if err != nil {
				a.t.Errorf("the application: %v", err)
				return
			}
			defer end()
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for {
				select {
				case <-a.stop:
					return
				default:
				}
				if err := a.turn(ctx, w, r); err != nil {
					a.t.Errorf("the application, with %T: %v", w, err)
					return
				}
			}
		})
	}
}

func (a *application) pause() {
	close(a.stop)
	a.done.Wait()
}

// writer is one of the application's two ways to the table.
type writer interface {
	insert(ctx context.Context, row folk) error
	update(ctx context.Context, row folk) error
	remove(ctx context.Context, row folk) error
	// read reads a row by its id, and again by its search term.
	read(ctx context.Context, row folk) ([]folk, error)
}

// turn writes a row and reads it, or reads one alone. Rows come and go a few times in each round, no more, so that the
// journal's count of rows has narrow bounds.
func (a *application) turn(ctx context.Context, w writer, r *rand.Rand) error {
	id := 1 + r.IntN(len(a.rows))
	k := a.of(id)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !k.there:
		if a.inserted.Add(1) > crashSpare {
			return nil
		}
		k.row, k.there = a.fresh(id), true
		if err := w.insert(ctx, k.row); err != nil {
			return fmt.Errorf("inserting row %d: %w", id, err)
		}
	case id%40 == 7 && a.deleted.Add(1) <= crashSpare:
		k.there = false
		return w.remove(ctx, k.row)
	case r.IntN(4) > 0:
		next := a.fresh(id)
		if r.IntN(2) == 0 { // some columns stay
			next.Memo, next.SSN = k.row.Memo, k.row.SSN
		}
		k.row = next
		if err := w.update(ctx, next); err != nil {
			return fmt.Errorf("updating row %d: %w", id, err)
		}
		a.written.Add(1)
	}
	got, err := w.read(ctx, k.row)
	if err != nil {
		return fmt.Errorf("reading row %d: %w", id, err)
	}
	for _, f := range got {
		if f != k.row {
			return fmt.Errorf("row %d reads %v, its last writer gave %v", id, f, k.row)
		}
	}
	if len(got) != 2 {
		return fmt.Errorf("row %d: found %d times of 2", id, len(got))
	}
	return nil
}

func (a *application) byGORM(ctx context.Context) (writer, func(), error) {
	return gormWriter{a.gorm.WithContext(ctx)}, func() {}, nil
}

type gormWriter struct{ db *gorm.DB }

func (w gormWriter) insert(_ context.Context, row folk) error { return w.db.Create(&row).Error }

func (w gormWriter) update(_ context.Context, row folk) error {
	return changedOne(w.db.Model(&folk{ID: row.ID, Tenant: row.Tenant}).Updates(&row))
}

func (w gormWriter) remove(_ context.Context, row folk) error {
	return changedOne(w.db.Delete(&folk{ID: row.ID}))
}

func changedOne(db *gorm.DB) error {
	if db.Error == nil && db.RowsAffected != 1 {
		return fmt.Errorf("%d rows were changed", db.RowsAffected)
	}
	return db.Error
}

func (w gormWriter) read(_ context.Context, row folk) (found []folk, err error) {
	var byID, byTerm []folk
	err = errors.Join(w.db.Find(&byID, row.ID).Error, w.db.Where(&folk{Tenant: row.Tenant, SSN: row.SSN}).Find(&byTerm).Error)
	return append(byID, byTerm...), err
}

func (a *application) byProxy(ctx context.Context) (writer, func(), error) {
	conn, err := pgconn.Connect(ctx, a.proxy)
	if err != nil {
		return nil, nil, err
	}
	return proxyWriter{conn}, func() { _ = conn.Close(ctx) }, nil
}

type proxyWriter struct{ conn *pgconn.PgConn }

func (w proxyWriter) exec(ctx context.Context, query string, args ...string) error {
	r := w.query(ctx, query, args...)
	if r.Err == nil && r.CommandTag.RowsAffected() != 1 {
		return fmt.Errorf("%v", r.CommandTag)
	}
	return r.Err
}

func (w proxyWriter) query(ctx context.Context, query string, args ...string) *pgconn.Result {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	return w.conn.ExecParams(ctx, query, params, nil, nil, nil).Read()
}

func (w proxyWriter) insert(ctx context.Context, r folk) error {
	return w.exec(ctx, "INSERT INTO folk (id, tenant, name, memo, ssn, mail) VALUES ($1, $2, $3, $4, $5, $6)",
		fmt.Sprint(r.ID), r.Tenant, r.Name, r.Memo, r.SSN, r.Mail)
}

func (w proxyWriter) update(ctx context.Context, r folk) error {
	return w.exec(ctx, "UPDATE folk SET name = $3, memo = $4, ssn = $5, mail = $6 WHERE id = $1 AND tenant = $2",
		fmt.Sprint(r.ID), r.Tenant, r.Name, r.Memo, r.SSN, r.Mail)
}

func (w proxyWriter) remove(ctx context.Context, r folk) error {
	return w.exec(ctx, "DELETE FROM folk WHERE id = $1", fmt.Sprint(r.ID))
}

func (w proxyWriter) read(ctx context.Context, row folk) (found []folk, err error) {
	const columns = "SELECT id, tenant, name, memo, ssn, mail FROM folk WHERE "
	for _, r := range []*pgconn.Result{
		w.query(ctx, columns+"id = $1", fmt.Sprint(row.ID)),
		w.query(ctx, columns+"tenant = $1 AND ssn = $2", row.Tenant, row.SSN),
	} {
		if r.Err != nil {
			return nil, r.Err
		}
		for _, v := range r.Rows {
			f := folk{Tenant: string(v[1]), Name: string(v[2]), Memo: string(v[3]), SSN: string(v[4]), Mail: string(v[5])}
			if _, err := fmt.Sscan(string(v[0]), &f.ID); err != nil {
				return nil, err
			}
			found = append(found, f)
		}
	}
	return found, nil
}
