package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
)

// column is a sealed text column with a tenant key.
func column(t testing.TB) *field.Column {
	t.Helper()
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{Name: "users", Columns: []field.ColumnConfig{{Name: "ssn", Type: text}}})
	if err != nil {
		t.Fatal(err)
	}
	return table.Column("ssn")
}

func newKeyring(t testing.TB, cfg keyring.Config) (*keyring.Keyring, *field.Cipher) {
	t.Helper()
	k, err := keyring.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := field.New(field.Config{Keyring: k})
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 100,000 tenants through a cache of 10,000 entries, twice: the second time
// must need no more memory than the first.
func BenchmarkHundredThousandTenants(b *testing.B) {
	const tenants, entries = 100_000, 10_000
	for b.Loop() {
		k, c := newKeyring(b, keyring.Config{
			Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}, Entries: entries, Intermediate: true,
		})
		col := column(b)
		round := func() (most int) {
			for i := range tenants {
				row := field.Row{Tenant: fmt.Sprint("tenant", i)}
				sealed, err := c.Seal(b.Context(), nil, col, row, "x")
				if err == nil {
					_, err = c.OpenBytes(b.Context(), nil, col, row, sealed)
				}
				if err != nil {
					b.Fatal(err)
				}
				most = max(most, int(k.Stats().TenantKeys.Entries))
			}
			return most
		}
		first := round()
		before := heap()
		second := round()
		after := heap()
		if max(first, second) > entries {
			b.Fatalf("%d entries held, bound %d", max(first, second), entries)
		}
		b.ReportMetric(float64(max(first, second)), "entries-at-most")
		b.ReportMetric(float64(before)/(1<<20), "MB-after-round-1")
		b.ReportMetric(float64(after)/(1<<20), "MB-after-round-2")
		runtime.KeepAlive(c)
	}
}

// A warm tenant's seal and open while another tenant's key takes 300 ms to
// load, beside the same without.
func BenchmarkWarmTenantDuringColdLoad(b *testing.B) {
	counted := kmscount.New(localkms.Memory())
	_, c := newKeyring(b, keyring.Config{Roots: []kms.KMS{counted}, Store: &keyringtest.Store{}})
	col, warm := column(b), field.Row{Tenant: "warm"}
	work := func() time.Duration {
		start := time.Now()
		const n = 20_000
		for range n {
			sealed, err := c.Seal(b.Context(), nil, col, warm, "x")
			if err == nil {
				_, err = c.OpenBytes(b.Context(), nil, col, warm, sealed)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start) / n
	}
	work()
	counted.Delay = 300 * time.Millisecond
	i := 0
	for b.Loop() {
		i++
		alone := work()
		loading := make(chan error, 1)
		go func() {
			_, err := c.Seal(context.Background(), nil, col, field.Row{Tenant: fmt.Sprint("cold", i)}, "x")
			loading <- err
		}()
		time.Sleep(10 * time.Millisecond)
		during := work()
		select {
		case <-loading:
			b.Fatal("the load was over before the work")
		default:
		}
		if err := <-loading; err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(alone), "alone-ns")
		b.ReportMetric(float64(during), "during-ns")
	}
}

// A million tenants with store keys between: a cold page of 1,000 of them, the
// store's size, and what rotating the root key costs.
func BenchmarkMillionTenants(b *testing.B) {
	const tenants, batch, page = 1_000_000, 10_000, 1000
	path := filepath.Join(b.TempDir(), "keys.db")
	store, err := sqlstore.Open(b.Context(), "sqlite://"+path)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Init(b.Context()); err != nil {
		b.Fatal(err)
	}
	local := localkms.Memory()
	counted := kmscount.New(local)
	cfg := keyring.Config{Roots: []kms.KMS{counted}, Store: store, Intermediate: true}
	k, c := newKeyring(b, cfg)
	name := func(i int) string { return fmt.Sprint("user-", i) }
	start := time.Now()
	for i := 0; i < tenants; i += batch {
		list := make([]string, batch)
		for j := range list {
			list[j] = name(i + j)
		}
		if err := k.Prepare(b.Context(), list...); err != nil {
			b.Fatal(err)
		}
	}
	created, calls := time.Since(start).Seconds(), float64(counted.Total())
	col := column(b)
	rows := make([]field.SealRow, page)
	for i := range rows {
		rows[i] = field.SealRow{Row: field.Row{Tenant: name(i * (tenants / page))}, Values: []any{"x"}}
	}
	if err := c.SealRows(b.Context(), []*field.Column{col}, rows); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		reportColdPage(b, cfg, counted, store, col, rows)
	}
	b.ReportMetric(created, "s-to-create")
	b.ReportMetric(calls, "KMS-calls-to-create")
	reportRootRotation(b, k, local, counted)
	if info, err := os.Stat(path); err == nil {
		b.ReportMetric(float64(info.Size())/(1<<20), "MB-store")
	}
}

// queryCounter counts what a keyring asks its store to open values.
type queryCounter struct {
	keyring.Store
	n int
}

func (q *queryCounter) ByID(ctx context.Context, ids []envelope.KeyID) ([]keyring.Record, error) {
	q.n++
	return q.Store.ByID(ctx, ids)
}

func reportColdPage(b *testing.B, cfg keyring.Config, counted *kmscount.KMS, store *sqlstore.Store, col *field.Column, rows []field.SealRow) {
	b.Helper()
	queries := &queryCounter{Store: store}
	cfg.Store = queries
	_, cold := newKeyring(b, cfg)
	open := make([]field.OpenRow, len(rows))
	for i := range open {
		open[i] = field.OpenRow{Row: rows[i].Row, Sealed: rows[i].Sealed, Into: []any{new(string)}}
	}
	before, start := counted.Calls(), time.Now()
	if err := cold.OpenRows(b.Context(), []*field.Column{col}, open); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-cold-page")
	b.ReportMetric(float64(queries.n), "queries-cold-page")
	b.ReportMetric(float64(counted.Calls().Sub(before).Total()), "KMS-calls-cold-page")
}

func reportRootRotation(b *testing.B, k *keyring.Keyring, local *localkms.KMS, counted *kmscount.KMS) {
	b.Helper()
	if _, err := local.Rotate(b.Context()); err != nil {
		b.Fatal(err)
	}
	before, start := counted.Calls(), time.Now()
	w, err := k.NewRewrapper(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if err := k.Each(b.Context(), keyring.Filter{RootWrapped: true}, func(r keyring.Record) error {
		_, err := w.Record(b.Context(), r)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms-root-rotation")
	b.ReportMetric(float64(counted.Calls().Sub(before).Total()), "KMS-calls-root-rotation")
}
