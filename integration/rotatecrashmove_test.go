package integration

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/rotate"
)

// client is a row of clients, whose email is moved from clear to sealed and back.
type client struct {
	ID     int    `gorm:"primaryKey;autoIncrement:false"`
	Tenant string `rowseal:"tenant"`
	Email  string `gorm:"column:email_sealed;serializer:rowseal;type:bytes" rowseal:"id=email,search=equality,transition=email/both"`
}

func (client) TableName() string { return "clients" }

const (
	clientsPolicy = `
tables:
  clients:
    tenant: {column: tenant}
    columns:
      email_sealed: {id: email, type: text, search: [equality], transition: {plain: email, write: both}}
`
	clientRows = 110
)

// clients is the table with the column in transition.
func clients() *field.Table {
	file, err := field.ParseFile("rowseal.yaml", []byte(clientsPolicy))
	if err != nil {
		panic(err)
	}
	return file.Policy.Table("clients")
}

func (h *hand) move() (*rotate.Move, error) {
	return rotate.NewMove(h.cfg, clients(), "email", rotate.MoveOptions{
		// The server may take a moment to see that somebody was killed.
		LockTimeout: 100 * time.Millisecond, Attempts: 100, AcceptOrder: true,
	})
}

func (h *hand) fill(ctx context.Context, kind rotate.Kind) (crashReport, error) {
	r, err := rotate.Run(ctx, h.cfg, rotate.Job{Kind: kind, Table: clients()})
	return crashReport{Counts: r.Counts, Joined: r.Joined}, err
}

// toSealed takes the column the whole way, from wherever it is.
func (h *hand) toSealed(ctx context.Context) (report crashReport, err error) {
	m, err := h.move()
	if err != nil {
		return report, err
	}
	for {
		stage, err := m.Stage(ctx)
		switch stage {
		case rotate.StageClear, rotate.StagePreparing:
			err = m.Prepare(ctx)
		case rotate.StagePrepared:
			if report, err = h.fill(ctx, rotate.Seal); err == nil {
				err = m.Swap(ctx)
			}
		case rotate.StageSwapped:
			err = m.Swap(ctx)
		case rotate.StageFinished:
			err = m.Drop(ctx)
		case rotate.StageSealed:
			return report, err
		}
		if err != nil {
			return report, fmt.Errorf("%s: %w", stage, err)
		}
	}
}

// toClear takes it the whole way back.
func (h *hand) toClear(ctx context.Context) (report crashReport, err error) {
	m, err := h.move()
	if err != nil {
		return report, err
	}
	stage, err := m.Stage(ctx)
	if err != nil {
		return report, err
	}
	if stage != rotate.StageClear {
		if err := m.Reopen(ctx); err != nil {
			return report, err
		}
		if report, err = h.fill(ctx, rotate.Unseal); err != nil {
			return report, err
		}
	}
	return report, m.DropSealed(ctx)
}

func seals(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) { return h.toSealed(ctx) }

func unseals(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) { return h.toClear(ctx) }

func backfills(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) {
	h.cfg.Workers = 2
	return h.fill(ctx, rotate.Seal)
}

// withClients makes the table where it is not there.
func (l *lane) withClients() {
	l.t.Helper()
	if l.moving != nil {
		return
	}
	l.exec("CREATE TABLE clients (id int PRIMARY KEY, tenant text NOT NULL, email text NOT NULL, UNIQUE (tenant, email))")
	l.moving = &movingApp{l: l}
	for id := 1; id <= clientRows; id++ {
		row := client{ID: id, Tenant: folkTenants[id%len(folkTenants)], Email: l.moving.fresh(id)}
		l.exec("INSERT INTO clients VALUES ($1, $2, $3)", row.ID, row.Tenant, row.Email)
		l.moving.rows = append(l.moving.rows, &keptClient{row: row})
	}
}

// sealDue: the column is in clear.
func sealDue(l *lane) {
	l.withClients()
	_, err := l.toClear(l.t.Context())
	must(l.t, err)
}

// unsealDue: it is sealed.
func unsealDue(l *lane) {
	l.withClients()
	_, err := l.toSealed(l.t.Context())
	must(l.t, err)
}

// backfillDue: the sealed column is there, and empty.
func backfillDue(l *lane) {
	l.withClients()
	if l.moving.db == nil {
		m, err := l.hand.move()
		must(l.t, err)
		must(l.t, m.Prepare(l.t.Context()))
		l.moving.open()
	}
	l.exec("UPDATE clients SET email_sealed = NULL")
}

// stage checks how far the column is.
func (l *lane) stage(want rotate.Stage) {
	l.t.Helper()
	m, err := l.hand.move()
	must(l.t, err)
	if stage, err := m.Stage(l.t.Context()); err != nil || stage != want {
		l.t.Errorf("the column is %s, %v; want %s", stage, err, want)
	}
}

// sealedAway: each value is sealed, under the plain column's name, and none is left in clear.
func (l *lane) sealedAway() {
	l.stage(rotate.StageSealed)
	l.clientsOpen("email")
	var clear int
	must(l.t, l.db.QueryRowContext(l.t.Context(), "SELECT count(*) FROM clients AS c WHERE strpos(c::text, 'canary') > 0").Scan(&clear))
	if clear > 0 {
		l.t.Errorf("%d rows are in clear", clear)
	}
}

// clientsOpen checks that each sealed value opens to what its row's last writer gave.
func (l *lane) clientsOpen(column string) {
	l.t.Helper()
	rows, err := l.db.QueryContext(l.t.Context(), "SELECT id, "+column+" FROM clients")
	must(l.t, err)
	defer rows.Close()
	n, col := 0, clients().Columns()[0]
	for rows.Next() {
		var id int
		var sealed []byte
		var got string
		must(l.t, rows.Scan(&id, &sealed))
		want := l.moving.rows[id-1].row
		if bytes.Contains(sealed, []byte("canary")) {
			l.t.Errorf("row %d is in clear", id)
		}
		if err := l.cfg.Cipher.Open(l.t.Context(), &got, col, field.Row{Tenant: want.Tenant}, sealed); err != nil || got != want.Email {
			l.t.Errorf("row %d opens to %q, %v; its last writer gave %q", id, got, err, want.Email)
		}
		n++
	}
	must(l.t, rows.Err())
	if n != clientRows {
		l.t.Errorf("%d rows", n)
	}
}

// inClear: each value is in clear again, and no sealed column is there.
func (l *lane) inClear() {
	l.stage(rotate.StageClear)
	l.clientsRead()
}

func (l *lane) clientsRead() {
	l.t.Helper()
	n := 0
	for _, k := range l.moving.rows {
		var got sql.NullString
		must(l.t, l.db.QueryRowContext(l.t.Context(), "SELECT email FROM clients WHERE id = $1", k.row.ID).Scan(&got))
		if got.String != k.row.Email {
			l.t.Errorf("row %d is %q; its last writer gave %q", k.row.ID, got.String, k.row.Email)
		}
		n++
	}
	if n != clientRows {
		l.t.Errorf("%d rows", n)
	}
}

// backfilled: the rows that old programs wrote behind the job are sealed by the next one, and then all are.
func (l *lane) backfilled() {
	r, err := l.fill(l.t.Context(), rotate.Seal)
	must(l.t, err)
	if c := r.Counts; c["rows"] != clientRows || c["values"] != clientRows || c["sealed"]+c["resealed"]+c["current"] != clientRows {
		l.t.Errorf("the next job counted %v", c)
	}
	l.clientsOpen("email_sealed")
	l.clientsRead()
}

// keptClient is a client as its last writer left it.
type keptClient struct {
	mu  sync.Mutex
	row client
}

// movingApp writes clients while they are moved: by GORM, which knows both columns, and by an old program, which knows
// the plain one.
type movingApp struct {
	l      *lane
	rows   []*keptClient
	serial atomic.Int64
	db     *gorm.DB
	stop   chan struct{}
	done   sync.WaitGroup
}

func (a *movingApp) fresh(id int) string {
	return fmt.Sprintf("canary-mail-%d-%d", id, a.serial.Add(1))
}

func (a *movingApp) open() {
	t := a.l.t
	behind, err := openHand(a.l.dsn, a.l.keyFile, folkPolicy, bare)
	must(t, err)
	a.db, err = gorm.Open(postgres.Open(a.l.dsn), &gorm.Config{Logger: logger.Discard})
	must(t, err)
	t.Cleanup(func() {
		_ = behind.db.Close()
		if conn, err := a.db.DB(); err == nil {
			_ = conn.Close()
		}
	})
	plugin := gormplugin.New(behind.cfg.Cipher)
	plugin.Models = []any{&client{}}
	must(t, a.db.Use(plugin))
}

// goOn lets both programs work until pause.
func (a *movingApp) goOn(seed uint64) {
	a.stop = make(chan struct{})
	for i, program := range []func(*client, bool) (string, error){a.byGORM, a.byOldProgram} {
		a.done.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for {
				select {
				case <-a.stop:
					return
				default:
				}
				if err := a.turn(r, program); err != nil {
					a.l.t.Errorf("program %d of clients: %v", i, err)
					return
				}
			}
		})
	}
}

func (a *movingApp) pause() {
	close(a.stop)
	a.done.Wait()
}

// turn writes a row, or not, and reads it by the same program.
func (a *movingApp) turn(r *rand.Rand, program func(row *client, write bool) (string, error)) error {
	k := a.rows[r.IntN(len(a.rows))]
	k.mu.Lock()
	defer k.mu.Unlock()
	write := r.IntN(3) > 0
	if write {
		k.row.Email = a.fresh(k.row.ID)
	}
	got, err := program(&k.row, write)
	if err == nil && got != k.row.Email {
		err = fmt.Errorf("row %d reads %q; its last writer gave %q", k.row.ID, got, k.row.Email)
	}
	return err
}

func (a *movingApp) byGORM(row *client, write bool) (string, error) {
	db := a.db.WithContext(context.WithoutCancel(a.l.t.Context()))
	if write {
		if err := changedOne(db.Model(&client{ID: row.ID, Tenant: row.Tenant}).Updates(row)); err != nil {
			return "", err
		}
	}
	var found client
	err := db.First(&found, row.ID).Error
	return found.Email, err
}

func (a *movingApp) byOldProgram(row *client, write bool) (email string, err error) {
	ctx := context.WithoutCancel(a.l.t.Context())
	if write {
		if _, err := a.l.db.ExecContext(ctx, "UPDATE clients SET email = $1 WHERE id = $2", row.Email, row.ID); err != nil {
			return "", err
		}
	}
	err = a.l.db.QueryRowContext(ctx, "SELECT email FROM clients WHERE id = $1", row.ID).Scan(&email)
	return email, err
}
