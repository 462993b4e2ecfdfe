package rotate_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/sqlstore"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/rotate"
)

// What a process with a job may take: memory whatever the table's size, and time for the keys of 10,000 tenants.
const (
	memoryLimit  = 64 // MB
	rootKeyLimit = 10 // seconds
)

// childJob makes a process of this test binary run a job: JSON of a task.
const childJob = "ROTATE_BENCH_JOB"

// TestMain runs a job and nothing else where the environment says so.
func TestMain(m *testing.M) {
	text := os.Getenv(childJob)
	if text == "" {
		os.Exit(m.Run())
	}
	var job task
	err := json.Unmarshal([]byte(text), &job)
	var done figures
	if err == nil {
		done, err = job.run()
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(done)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// task is a job over the table of a store.
type task struct {
	Kind         rotate.Kind
	All          bool
	DSN, KeyFile string
}

// figures are what a process says of its job.
type figures struct {
	Rows, Values int64
	Calls        int64  // of the KMS for keys
	Heap         uint64 // bytes that Go has from the system for it
	Peak         int64  // kB of memory that the process had at most
	Seconds      float64
}

// keys are a key hierarchy in files and the database.
type keys struct {
	root  *localkms.KMS
	calls *kmscount.KMS
	store *sqlstore.Store
	ring  *keyring.Keyring
}

func openKeys(ctx context.Context, dsn, file string) (k keys, err error) {
	if k.root, err = localkms.Open(file); err != nil {
		return k, err
	}
	k.calls = kmscount.New(k.root)
	if k.store, err = sqlstore.Open(ctx, dsn); err != nil {
		return k, err
	}
	k.ring, err = keyring.New(keyring.Config{
		Namespace: "test", Roots: []kms.KMS{k.calls}, Store: k.store, Built: 4500, // as the command does for jobs
	})
	return k, errors.Join(err, k.store.Init(ctx))
}

func (j *task) run() (f figures, err error) {
	debug.SetMemoryLimit(30 << 20) // as the command does for two workers
	ctx := context.Background()
	k, err := openKeys(ctx, j.DSN, j.KeyFile)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, k.store.Close()) }()
	d, err := sql.Open("pgx", j.DSN)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	d.SetMaxIdleConns(4)
	table, err := wholeTable()
	if err != nil {
		return f, err
	}
	cipher, err := field.New(field.Config{Keyring: k.ring})
	if err != nil {
		return f, err
	}
	job := rotate.Job{Kind: j.Kind, Table: table}
	if j.All {
		job.Options = map[string]string{"all": "true"}
	}
	start := time.Now()
	result, err := rotate.Run(ctx, rotate.Config{DB: d, Dialect: rotate.PostgreSQL, Keyring: k.ring, Cipher: cipher, Workers: 2}, job)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	peak, peakErr := peakMemory()
	return figures{
		Rows: result.Counts["rows"], Values: result.Counts["values"], Calls: k.calls.Total() - k.calls.Calls().Current, Heap: m.HeapSys, Peak: peak,
		Seconds: time.Since(start).Seconds(),
	}, errors.Join(err, peakErr)
}

// peakMemory is how many kB this process had at most. What getrusage says of a child begins with what its parent had.
func peakMemory() (kB int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	_, err = fmt.Sscanf(rest, "%d kB", &kB)
	return kB, err
}

// wholeTable has a column of each key mode.
func wholeTable() (*field.Table, error) {
	text, err := codec.ParseType("text")
	if err != nil {
		return nil, err
	}
	return field.NewTable(field.TableConfig{Name: "bench", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{
		{Name: "name", Type: text, Mode: envelope.ModeRow},
		{Name: "ssn", Type: text},
		{Name: "memo", Type: text, Mode: envelope.ModeKMS, Reuse: envelope.Reuse{Values: 100, Age: time.Hour}},
	}})
}

// BenchmarkProcess runs jobs over the rows of a table (ROWS of them) with a column of each key mode, each in a
// process of its own, and reports the most memory that it had, the KMS calls that it made beside the wrapped keys that there were,
// rows a second and bytes of WAL.
func BenchmarkProcess(b *testing.B) {
	n := benchRows(b)
	dsn, file := testpg.DSN(b), filepath.Join(b.TempDir(), "root.key")
	must(b, localkms.Create(file))
	k, err := openKeys(b.Context(), dsn, file)
	must(b, err)
	b.Cleanup(func() { must(b, k.store.Close()) })
	pool, err := sql.Open("pgx", dsn)
	must(b, err)
	b.Cleanup(func() { must(b, pool.Close()) })
	d := db{pool, rotate.PostgreSQL, "bytea"}
	table, err := wholeTable()
	must(b, err)
	d.exec(b, "CREATE TABLE bench (id bigint PRIMARY KEY, tenant text NOT NULL, name bytea, ssn bytea, memo bytea) WITH (fillfactor = 50)")
	load(b, d, k.ring, table, n, 1000)
	for _, j := range []task{{Kind: rotate.Rewrap}, {Kind: rotate.Reseal, All: true}, {Kind: rotate.Verify}} {
		b.Run(string(j.Kind), func(b *testing.B) {
			for b.Loop() {
				if j.Kind == rotate.Rewrap {
					k.rotateAll(b)
				}
				before := k.wrappedKeys(b, d)
				j.DSN, j.KeyFile = dsn, file
				done, wal := j.spawn(b, d)
				if done.Rows != int64(n) {
					b.Fatalf("%d of %d rows", done.Rows, n)
				}
				most := before
				if j.Kind == rotate.Reseal { // which wraps anew what it seals
					most += k.wrappedKeys(b, d)
				}
				b.ReportMetric(float64(n)/done.Seconds, "rows/s")
				b.ReportMetric(float64(wal)/float64(n), "wal-B/row")
				b.ReportMetric(float64(done.Peak)/1024, "peak-MB")
				b.ReportMetric(float64(done.Heap)/(1<<20), "heap-MB")
				b.ReportMetric(memoryLimit, "limit-MB")
				b.ReportMetric(float64(done.Calls), "kms-calls")
				b.ReportMetric(float64(most), "kms-limit")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// spawn runs the job in a process, and says how much WAL was written.
func (j *task) spawn(b *testing.B, d db) (done figures, wal int64) {
	b.Helper()
	text, err := json.Marshal(j)
	must(b, err)
	var before string
	must(b, d.QueryRow("SELECT pg_current_wal_insert_lsn()::text").Scan(&before))
	c := exec.CommandContext(b.Context(), os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), childJob+"="+string(text)), os.Stderr
	out, err := c.Output()
	must(b, err)
	must(b, json.Unmarshal(out, &done))
	must(b, d.QueryRow("SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint", before).Scan(&wal))
	return done, wal
}

// rotateAll gives the root key and all tenants a new version, and rewraps the store.
func (k *keys) rotateAll(b *testing.B) {
	b.Helper()
	_, err := k.root.Rotate(b.Context())
	must(b, err)
	_, err = rotate.RewrapKeys(b.Context(), rotate.KeysConfig{Keyring: k.ring})
	must(b, err)
	must(b, k.ring.Each(b.Context(), keyring.Filter{Purpose: keyring.PurposeTenant}, func(r keyring.Record) error {
		if r.State != keyring.Active {
			return nil
		}
		_, err := k.ring.Rotate(b.Context(), r.Purpose, r.Tenant, "bench", "due")
		return err
	}))
}

// wrappedKeys counts the distinct keys that only the KMS unwraps: those of the store, and those in values of memo.
func (k *keys) wrappedKeys(b *testing.B, d db) (n int64) {
	b.Helper()
	must(b, k.ring.Each(b.Context(), keyring.Filter{}, func(keyring.Record) error {
		n++
		return nil
	}))
	rows, err := d.Query("SELECT memo FROM bench")
	must(b, err)
	defer rows.Close()
	seen := map[string]bool{}
	for rows.Next() {
		var raw []byte
		must(b, rows.Scan(&raw))
		v, err := envelope.Parse(raw)
		must(b, err)
		seen[string(v.Wrapped())] = true
	}
	must(b, rows.Err())
	return n + int64(len(seen))
}

// load fills the table bench, whose columns behind id and tenant are those of table.
func load(b *testing.B, d db, ring *keyring.Keyring, table *field.Table, n, tenants int) {
	b.Helper()
	c, err := field.New(field.Config{Keyring: ring})
	must(b, err)
	names := []string{"id", "tenant"}
	for _, col := range table.Columns() {
		names = append(names, col.Name())
	}
	const chunk = 5000
	for from := 0; from < n; from += chunk {
		rows := make([]field.SealRow, min(chunk, n-from))
		data := make([][]any, len(rows))
		for i := range rows {
			id := from + i
			rows[i].Tenant = fmt.Sprintf("tenant-%05d", id%tenants)
			for range table.Columns() {
				rows[i].Values = append(rows[i].Values, fmt.Sprintf("Value %09d", id))
			}
		}
		must(b, c.SealRows(b.Context(), table.Columns(), rows))
		for i := range rows {
			data[i] = []any{int64(from + i), rows[i].Tenant}
			for _, sealed := range rows[i].Sealed {
				data[i] = append(data[i], sealed)
			}
		}
		onConn(b, d, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.CopyFrom(ctx, pgx.Identifier{"bench"}, names, pgx.CopyFromRows(data))
			return err
		})
	}
	d.exec(b, "VACUUM ANALYZE bench")
}

// BenchmarkRootKey rewraps the keys of 10,000 tenants from one version of a root key to the next, with the key store in PostgreSQL,
// beside a table of ROWS rows of `key: tenant`, in which nothing is written.
func BenchmarkRootKey(b *testing.B) {
	const tenants = 10_000
	n := max(benchRows(b), tenants)
	dsn, file := testpg.DSN(b), filepath.Join(b.TempDir(), "root.key")
	must(b, localkms.Create(file))
	k, err := openKeys(b.Context(), dsn, file)
	must(b, err)
	b.Cleanup(func() { must(b, k.store.Close()) })
	pool, err := sql.Open("pgx", dsn)
	must(b, err)
	b.Cleanup(func() { must(b, pool.Close()) })
	d := db{pool, rotate.PostgreSQL, "bytea"}
	text, err := codec.ParseType("text")
	must(b, err)
	table, err := field.NewTable(field.TableConfig{
		Name: "bench", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{{Name: "ssn", Type: text}},
	})
	must(b, err)
	d.exec(b, "CREATE TABLE bench (id bigint PRIMARY KEY, tenant text NOT NULL, ssn bytea)")
	load(b, d, k.ring, table, n, tenants)
	var most time.Duration
	for b.Loop() {
		b.StopTimer()
		_, err := k.root.Rotate(b.Context())
		must(b, err)
		var snapshot, written int64
		must(b, d.QueryRow("SELECT txid_current()").Scan(&snapshot))
		before := k.calls.Calls()
		b.StartTimer()
		start := time.Now()
		result, err := rotate.RewrapKeys(b.Context(), rotate.KeysConfig{Keyring: k.ring})
		must(b, err)
		rows, err := rotate.Run(b.Context(), rotate.Config{DB: pool, Dialect: rotate.PostgreSQL, Keyring: k.ring}, rotate.Job{Kind: rotate.Rewrap, Table: table})
		must(b, err)
		most = max(most, time.Since(start))
		b.StopTimer()
		calls := k.calls.Calls().Sub(before)
		must(b, d.QueryRow("SELECT count(*) FROM bench WHERE xmin::text::bigint >= $1", snapshot).Scan(&written))
		if result.Rewrapped != tenants || rows.Counts["rows"] != 0 {
			b.Fatalf("rewrapped %d keys of %d, looked at %d rows", result.Rewrapped, tenants, rows.Counts["rows"])
		}
		b.ReportMetric(float64(written), "rows-written")
		b.ReportMetric(float64(calls.Rewrap+calls.Unwrap+calls.Wrap)/tenants, "kms-calls/key")
		b.StartTimer()
	}
	b.ReportMetric(most.Seconds(), "s")
	b.ReportMetric(rootKeyLimit, "limit-s")
	b.ReportMetric(0, "ns/op")
}
