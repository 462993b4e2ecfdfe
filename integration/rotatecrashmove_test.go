package integration

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/sqlproxy"
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

// sealedPolicy is that of step 4: programs write the sealed column, and NULL to the plain one.
var sealedPolicy = strings.Replace(clientsPolicy, "write: both", "write: sealed", 1)

// clients is the table with the column in transition.
func clients() *field.Table { return clientsOf(clientsPolicy) }

func clientsOf(policy string) *field.Table {
	file, err := field.ParseFile("rowseal.yaml", []byte(policy))
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
	return h.fillBy(ctx, kind, clientsPolicy)
}

func (h *hand) fillBy(ctx context.Context, kind rotate.Kind, policy string) (crashReport, error) {
	r, err := rotate.Run(ctx, h.cfg, rotate.Job{Kind: kind, Table: clientsOf(policy)})
	return crashReport{Counts: r.Counts, Joined: r.Joined}, err
}

// toSealed takes the column the whole way, from wherever it is, with or without emptying the plain one before the swap.
func (h *hand) toSealed(ctx context.Context, emptied bool) (report crashReport, err error) {
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
			if err = h.deploy(ctx, "both"); err != nil {
				return report, err
			}
			report, err = h.fill(ctx, rotate.Seal)
			if err == nil && emptied {
				if err = h.deploy(ctx, "sealed"); err == nil {
					report, err = h.fillBy(ctx, rotate.Seal, sealedPolicy)
				}
			}
			if err == nil {
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
	switch stage {
	case rotate.StageClear:
	default:
		// From here to the deployment behind it, a model of the sealed column would read a plain one that is empty.
		if err := h.deploy(ctx, "none"); err != nil {
			return report, err
		}
		fallthrough
	case rotate.StagePreparing, rotate.StagePrepared:
		if err := m.Reopen(ctx); err != nil {
			return report, err
		}
		if err := h.deploy(ctx, "both"); err != nil {
			return report, err
		}
		if report, err = h.fill(ctx, rotate.Unseal); err != nil {
			return report, err
		}
		if err := h.deploy(ctx, "plain"); err != nil {
			return report, err
		}
	}
	return report, m.DropSealed(ctx)
}

// deploy has all programs of the application that are running brought to a version, and waits for it. It is not the
// job's, and so goes past what kills that.
func (h *hand) deploy(ctx context.Context, version string) error {
	config, err := pgx.ParseConfig(h.dsn)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "UPDATE deployed SET wanted = $1, version = ''", version); err != nil {
		return err
	}
	for left := 1; left > 0; {
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM deployed WHERE version <> wanted").Scan(&left); err != nil {
			return err
		}
	}
	return nil
}

func seals(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) {
	return h.toSealed(ctx, false)
}

func empties(ctx context.Context, h *hand, _ *crashOrder) (crashReport, error) {
	return h.toSealed(ctx, true)
}

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
	l.exec("CREATE TABLE deployed (program text PRIMARY KEY, version text NOT NULL, wanted text NOT NULL)")
	l.moving = &movingApp{l: l}
	for id := 1; id <= clientRows; id++ {
		row := client{ID: id, Tenant: folkTenants[id%len(folkTenants)], Email: l.moving.fresh(id)}
		l.exec("INSERT INTO clients VALUES ($1, $2, $3)", row.ID, row.Tenant, row.Email)
		l.moving.rows = append(l.moving.rows, &keptClient{row: row})
	}
	l.moving.open()
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
	_, err := l.toSealed(l.t.Context(), false)
	must(l.t, err)
}

// backfillDue: the sealed column is there, and empty.
func backfillDue(l *lane) {
	l.withClients()
	l.moving.old = true
	m, err := l.hand.move()
	must(l.t, err)
	must(l.t, m.Prepare(l.t.Context()))
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

// movingApp writes and reads clients while they are moved, through GORM and through the proxy, each with keys of its own.
type movingApp struct {
	l      *lane
	rows   []*keptClient
	serial atomic.Int64
	tried  atomic.Int64        // again
	models map[string]*gorm.DB // by movingGORM.model: programs that were deployed one after the other
	proxy  map[string]string   // connection strings, by how the proxy's policy has programs write
	old    bool                // a third program is there that knows the plain column only
	stop   chan struct{}
	done   sync.WaitGroup
}

func (a *movingApp) fresh(id int) string {
	return fmt.Sprintf("canary-mail-%d-%d", id, a.serial.Add(1))
}

func (a *movingApp) open() {
	t := a.l.t
	behind, err := openHand(a.l.dsn, a.l.keyFile, clientsPolicy, bare)
	must(t, err)
	t.Cleanup(func() { _ = behind.db.Close() })
	a.models = map[string]*gorm.DB{}
	for name, model := range map[string]any{"plain": &plainClient{}, "both": &client{}, "sealed": &sealedClient{}, "moved": &movedClient{}} {
		db, err := gorm.Open(postgres.Open(a.l.dsn), &gorm.Config{Logger: logger.Discard})
		must(t, err)
		t.Cleanup(func() {
			if conn, err := db.DB(); err == nil {
				_ = conn.Close()
			}
		})
		if a.models[name] = db; name == "plain" {
			continue
		}
		plugin := gormplugin.New(behind.cfg.Cipher)
		plugin.Models = []any{model}
		must(t, db.Use(plugin))
	}
	a.proxy = map[string]string{}
	for name, policy := range map[string]string{"both": clientsPolicy, "sealed": sealedPolicy} {
		behind, err := openHand(a.l.dsn, a.l.keyFile, policy, bare)
		must(t, err)
		t.Cleanup(func() { _ = behind.db.Close() })
		a.proxy[name] = withHost(t, a.l.dsn, startProxy(t, sqlproxy.Config{
			Upstream: sqlproxy.Upstream{Address: hostOf(t, a.l.dsn), Mode: sqlproxy.Disable},
			Policy:   behind.file.Policy, Cipher: behind.cfg.Cipher,
		}))
	}
}

// program is one of the application's.
type program interface {
	// deploy brings it to a version: "plain", which knows the plain column only, "both", "sealed", which writes
	// the sealed one, or "none", in which it stands still.
	deploy(ctx context.Context, version string) error
	// use writes the row, if told so, and reads it.
	use(ctx context.Context, row *client, write bool) (string, error)
	// again says that an error is one after which it tries again, and readies it for that.
	again(ctx context.Context, err error) bool
	end()
}

// goOn lets all programs work until pause.
func (a *movingApp) goOn(seed uint64) {
	a.stop = make(chan struct{})
	programs := map[string]program{"gorm": &movingGORM{app: a}, "proxy": &movingProxy{app: a}}
	if a.old {
		programs["old"] = oldProgram{a}
	}
	for name, p := range programs {
		a.l.exec("INSERT INTO deployed VALUES ($1, '', 'both')", name)
		a.done.Go(func() {
			ctx := context.WithoutCancel(a.l.t.Context())
			r := rand.New(rand.NewPCG(seed, uint64(name[0])))
			defer func() {
				p.end()
				if _, err := a.l.db.ExecContext(ctx, "DELETE FROM deployed WHERE program = $1", name); err != nil {
					a.l.t.Error(err)
				}
			}()
			for {
				select {
				case <-a.stop:
					return
				default:
				}
				version, err := a.follow(ctx, name, p)
				if err == nil && (version != "none" || name == "proxy") { // a proxy follows the columns by itself
					err = a.turn(ctx, r, p)
				}
				if err != nil {
					a.l.t.Errorf("%s, version %s, of clients: %v", name, version, err)
					return
				}
			}
		})
	}
}

// follow brings a program to the version that is wanted.
func (a *movingApp) follow(ctx context.Context, name string, p program) (version string, err error) {
	var wanted string
	err = a.l.db.QueryRowContext(ctx, "SELECT version, wanted FROM deployed WHERE program = $1", name).Scan(&version, &wanted)
	if err != nil || wanted == version {
		return version, err
	}
	if err := p.deploy(ctx, wanted); err != nil {
		return version, fmt.Errorf("deploying %s: %w", wanted, err)
	}
	_, err = a.l.db.ExecContext(ctx, "UPDATE deployed SET version = $1 WHERE program = $2", wanted, name)
	return wanted, err
}

func (a *movingApp) pause() {
	close(a.stop)
	a.done.Wait()
}

// turn writes a row, or not, and reads it by the same program.
func (a *movingApp) turn(ctx context.Context, r *rand.Rand, p program) error {
	k := a.rows[r.IntN(len(a.rows))]
	k.mu.Lock()
	defer k.mu.Unlock()
	write := r.IntN(3) > 0
	if write {
		k.row.Email = a.fresh(k.row.ID)
		a.l.app.written.Add(1)
	}
	got, err := p.use(ctx, &k.row, write)
	for attempt := 0; err != nil && attempt < 20 && p.again(ctx, err); attempt++ {
		a.tried.Add(1)
		got, err = p.use(ctx, &k.row, write)
	}
	if err == nil && got != k.row.Email {
		err = fmt.Errorf("row %d reads %q; its last writer gave %q (written now: %v)", k.row.ID, got, k.row.Email, write)
	}
	return err
}

// plainClient, sealedClient and movedClient are the model before the move, at its fourth step, and behind it.
type (
	sealedClient struct {
		ID     int    `gorm:"primaryKey;autoIncrement:false"`
		Tenant string `rowseal:"tenant"`
		Email  string `gorm:"column:email_sealed;serializer:rowseal;type:bytes" rowseal:"id=email,search=equality,transition=email"`
	}
	plainClient struct {
		ID     int `gorm:"primaryKey;autoIncrement:false"`
		Tenant string
		Email  string
	}
	movedClient struct {
		ID     int    `gorm:"primaryKey;autoIncrement:false"`
		Tenant string `rowseal:"tenant"`
		Email  string `gorm:"serializer:rowseal;type:bytes" rowseal:"search=equality"`
	}
)

func (plainClient) TableName() string { return "clients" }

func (sealedClient) TableName() string { return "clients" }

func (movedClient) TableName() string { return "clients" }

// movingGORM is a program whose model is that of the columns that are there, as if it were deployed at that moment.
type movingGORM struct {
	app     *movingApp
	version string
	model   string
}

func (g *movingGORM) end() {}

func (g *movingGORM) deploy(ctx context.Context, version string) error {
	g.version = version
	return g.look(ctx)
}

func (g *movingGORM) look(ctx context.Context) error {
	const columns = `SELECT string_agg(attname || ' ' || atttypid::regtype, ',' ORDER BY attname) FROM pg_attribute
		WHERE attrelid = 'clients'::regclass AND attname IN ('email', 'email_sealed') AND NOT attisdropped`
	var found string
	err := g.app.l.db.QueryRowContext(ctx, columns).Scan(&found)
	g.model = map[string]string{"email text": "plain", "email bytea": "moved", "email text,email_sealed bytea": "both"}[found]
	if g.model == "both" && (g.version == "plain" || g.version == "sealed") {
		g.model = g.version
	}
	if err == nil && g.model == "" {
		err = fmt.Errorf("the columns are %s", found)
	}
	return err
}

// again: a column is gone, or has another type.
func (g *movingGORM) again(ctx context.Context, err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && slices.Contains([]string{"42703", "42804", "0A000"}, e.Code) && g.look(ctx) == nil
}

func (g *movingGORM) use(ctx context.Context, row *client, write bool) (string, error) {
	db := g.app.models[g.model].WithContext(ctx)
	switch g.model {
	case "plain":
		return useModel(db, plainClient(*row), write, func(c *plainClient) string { return c.Email })
	case "sealed":
		return useModel(db, sealedClient(*row), write, func(c *sealedClient) string { return c.Email })
	case "moved":
		return useModel(db, movedClient(*row), write, func(c *movedClient) string { return c.Email })
	}
	return useModel(db, *row, write, func(c *client) string { return c.Email })
}

func useModel[T any](db *gorm.DB, row T, write bool, email func(*T) string) (string, error) {
	if write {
		if err := changedOne(db.Model(&row).Updates(&row)); err != nil {
			return "", err
		}
	}
	var found T
	err := db.Where(&row, "ID").First(&found).Error
	return email(&found), err
}

// movingProxy is a program behind a proxy, which follows the columns by itself.
type movingProxy struct {
	app  *movingApp
	conn *pgconn.PgConn
}

func (p *movingProxy) end() {
	if p.conn != nil {
		_ = p.conn.Close(context.Background())
	}
}

// deploy connects to the proxy with the version's policy, and has it look at the catalog, as it does by itself within five
// seconds.
func (p *movingProxy) deploy(ctx context.Context, version string) (err error) {
	p.end()
	to := p.app.proxy["both"]
	if version == "sealed" {
		to = p.app.proxy[version]
	}
	if p.conn, err = pgconn.Connect(ctx, to); err != nil {
		return err
	}
	for range 20 {
		_, err = p.conn.Exec(ctx, "ALTER TABLE clients SET (fillfactor = 100)").ReadAll()
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "40P01" { // with the job's own changes
			break
		}
	}
	return err
}

// again: also where a comparison met the column that is plain again before the proxy knew it.
func (p *movingProxy) again(_ context.Context, err error) bool {
	var e *pgconn.PgError
	return again(err) || errors.As(err, &e) && e.Code == "42883" && strings.Contains(e.Message, "bytea")
}

func (p *movingProxy) use(ctx context.Context, row *client, write bool) (string, error) {
	w := proxyWriter{p.conn}
	if write {
		if err := w.exec(ctx, "UPDATE clients SET email = $3 WHERE id = $1 AND tenant = $2", fmt.Sprint(row.ID), row.Tenant, row.Email); err != nil {
			return "", err
		}
	}
	// Once by its key and once by its value.
	r := w.query(ctx, "SELECT email FROM clients WHERE id = $1", fmt.Sprint(row.ID))
	if r.Err != nil || len(r.Rows) != 1 {
		return "", fmt.Errorf("%d rows: %w", len(r.Rows), r.Err)
	}
	found := w.query(ctx, "SELECT id FROM clients WHERE tenant = $1 AND email = $2", row.Tenant, row.Email)
	if found.Err != nil {
		return "", found.Err
	}
	if len(found.Rows) != 1 || string(found.Rows[0][0]) != fmt.Sprint(row.ID) {
		return "", fmt.Errorf("row %d is found as %q", row.ID, found.Rows)
	}
	return string(r.Rows[0][0]), nil
}

// oldProgram knows the plain column.
type oldProgram struct{ app *movingApp }

func (oldProgram) deploy(context.Context, string) error { return nil }

func (oldProgram) again(context.Context, error) bool { return false }

func (oldProgram) end() {}

func (p oldProgram) use(ctx context.Context, row *client, write bool) (email string, err error) {
	db := p.app.l.db
	if write {
		if _, err := db.ExecContext(ctx, "UPDATE clients SET email = $1 WHERE id = $2", row.Email, row.ID); err != nil {
			return "", err
		}
	}
	err = db.QueryRowContext(ctx, "SELECT email FROM clients WHERE id = $1", row.ID).Scan(&email)
	return email, err
}
