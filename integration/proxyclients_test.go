package integration

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
	_ "github.com/lib/pq"              // database/sql driver "postgres"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// clientPrograms are clients of other languages, each a program in testdata/clients that prints ok.
var clientPrograms = map[string]func(t *testing.T, dsn string) *exec.Cmd{
	"psycopg 3": func(t *testing.T, dsn string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "/usr/bin/python3", script("psycopg3.py"), dsn)
	},
	"psycopg 2": func(t *testing.T, dsn string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "/usr/bin/python3", script("psycopg2_client.py"), dsn)
	},
	"node pg": func(t *testing.T, dsn string) *exec.Cmd {
		dir := t.TempDir()
		runTool(t, dir, "npm", "install", "--no-audit", "--no-fund", "--silent", "pg@8")
		code, err := os.ReadFile(script("node.js"))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "client.js"), code, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), "node", filepath.Join(dir, "client.js"), dsn)
	},
	"JDBC": func(t *testing.T, dsn string) *exec.Cmd {
		c, err := pgx.ParseConfig(dsn)
		if err != nil {
			t.Fatal(err)
		}
		url := fmt.Sprintf("jdbc:postgresql://%s:%d/%s?user=%s&password=%s&sslmode=disable", c.Host, c.Port, c.Database, c.User, c.Password)
		return exec.CommandContext(t.Context(), "java", "-cp", "/usr/share/java/postgresql.jar", script("Jdbc.java"), url)
	},
}

func script(name string) string { return filepath.Join("testdata", "clients", name) }

func runTool(t *testing.T, dir, name string, arg ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, arg...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func TestRealClientsSeeAPlainDatabase(t *testing.T) {
	needsClients(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) { realClients(t, v.rig(t)) })
	}
}

func needsClients(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs programs that scripts/ensure.sh clients installs; not in a -short run")
	}
}

func realClients(t *testing.T, r *rig) {
	for name, command := range clientPrograms {
		t.Run(name, func(t *testing.T) {
			out, err := command(t, r.Through).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("psql", func(t *testing.T) { psqlClient(t, r) })
	t.Run("pgbench", func(t *testing.T) { pgbenchClient(t, r) })
	t.Run("pgx", func(t *testing.T) { pgxClient(t, r) })
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run("database/sql with "+driver, func(t *testing.T) { sqlClient(t, r, driver) })
	}
	t.Run("GORM without the plugin", func(t *testing.T) { gormClient(t, r) })
	assertNoCanary(t, "the leg to the server", r.Tap.Take())
	assertNoCanary(t, "the server's log", r.Log.Bytes())
}

// psqlClient runs one script through the proxy and on the twin, and compares what psql prints.
func psqlClient(t *testing.T, r *rig) {
	input, err := os.ReadFile(script("psql.sql"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(dsn string) string {
		cmd := exec.CommandContext(t.Context(), "psql", "-X", "-A", dsn)
		cmd.Stdin = bytes.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	got, want := run(r.Through), run(r.Twin)
	head := func(s string) string { return s[:max(0, strings.Index(s, "ROLLBACK"))] }
	if head(got) != head(want) || head(want) == "" {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if tail := got[len(head(got)):]; !strings.Contains(tail, "ssn") || !strings.HasSuffix(strings.TrimSpace(tail), "(1 row)") {
		t.Errorf("the refusal, or what follows it: %s", tail)
	}
}

func pgbenchClient(t *testing.T, r *rig) {
	path := filepath.Join(t.TempDir(), "load.sql")
	load := "SELECT ssn, name FROM users WHERE id = 1;\nUPDATE users SET note = 'x' WHERE ssn = 'canary-ssn-2';\n"
	if err := os.WriteFile(path, []byte(load), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"simple", "extended", "prepared"} {
		runTool(t, ".", "pgbench", "-n", "-c", "4", "-t", "50", "-M", mode, "-f", path, r.Through)
	}
}

func pgxClient(t *testing.T, r *rig) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			pgxSession(t, connectMode(t, r.Through, mode))
		})
	}
}

func connectMode(t *testing.T, dsn string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// pgxSession inserts, finds, updates, batches and copies, and leaves nothing.
func pgxSession(t *testing.T, conn *pgx.Conn) {
	ctx := t.Context()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	dob := time.Date(1987, 6, 11, 0, 0, 0, 0, time.UTC)
	for i := range 3 {
		if _, err := tx.Exec(ctx, "INSERT INTO users (id, ssn, num, dob) VALUES ($1, $2, $3, $4)", 500+i, fmt.Sprintf("canary-pgx-%d", i), 42424200+i, dob); err != nil {
			t.Fatal(err)
		}
		var ssn string
		var num int
		var day time.Time
		if err := tx.QueryRow(ctx, "SELECT ssn, num, dob FROM users WHERE ssn = $1", fmt.Sprintf("canary-pgx-%d", i)).Scan(&ssn, &num, &day); err != nil {
			t.Fatal(err)
		}
		if ssn != fmt.Sprintf("canary-pgx-%d", i) || num != 42424200+i || !day.Equal(dob) {
			t.Error(ssn, num, day)
		}
	}
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM users WHERE ssn = ANY($1)", []string{"canary-pgx-1", "canary-pgx-2", "x"}).Scan(&n); err != nil || n != 2 {
		t.Errorf("= ANY finds %d, %v", n, err)
	}
	batch := &pgx.Batch{}
	batch.Queue("UPDATE users SET ssn = $1 WHERE id = $2", "canary-batch", 500)
	batch.Queue("SELECT ssn FROM users WHERE id = $1", 500).QueryRow(func(row pgx.Row) error {
		var ssn string
		if err := row.Scan(&ssn); err != nil || ssn != "canary-batch" {
			t.Error(ssn, err)
		}
		return nil
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		t.Error(err)
	}
	rows := [][]any{{510, "canary-cf-1"}, {511, "canary-cf-2"}}
	if n, err := tx.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "ssn"}, pgx.CopyFromRows(rows)); err != nil || n != 2 {
		t.Errorf("CopyFrom wrote %d, %v", n, err)
	}
	var last string
	if err := tx.QueryRow(ctx, "SELECT ssn FROM users WHERE id = 511").Scan(&last); err != nil || last != "canary-cf-2" {
		t.Error(last, err)
	}
}

func sqlClient(t *testing.T, r *rig, driver string) {
	db, err := sql.Open(driver, r.Through)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO users (id, ssn, num) VALUES ($1, $2, $3)", 500, "canary-sql", 42424299); err != nil {
		t.Fatal(err)
	}
	stmt, err := tx.PrepareContext(t.Context(), "SELECT ssn, num FROM users WHERE ssn = $1")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var ssn string
		var num int64
		if err := stmt.QueryRowContext(t.Context(), "canary-sql").Scan(&ssn, &num); err != nil || ssn != "canary-sql" || num != 42424299 {
			t.Error(ssn, num, err)
		}
	}
}

// proxyUser is a model of an application that knows nothing of sealed columns.
type proxyUser struct {
	ID   int
	SSN  *string
	Name *string
	Num  *int
	Note string
}

func (proxyUser) TableName() string { return "users" }

func gormClient(t *testing.T, r *rig) {
	db, err := gorm.Open(postgres.Open(r.Through), &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if conn, err := db.DB(); err == nil {
			_ = conn.Close()
		}
	}()
	ssn, name, num := "canary-gorm", "canaryGorm", 42424298
	tx := db.Begin()
	defer tx.Rollback()
	if err := tx.Create(&proxyUser{ID: 500, SSN: &ssn, Name: &name, Num: &num}).Error; err != nil {
		t.Fatal(err)
	}
	var got proxyUser
	if err := tx.Where(&proxyUser{SSN: &ssn}).First(&got).Error; err != nil || *got.SSN != ssn || *got.Num != num {
		t.Errorf("%+v, %v", got, err)
	}
	if err := tx.Model(&got).Updates(map[string]any{"name": "canaryNew", "note": "n"}).Error; err != nil {
		t.Error(err)
	}
	var found []proxyUser
	if err := tx.Where("name IN ?", []string{"canaryNew", "canaryAda"}).Order("id").Find(&found).Error; err != nil || len(found) != 3 {
		t.Errorf("%d found, %v", len(found), err)
	}
}

// A client that cancels, and one that hangs up in the middle, leave the proxy as it was.
func TestAClientThatHangsUpHurtsNobody(t *testing.T) {
	r := newRig(t)
	for range 20 {
		conn, err := pgconn.Connect(t.Context(), r.Through)
		if err != nil {
			t.Fatal(err)
		}
		conn.Frontend().SendQuery(&pgproto3.Query{String: "SELECT * FROM users"})
		_ = conn.Frontend().Flush()
		_ = conn.Conn().Close()
	}
	other := connectPG(t, r.Through)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if r := other.ExecParams(ctx, "SELECT ssn, pg_sleep(60) FROM users", nil, nil, nil, nil).Read(); r.Err == nil {
		t.Error("was not cancelled")
	}
	again := connectPG(t, r.Through)
	if r := again.ExecParams(t.Context(), "SELECT ssn FROM users WHERE id = 1", nil, nil, nil, nil).Read(); r.Err != nil || string(r.Rows[0][0]) != "canary-ssn-1" {
		t.Error(r.Err)
	}
}

// A prepared statement whose text holds a constant seals it anew each time that it runs: rows that get
// the same bytes would be seen to be equal, and would share a row key.
func TestAPreparedConstantIsSealedAnewEachTime(t *testing.T) {
	r := newRig(t)
	conn, direct := connectPG(t, r.Through), connectPG(t, r.Direct)
	seen := map[string]bool{}
	for column, constant := range map[string]string{"name": "'canaryTwice'", "bio": "'canary-twice'"} {
		if _, err := conn.Prepare(t.Context(), column, "UPDATE users SET "+column+" = "+constant+" WHERE id = 1", nil); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if r := conn.ExecPrepared(t.Context(), column, nil, nil, nil).Read(); r.Err != nil {
				t.Fatal(r.Err)
			}
			stored := direct.ExecParams(t.Context(), "SELECT "+column+" FROM users WHERE id = 1", nil, nil, nil, nil).Read()
			if value := string(stored.Rows[0][0]); seen[value] {
				t.Errorf("%s: the same bytes twice", column)
			} else {
				seen[value] = true
			}
		}
	}
}
