package rotate_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// rewrapLimit is what a rewrap's speed may be, as a part of its floor's, at the least.
const rewrapLimit = 0.85

// benchRows is how many rows the figures are measured on: ROWS, or few where that is not set.
func benchRows(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("ROWS"))
	if err != nil {
		return 50_000
	}
	return n
}

// BenchmarkRewrapOfRowKeys rewraps a table with one row key a row, on two connections, beside paged SQL that
// writes the same bytes into the same table: keyset pages of the same size, read and written with a compare-and-swap.
// It reports both speeds and their ratio, for which rewrapLimit is the least at 1,000,000 rows.
func BenchmarkRewrapOfRowKeys(b *testing.B) {
	n := benchRows(b)
	d := openPostgres(b)
	d.SetMaxIdleConns(8)
	w := newWorld(b)
	w.table = rowKeyTable(b)
	w.fill(b, d, n)
	var rewraps, floors []float64
	for b.Loop() {
		w.rotateTenants(b)
		// The bytes that the floor writes are made by a rewrap of a copy.
		d.exec(b, "DROP TABLE IF EXISTS before")
		d.exec(b, "CREATE TABLE before AS SELECT id, name FROM people")
		d.exec(b, "VACUUM FULL ANALYZE people")
		d.exec(b, "CHECKPOINT")
		start := time.Now()
		cfg := w.config(d)
		cfg.Workers = 2
		counted(b, w.run(b, cfg), counts{"rows": int64(n), "values": int64(n), "rewrapped": int64(n)})
		rewraps = append(rewraps, float64(n)/time.Since(start).Seconds())

		d.exec(b, "DROP TABLE IF EXISTS after")
		d.exec(b, "CREATE TABLE after AS SELECT id, name FROM people")
		d.exec(b, "ALTER TABLE after ADD PRIMARY KEY (id)")
		d.exec(b, "UPDATE people SET name = before.name FROM before WHERE people.id = before.id")
		d.exec(b, "VACUUM FULL ANALYZE people")
		d.exec(b, "VACUUM ANALYZE after")
		d.exec(b, "CHECKPOINT")
		floors = append(floors, w.floor(b, d, n))
	}
	got, floor := best(rewraps), best(floors)
	b.ReportMetric(got, "rows/s")
	b.ReportMetric(floor, "floor-rows/s")
	b.ReportMetric(got/floor, "x-floor")
	b.ReportMetric(rewrapLimit, "limit")
	b.ReportMetric(0, "ns/op") // says nothing here
}

func best(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, x)
	}
	return most
}

func rowKeyTable(b *testing.B) *field.Table {
	text, err := codec.ParseType("text")
	must(b, err)
	table, err := field.NewTable(field.TableConfig{Name: "people", Tenant: field.TenantSource{Column: "tenant"}, Columns: []field.ColumnConfig{
		{Name: "name", Type: text, Mode: envelope.ModeRow},
	}})
	must(b, err)
	return table
}

// fill makes the table, guarded and indexed as rowseal init leaves it, with n rows of ten tenants.
func (w *world) fill(b *testing.B, d db, n int) {
	b.Helper()
	d.exec(b, "CREATE TABLE people (id bigint PRIMARY KEY, tenant text NOT NULL, name bytea, CHECK (substring(name FROM 1 FOR 1) IS NOT NULL))")
	c := w.cipher(b)
	const chunk = 5000
	for at := 0; at < n; at += chunk {
		rows := make([]field.SealRow, min(chunk, n-at))
		ids, tenants, sealed := make([]int64, len(rows)), make([]string, len(rows)), make([][]byte, len(rows))
		for i := range rows {
			ids[i], tenants[i] = int64(at+i+1), fmt.Sprintf("tenant-%d", i%10)
			rows[i] = field.SealRow{Row: field.Row{Tenant: tenants[i]}, Values: []any{fmt.Sprintf("Name of person %d", at+i)}}
		}
		must(b, c.SealRows(b.Context(), w.table.Columns(), rows))
		for i := range rows {
			sealed[i] = rows[i].Sealed[0]
		}
		d.exec(b, "INSERT INTO people SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])", ids, tenants, sealed)
	}
}

// floor writes the values of table after into people, and returns rows a second. What it writes is at hand before
// the clock starts, as a rewrap has it at hand that costs nothing.
func (w *world) floor(b *testing.B, d db, n int) float64 {
	b.Helper()
	const page, connections = 2000, 2
	values := make([][]byte, n+1)
	rows, err := d.Query("SELECT id, name FROM after")
	must(b, err)
	for rows.Next() {
		var id int
		var v []byte
		must(b, rows.Scan(&id, &v))
		values[id] = v
	}
	must(b, rows.Err())
	start := time.Now()
	var all sync.WaitGroup
	for part := range connections {
		all.Go(func() {
			conn, err := d.Conn(b.Context())
			must(b, err)
			defer conn.Close()
			after, upTo := n*part/connections, n*(part+1)/connections
			for after < upTo {
				after = floorPage(b, conn, values, after, upTo, page)
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(start).Seconds()
}

func floorPage(b *testing.B, conn *sql.Conn, values [][]byte, after, upTo, page int) int {
	rows, err := conn.QueryContext(b.Context(), "SELECT id, name FROM people WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3", after, upTo, page)
	must(b, err)
	var ids []int64
	var old, fresh [][]byte
	for rows.Next() {
		var id int64
		var v []byte
		must(b, rows.Scan(&id, &v))
		ids, old, fresh = append(ids, id), append(old, v), append(fresh, values[id])
	}
	must(b, rows.Err())
	if len(ids) == 0 {
		return upTo
	}
	result, err := conn.ExecContext(b.Context(), `UPDATE people AS t SET name = u.fresh
		FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS u(id, old, fresh) WHERE t.id = u.id AND t.name = u.old`, ids, old, fresh)
	must(b, err)
	written, err := result.RowsAffected()
	must(b, err)
	if written != int64(len(ids)) {
		b.Errorf("the floor wrote %d of %d rows", written, len(ids))
	}
	return int(ids[len(ids)-1])
}

// BenchmarkRewrapKeys rewraps a key store in memory, so that what is measured
// is the walk's own cost.
func BenchmarkRewrapKeys(b *testing.B) {
	const n = 10_000
	w := newWorld(b)
	w.tenants(b, n)
	for b.Loop() {
		b.StopTimer()
		w.rotateRoot(b)
		b.StartTimer()
		result, err := rotate.RewrapKeys(b.Context(), rotate.KeysConfig{Keyring: w.ring})
		must(b, err)
		if result.Rewrapped != n {
			b.Fatalf("got %+v", result)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
