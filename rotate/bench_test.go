package rotate_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

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
// writes values of the same length into the same table's like: keyset pages of the same size, read and written with a
// compare-and-swap.
func BenchmarkRewrapOfRowKeys(b *testing.B) {
	d := openPostgres(b)
	d.SetMaxIdleConns(4)
	w := newWorld(b)
	w.table = rowKeyTable(b)
	turns{
		limit: rewrapLimit,
		table: func(b *testing.B, n int) *field.Table {
			w.fill(b, d, n)
			w.rotateTenants(b)
			return w.table
		},
		floor: func(b *testing.B, _ *field.Table) { w.floor(b, d) },
		subject: func(b *testing.B, _ *field.Table) {
			cfg := w.config(d)
			cfg.Workers = 2
			done := w.run(b, cfg)
			if n := done["rows"]; n == 0 || done["rewrapped"] != n {
				b.Fatalf("counts %v", done)
			}
		},
	}.run(b, d, benchRows(b))
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
	d.exec(b, "VACUUM ANALYZE people")
	d.exec(b, "CHECKPOINT")
}

// floor writes each value back with another key reference, in pages on two connections.
func (w *world) floor(b *testing.B, d db) {
	b.Helper()
	const page, connections = 2000, 2
	var n int
	must(b, d.QueryRow("SELECT count(*) FROM people").Scan(&n))
	var all sync.WaitGroup
	for part := range connections {
		all.Go(func() {
			conn, err := d.Conn(b.Context())
			must(b, err)
			defer conn.Close()
			after, upTo := n*part/connections, n*(part+1)/connections
			for after < upTo {
				after = floorPage(b, conn, after, upTo, page)
			}
		})
	}
	all.Wait()
}

func floorPage(b *testing.B, conn *sql.Conn, after, upTo, page int) int {
	rows, err := conn.QueryContext(b.Context(), "SELECT id, name FROM people WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3", after, upTo, page)
	must(b, err)
	var ids []int64
	var old, fresh [][]byte
	for rows.Next() {
		var id int64
		var v []byte
		must(b, rows.Scan(&id, &v))
		ids, old, fresh = append(ids, id), append(old, v), append(fresh, rewrapped(v))
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

// rewrapped is v with all those bytes changed that rewrapping changes: the tenant key's id and the wrapped row key.
func rewrapped(v []byte) []byte {
	w := bytes.Clone(v)
	for i := envelope.EqualityOffset; i < envelope.EqualityOffset+envelope.KeyIDSize+envelope.WrappedRowSize; i++ {
		w[i] ^= 0xa5
	}
	return w
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
