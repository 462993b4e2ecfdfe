package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// A session whose statements take longer than a client may be idle is not idle, however they came.
func TestAClientIsNotIdleWhileItIsOwedAnAnswer(t *testing.T) {
	const limit = time.Second
	direct, through := sealed(t, &relay.Config{Idle: limit})
	lock := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, lock, "BEGIN")
	mustExec(t, lock, "LOCK TABLE plain")
	conn := hijack(t, through)
	began := time.Now()
	if _, err := conn.Write(encode(t, asked("SELECT 1"), asked("SELECT id FROM plain"))); err != nil {
		t.Fatal(err)
	}
	readTo(t, conn, 'Z')
	eventually(t, func() bool { return time.Since(began) > 2*limit })
	mustExec(t, lock, "COMMIT")
	readTo(t, conn, 'Z')
	said, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(said), "C57P05\x00") || strings.Count(string(said), "SFATAL") != 1 {
		t.Errorf("an idle client is told %q, %v", said, err)
	}
}

func TestAClientInATransactionIsNotIdle(t *testing.T) {
	const limit = time.Second
	_, through := sealed(t, &relay.Config{Idle: limit})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "BEGIN")
	began := time.Now()
	eventually(t, func() bool { return time.Since(began) > 2*limit })
	mustExec(t, conn, "COMMIT")
}

// halfClosed gives what a client is sent that says no more.
func halfClosed(t testing.TB, dsn string, messages []byte) string {
	t.Helper()
	conn := hijack(t, dsn)
	if _, err := conn.Write(messages); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}

func TestAClientThatSaysNoMoreIsAnswered(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	for i, terminates := range []bool{false, true} {
		for j, sql := range []string{
			"SELECT 'answered', pg_sleep(0.05)", "INSERT INTO patients (id, ssn) VALUES (%d, 'answered') RETURNING ssn", "SELECT ssn, pg_sleep(0.05)::text FROM patients",
		} {
			if strings.Contains(sql, "%") {
				sql = fmt.Sprintf(sql, 1+i)
			}
			messages := encode(t, asked(sql))
			if terminates {
				messages = append(messages, encode(t, &pgproto3.Terminate{})...)
			}
			if said := halfClosed(t, through, messages); !strings.Contains(said, "answered") || !strings.HasSuffix(said, "Z\x00\x00\x00\x05I") {
				t.Errorf("%d, terminates %v: told %q", j, terminates, said)
			}
		}
	}
	var n int
	if err := raw.QueryRow(context.Background(), "SELECT count(*) FROM patients").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestLongErrorsAndNoticesDoNotEndASession(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	nothing := proxy(t, testpg.DSN(t), &relay.Config{Shared: empty(t)})
	for _, dsn := range []string{nothing, through} {
		conn := connect(t, dsn, pgx.QueryExecModeSimpleProtocol)
		mustExec(t, conn, "SET client_min_messages = notice")
		mustExec(t, conn, "DO $$ BEGIN RAISE NOTICE '%', repeat('x', 9000000); END $$")
		_, err := conn.Exec(ctx, "DO $$ BEGIN RAISE EXCEPTION '%', repeat('x', 9000000) USING ERRCODE = '23514'; END $$")
		wantState(t, err, "23514")
		if whole := strings.Contains(err.Error(), strings.Repeat("x", 9000000)); whole != (dsn == nothing) {
			t.Errorf("the message has %d bytes", len(err.Error()))
		}
		mustExec(t, conn, "SELECT 1")
	}
}

func TestADrainEndsASessionThatNeverAskedAnything(t *testing.T) {
	drain, begin := context.WithCancel(context.Background())
	stats := new(relay.Stats)
	_, through := sealed(t, &relay.Config{Drain: drain, Stats: stats})
	conn := hijack(t, through)
	begin()
	said, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(said), "C57P01\x00") {
		t.Errorf("told %q, %v", said, err)
	}
}

// The server may end a session while it answers the proxy.
func TestTheServersLastWordIsPassedFromAQueryOfTheProxysOwn(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	lock, watch := connect(t, direct, pgx.QueryExecModeSimpleProtocol), connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "CREATE TEMP TABLE own (id int)") // the catalog is read before the next sealed statement
	mustExec(t, lock, "BEGIN")
	mustExec(t, lock, "LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE")
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT ssn FROM patients")
		failed <- err
	}()
	var pid int
	eventually(t, func() bool {
		return watch.QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&pid) == nil
	})
	mustExec(t, watch, "SELECT pg_terminate_backend($1)", pid)
	wantState(t, <-failed, "57P01")
}

func TestFormatsThatThereAreNotAreRefusedAsByTheServer(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	for _, m := range []*pgproto3.Bind{
		{PreparedStatement: "s", Parameters: [][]byte{[]byte("x")}, ResultFormatCodes: []int16{9}},
		{PreparedStatement: "s", Parameters: [][]byte{[]byte("x")}, ParameterFormatCodes: []int16{7}},
	} {
		conn := hijack(t, through)
		said := play(t, conn, encode(t, asked("INSERT INTO patients (id, ssn) VALUES (1, 'x') ON CONFLICT DO NOTHING"),
			parsed("s", "SELECT ssn FROM patients WHERE ssn = $1"), m, execs, syncs))
		if !strings.Contains(strings.Join(said, ", "), "E 22023") {
			t.Errorf("%+v: told %q", m, said)
		}
	}
}

func TestNamesOfTheProxysOwnAreRefused(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "BEGIN")
	for _, sql := range []string{"PREPARE _rowseal_query AS SELECT 1", `PREPARE "_rowseal_query" AS SELECT 1`, "DECLARE _rowseal_query CURSOR FOR SELECT 1"} {
		_, err := conn.Exec(ctx, sql)
		wantState(t, err, "42939")
		mustExec(t, conn, "ROLLBACK")
		mustExec(t, conn, "BEGIN")
	}
	mustExec(t, conn, "PREPARE own AS SELECT '_rowseal_query'")
	mustExec(t, conn, "SELECT ssn FROM patients")
}

func TestParameterStatusComesBehindTheTagOfABracketedQuery(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	conn := hijack(t, through)
	got := playAs(t, conn, encode(t, asked("INSERT INTO patients (id, ssn, note) VALUES (1, 'x', set_config('application_name', 'other', false)) RETURNING ssn")),
		func(t testing.TB, typ byte, body []byte) string {
			if typ == 'S' {
				return "S"
			}
			return describe(t, typ, body)
		})
	if said := strings.Join(got, ", "); !strings.Contains(said, `C "INSERT 0 1\x00", S, Z "I"`) {
		t.Errorf("told %s", said)
	}
}
