package rotate_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/errgroup"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// resealLimit is the least part of the floor's speed that a reseal of two columns is to have.
const resealLimit = 0.7

// BenchmarkReseal reseals two columns of 1,000,000 rows (ROWS says otherwise) on two connections, beside
// paged SQL that writes values of the same length over the same tables' like, on two connections too.
func BenchmarkReseal(b *testing.B) {
	for _, c := range []struct {
		name   string
		mode   envelope.Mode
		search bool
	}{{"tenant", envelope.ModeTenant, false}, {"row", envelope.ModeRow, false}, {"indexed", envelope.ModeTenant, true}} {
		b.Run(c.name, func(b *testing.B) {
			rows := 1_000_000
			if n, err := strconv.Atoi(os.Getenv("ROWS")); err == nil {
				rows = n
			}
			d := openPostgres(b)
			d.SetMaxIdleConns(4)
			w := newWorld(b)
			turns{
				limit:   resealLimit,
				table:   func(b *testing.B, n int) *field.Table { return w.benchTable(b, d, c.mode, c.search, n) },
				floor:   func(b *testing.B, _ *field.Table) { runFloor(b, d) },
				subject: func(b *testing.B, t *field.Table) { runReseal(b, w, d, t) },
			}.run(b, d, rows)
		})
	}
}

// benchTable makes the table bench with n rows of 100 tenants and the guards that `rowseal init` makes.
func (w *world) benchTable(b *testing.B, d db, mode envelope.Mode, search bool, n int) *field.Table {
	b.Helper()
	text, err := codec.ParseType("text")
	must(b, err)
	cfg := field.TableConfig{Name: "bench", Tenant: field.TenantSource{Column: "tenant"}}
	for _, name := range []string{"a", "b"} {
		cfg.Columns = append(cfg.Columns, field.ColumnConfig{Name: name, Type: text, Mode: mode, Search: field.Search{Equality: search}})
	}
	table, err := field.NewTable(cfg)
	must(b, err)
	d.exec(b, "CREATE TABLE bench (id bigint PRIMARY KEY, tenant text NOT NULL, a bytea, b bytea) WITH (fillfactor = 50)")
	c := w.cipher(b)
	const chunk = 5000
	for from := 0; from < n; from += chunk {
		sealing := make([]field.SealRow, min(chunk, n-from))
		for i := range sealing {
			id := from + i
			sealing[i] = field.SealRow{
				Row:    field.Row{Tenant: fmt.Sprintf("tenant-%02d", id%100)},
				Values: []any{fmt.Sprintf("Name of guest %d", id), fmt.Sprintf("%09d", id)},
			}
		}
		must(b, c.SealRows(b.Context(), table.Columns(), sealing))
		data := make([][]any, len(sealing))
		for i := range sealing {
			data[i] = []any{int64(from + i), sealing[i].Tenant, sealing[i].Sealed[0], sealing[i].Sealed[1]}
		}
		onConn(b, d, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.CopyFrom(ctx, pgx.Identifier{"bench"}, []string{"id", "tenant", "a", "b"}, pgx.CopyFromRows(data))
			return err
		})
	}
	for _, col := range table.Columns() {
		guard := col.Guard()
		d.exec(b, fmt.Sprintf(`ALTER TABLE bench ADD CHECK (octet_length(%[1]s) >= 56 AND substr(%[1]s, 1, 6) = '\x%[2]x')`, col.Name(), guard[:]))
		if search {
			d.exec(b, fmt.Sprintf("CREATE INDEX ON bench (substr(%[1]s, 1, 24))", col.Name()))
		}
	}
	d.exec(b, "VACUUM ANALYZE bench")
	d.exec(b, "CHECKPOINT")
	return table
}

func onConn(b *testing.B, d db, do func(context.Context, *pgx.Conn) error) {
	b.Helper()
	conn, err := d.Conn(b.Context())
	must(b, err)
	must(b, conn.Raw(func(c any) error { return do(b.Context(), c.(*stdlib.Conn).Conn()) }))
	must(b, conn.Close())
}

func runReseal(b *testing.B, w *world, d db, table *field.Table) {
	b.Helper()
	cfg := rotate.Config{DB: d.DB, Dialect: d.dialect, Keyring: w.ring, Cipher: w.cipher(b), Workers: 2}
	result, err := rotate.Run(b.Context(), cfg, rotate.Job{Kind: rotate.Reseal, Table: table, Options: map[string]string{"all": "true"}})
	must(b, err)
	if result.Counts["resealed"] != result.Counts["values"] || result.Counts["values"] == 0 {
		b.Fatalf("counts %v", result.Counts)
	}
}

// runFloor walks the table's halves on two connections: it reads pages of 2,000 rows by the primary key and writes each back
// in one statement, with as many bytes changed as a reseal changes and a compare-and-swap on the old values.
func runFloor(b *testing.B, d db) {
	b.Helper()
	var rows int64
	must(b, d.QueryRow("SELECT count(*) FROM bench").Scan(&rows))
	var g errgroup.Group
	for half := range int64(2) {
		g.Go(func() error {
			conn, err := d.Conn(b.Context())
			if err != nil {
				return err
			}
			defer conn.Close()
			return floorRange(b.Context(), conn, half*rows/2-1, (half+1)*rows/2-1)
		})
	}
	must(b, g.Wait())
}

func floorRange(ctx context.Context, conn *sql.Conn, after, upTo int64) error {
	for after < upTo {
		rows, err := conn.QueryContext(ctx, "SELECT id, tenant, a, b FROM bench WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 2000", after, upTo)
		if err != nil {
			return err
		}
		var ids []int64
		var as, bs, oldAs, oldBs [][]byte
		for rows.Next() {
			var id int64
			var tenant string
			var a, b []byte
			if err := rows.Scan(&id, &tenant, &a, &b); err != nil {
				return err
			}
			ids, oldAs, oldBs = append(ids, id), append(oldAs, a), append(oldBs, b)
			as, bs = append(as, altered(a)), append(bs, altered(b))
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, `UPDATE bench AS t SET a = u.a, b = u.b
			FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) AS u(id, a, b, old_a, old_b)
			WHERE t.id = u.id AND t.a = u.old_a AND t.b = u.old_b`, ids, as, bs, oldAs, oldBs); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
	return nil
}

// altered is v with all those bytes changed that resealing changes: all behind its guard, search term and tenant key's
// id. PostgreSQL's WAL leaves out what the old and the new row have in common at both ends.
func altered(v []byte) []byte {
	behind := envelope.EqualityOffset + envelope.KeyIDSize
	if envelope.Flags(v[envelope.EqualityOffset-1])&envelope.FlagEquality != 0 {
		behind += envelope.EqualitySize
	}
	w := bytes.Clone(v)
	for i := behind; i < len(w); i++ {
		w[i] ^= 0xa5
	}
	return w
}
