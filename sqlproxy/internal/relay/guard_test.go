package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

const spoil = "UPDATE patients SET ssn = set_byte(ssn, length(ssn) - 1, get_byte(ssn, length(ssn) - 1) # 1) WHERE id = 2"

// spoiled gives a table whose row 2 has a value that does not open: a connection to it and the connection string through the proxy.
func spoiled(t testing.TB) (raw *pgx.Conn, through string) {
	t.Helper()
	return spoiledAs(t, nil)
}

// spoiledAs is spoiled with a Shared; nil is a new one.
func spoiledAs(t testing.TB, shared *relay.Shared) (raw *pgx.Conn, through string) {
	t.Helper()
	direct, through := sealed(t, &relay.Config{Shared: shared})
	raw = connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, raw, `CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS $$ INSERT INTO plain VALUES (77, 'x') RETURNING id $$;
CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO later VALUES (1), (1); RETURN NEW; END $$;
CREATE TRIGGER twice BEFORE UPDATE OF note ON patients FOR EACH ROW EXECUTE FUNCTION twice()`)
	renew(t, raw, through)
	return raw, through
}

func renew(t testing.TB, raw *pgx.Conn, through string) {
	t.Helper()
	mustExec(t, raw, "TRUNCATE patients, plain")
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-2'), (3, 'canary-3')")
	mustExec(t, raw, spoil)
}

// stands gives what the tables hold.
func stands(t testing.TB, raw *pgx.Conn) string {
	t.Helper()
	var s string
	if err := raw.QueryRow(context.Background(), `SELECT (SELECT coalesce(string_agg(id || coalesce(note, ''), ' ' ORDER BY id), '') FROM patients) || ' | ' ||
		(SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM plain)`).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

const untouched = "1 2 3 | "

// brief leaves of answers what matters here: errors, tags and the transaction's states.
func brief(words []string) string {
	var out []string
	for _, w := range words[:len(words)-7] { // what play asks at the end
		switch w[0] {
		case 'E', 'C', 'Z':
			out = append(out, strings.NewReplacer(`\x00`, "", `"`, "").Replace(w))
		}
	}
	return strings.Join(out, ", ")
}

// sent is a statement of the extended protocol.
func sent(sql string) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}}
}

// script makes messages of words: "Q …" is a Query, "S" a Sync, "F" a Flush, "D …" data of a COPY, "C" their end and "X"
// a CopyFail, all else a statement of the extended protocol.
func script(t testing.TB, steps []string) []byte {
	var messages []pgproto3.FrontendMessage
	for _, s := range steps {
		switch text, isQuery := strings.CutPrefix(s, "Q "); {
		case isQuery:
			messages = append(messages, &pgproto3.Query{String: text})
		case s == "S":
			messages = append(messages, &pgproto3.Sync{})
		case strings.HasPrefix(s, "D "):
			messages = append(messages, &pgproto3.CopyData{Data: []byte(s[2:])})
		case s == "C":
			messages = append(messages, &pgproto3.CopyDone{})
		case s == "X":
			messages = append(messages, &pgproto3.CopyFail{Message: "no"})
		case s == "F":
			messages = append(messages, &pgproto3.Flush{})
		default:
			messages = append(messages, sent(s)...)
		}
	}
	return encode(t, messages...)
}

const (
	one  = "DELETE FROM patients WHERE id = 2 RETURNING ssn"
	bad  = "SELECT ssn FROM patients WHERE id = 2"
	good = "SELECT ssn FROM patients WHERE id = 1"
	ins  = "INSERT INTO plain VALUES (9, 'x')"
)

// exchange is a script of messages with what the client hears of it, and what it leaves.
type exchange struct {
	name  string
	steps []string
	want  string
	left  string // in the tables
}

func (e *exchange) play(t *testing.T, raw *pgx.Conn, through string) {
	t.Run(e.name, func(t *testing.T) {
		renew(t, raw, through)
		words := play(t, hijack(t, through), script(t, e.steps))
		if got := brief(words); got != e.want {
			t.Errorf("answers are\n\t%s\nwant\n\t%s", got, e.want)
		}
		if got := stands(t, raw); got != e.left {
			t.Errorf("the tables hold %q, want %q", got, e.left)
		}
	})
}

// failures are messages of which one has a result that does not open. All of a script is sent at
// once, so that nothing is right only because the client waited.
var failures = []exchange{
	{"one query", []string{"Q " + one}, "E XX001, Z I", untouched},
	{"one query and another", []string{"Q " + one, "Q " + ins}, "E XX001, Z I, C INSERT 0 1, Z I", "1 2 3 | 9"},
	{"update", []string{"Q UPDATE patients SET name = 'n' WHERE id > 1 RETURNING id, ssn"}, "E XX001, Z I", untouched},
	{"writing WITH", []string{"Q WITH d AS (DELETE FROM patients RETURNING ssn) SELECT ssn FROM d"}, "E XX001, Z I", untouched},
	{"function that writes", []string{"Q SELECT writes(), ssn FROM patients WHERE id = 2"}, "E XX001, Z I", untouched},
	{"EXECUTE", []string{"Q PREPARE d AS " + one, "Q EXECUTE d"}, "C PREPARE, Z I, E XX001, Z I", untouched},
	{"write behind", []string{"Q " + bad + "; " + ins}, "E XX001, Z I", untouched},
	{"write before", []string{"Q " + ins + "; " + bad}, "C INSERT 0 1, E XX001, Z I", untouched},
	{"write about", []string{"Q " + ins + "; " + bad + "; DELETE FROM patients"}, "C INSERT 0 1, E XX001, Z I", untouched},
	{"server's error behind", []string{"Q " + one + "; SELECT 1/0"}, "E XX001, Z I", untouched},
	{
		"BEGIN in the text",
		[]string{"Q BEGIN; " + ins + "; " + bad, "Q " + ins, "Q COMMIT"},
		"C BEGIN, C INSERT 0 1, E XX001, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"block",
		[]string{"Q BEGIN", "Q " + ins, "Q " + one, "Q " + ins, "Q COMMIT"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, E XX001, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"read in a block",
		[]string{"Q BEGIN", "Q " + ins, "Q " + bad, "Q COMMIT"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, E XX001, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"several in a block",
		[]string{"Q BEGIN", "Q " + bad + "; " + ins, "Q COMMIT"},
		"C BEGIN, Z T, E XX001, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"savepoint",
		[]string{"Q BEGIN", "Q SAVEPOINT a", "Q " + one, "Q ROLLBACK TO a", "Q " + ins, "Q COMMIT"},
		"C BEGIN, Z T, C SAVEPOINT, Z T, E XX001, Z E, C ROLLBACK, Z T, C INSERT 0 1, Z T, C COMMIT, Z I", "1 2 3 | 9",
	},
	{
		"cursor",
		[]string{"Q BEGIN", "Q " + ins, "Q DECLARE c CURSOR FOR " + bad, "Q FETCH c", "Q COMMIT"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, C DECLARE CURSOR, Z T, E XX001, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"copy",
		[]string{"Q BEGIN", "Q " + ins, "Q COPY (" + bad + ") TO STDOUT", "Q COMMIT"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, E XX001, Z E, C ROLLBACK, Z I", untouched,
	},

	{"extended", []string{one, "S"}, "E XX001, Z I", untouched},
	{"extended, and more", []string{one, "S", ins, "S"}, "E XX001, Z I, C INSERT 0 1, Z I", "1 2 3 | 9"},
	{"extended, flushed", []string{one, "F", "F", "S"}, "E XX001, Z I", untouched},
	{"extended, function that writes", []string{"SELECT writes(), ssn FROM patients WHERE id = 2", "S"}, "E XX001, Z I", untouched},
	{"pipeline, write behind", []string{bad, ins, "S"}, "E XX001, Z I", untouched},
	{"pipeline, write before", []string{ins, bad, "S"}, "C INSERT 0 1, E XX001, Z I", untouched},
	{"pipeline of reads, then a write", []string{good, bad, good, ins, "S"}, "C SELECT 1, E XX001, Z I", untouched},
	{"pipeline, query behind", []string{bad, "Q " + ins, "S"}, "E XX001, Z I", untouched},
	{
		"pipeline with BEGIN",
		[]string{"BEGIN", bad, "S", ins, "S", "COMMIT", "S"},
		"C BEGIN, E XX001, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"pipeline with COMMIT",
		[]string{"BEGIN", ins, bad, "COMMIT", "S", "COMMIT", "S"},
		"C BEGIN, C INSERT 0 1, E XX001, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"extended block",
		[]string{"BEGIN", "S", ins, "S", one, "S", ins, "S", "COMMIT", "S"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, E XX001, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched,
	},
	{
		"extended read in a block",
		[]string{"BEGIN", "S", ins, "S", bad, "S", ins, "S", "COMMIT", "S"},
		"C BEGIN, Z T, C INSERT 0 1, Z T, E XX001, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched,
	},
	{"block ended within the pipeline", []string{"BEGIN", "S", "COMMIT", one, "S"}, "C BEGIN, Z T, C COMMIT, E XX001, Z I", untouched},
	{"extended read", []string{bad, "S", ins, "S"}, "E XX001, Z I, C INSERT 0 1, Z I", "1 2 3 | 9"},
}

func TestWhatDoesNotOpenLeavesNothingBehind(t *testing.T) {
	raw, through := spoiled(t)
	for _, f := range failures {
		f.play(t, raw, through)
	}
}

// TestWhatIsGuardedIsCommittedAllTheSame has the same statements, on rows that open.
func TestWhatIsGuardedIsCommittedAllTheSame(t *testing.T) {
	raw, through := spoiled(t)
	const del = "DELETE FROM patients WHERE id = 1 RETURNING ssn"
	for _, f := range []exchange{
		{"query", []string{"Q " + del}, "C DELETE 1, Z I", "2 3 | "},
		{"query of two", []string{"Q " + del + "; " + ins}, "C DELETE 1, C INSERT 0 1, Z I", "2 3 | 9"},
		{"query of two, the first a read", []string{"Q " + good + "; " + ins}, "C SELECT 1, C INSERT 0 1, Z I", "1 2 3 | 9"},
		{"query of two with an error", []string{"Q " + del + "; SELECT 1/0"}, "C DELETE 1, E 22012, Z I", untouched},
		{"queries", []string{"Q " + del, "Q " + del, "Q " + ins}, "C DELETE 1, Z I, C DELETE 0, Z I, C INSERT 0 1, Z I", "2 3 | 9"},
		{"error", []string{"Q INSERT INTO patients (id, ssn) VALUES (1, 'x') RETURNING ssn"}, "E 23505, Z I", untouched},
		{"error at COMMIT", []string{"Q UPDATE patients SET note = 'n' WHERE id = 1 RETURNING ssn"}, "E 23505, Z I", untouched},
		{"block", []string{"Q BEGIN", "Q " + del, "Q COMMIT"}, "C BEGIN, Z T, C DELETE 1, Z T, C COMMIT, Z I", "2 3 | "},
		{"failed block", []string{"Q BEGIN", "Q SELECT 1/0", "Q " + del, "Q COMMIT"}, "C BEGIN, Z T, E 22012, Z E, E 25P02, Z E, C ROLLBACK, Z I", untouched},
		{"reads in a text with COMMIT", []string{"Q BEGIN; " + good + "; COMMIT"}, "C BEGIN, C SELECT 1, C COMMIT, Z I", untouched},
		{"extended", []string{del, "S"}, "C DELETE 1, Z I", "2 3 | "},
		{"pipeline", []string{ins, good, del, "S", good, "S"}, "C INSERT 0 1, C SELECT 1, C DELETE 1, Z I, C SELECT 0, Z I", "2 3 | 9"},
		{
			"reads in texts with COMMIT behind others",
			[]string{"Q SELECT pg_sleep(0.05)", "Q BEGIN; " + good + "; COMMIT"},
			"C SELECT 1, Z I, C BEGIN, C SELECT 1, C COMMIT, Z I", untouched,
		},
		{"writes and COMMIT in one text", []string{"Q BEGIN; " + del + "; COMMIT"}, "E 0A000, Z I", untouched},
		{"COMMIT behind a read in a block", []string{"Q BEGIN", "Q " + good + "; COMMIT"}, "C BEGIN, Z T, E 0A000, Z E", untouched},
		{"data in the text", []string{"Q " + good + "; COPY plain FROM STDIN"}, "E 0A000, Z I", untouched},
		{"query within a pipeline", []string{"SELECT 1", "Q " + del, "S"}, "C SELECT 1, E 0A000, Z I, Z I", untouched},
	} {
		f.play(t, raw, through)
	}
}

// In a block that is known to be one a Sync need not wait, unless the pipeline ended the block.
func TestABlockThatEndsInThePipelineIsNone(t *testing.T) {
	ctx := context.Background()
	raw, through := spoiled(t)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "BEGIN")
	p := conn.PgConn().StartPipeline(ctx)
	query(p, "COMMIT")
	query(p, one)
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, pipeline(t, p), "COMMIT, error XX001, sync")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := stands(t, raw); got != untouched {
		t.Errorf("the tables hold %q", got)
	}
	if s := conn.PgConn().TxStatus(); s != 'I' {
		t.Errorf("status is %c", s)
	}
}

// A client that says goodbye without waiting for the answer finds its statement done.
func TestGoodbyeDoesNotOvertakeTheCommit(t *testing.T) {
	raw, through := spoiled(t)
	conn := hijack(t, through)
	if _, err := conn.Write(encode(t, &pgproto3.Query{String: "DELETE FROM patients WHERE id = 1 RETURNING ssn"}, &pgproto3.Terminate{})); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	if got := stands(t, raw); got != "2 3 | " {
		t.Errorf("the tables hold %q", got)
	}
}

func TestWhatWasCarriedOutIsSaid(t *testing.T) {
	_, through := spoiled(t)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	for sql, detail := range map[string]string{one: "", bad: "", "BEGIN; " + bad + "; COMMIT": "The statement itself was carried out."} {
		_, err := conn.Exec(context.Background(), sql)
		wantState(t, err, "XX001")
		var pg *pgconn.PgError
		if asPg(err, &pg) && pg.Detail != detail {
			t.Errorf("%s: detail is %q", sql, pg.Detail)
		}
	}
}

// TestNotificationsComeBehindTheTag wants messages in the server's order, also where the proxy commits.
func TestNotificationsComeBehindTheTag(t *testing.T) {
	_, through := spoiled(t)
	twin := testpg.DSN(t)
	mustExec(t, connect(t, twin, pgx.QueryExecModeSimpleProtocol), "CREATE TABLE patients (id int PRIMARY KEY, ssn text); INSERT INTO patients VALUES (1, 'x')")
	steps := []string{"Q LISTEN zz", "Q " + good + "; NOTIFY zz, 'a'; " + good, "Q WITH w AS (SELECT pg_notify('zz', 'b')) SELECT ssn FROM patients, w WHERE id = 1", "Q NOTIFY zz; " + good}
	types := func(_ testing.TB, typ byte, body []byte) string {
		if typ == 'D' && bytes.Contains(body, []byte(endMarker)) {
			return endMarker
		}
		return string(typ)
	}
	notD := func(words []string) string { return strings.ReplaceAll(strings.Join(words, ""), "D", "") }
	got, want := playAs(t, hijack(t, through), script(t, steps), types), playAs(t, hijack(t, twin), script(t, steps), types)
	if notD(got) != notD(want) || !strings.Contains(notD(want), "CAZ") {
		t.Errorf("answers are\n\t%s\nwant\n\t%s", notD(got), notD(want))
	}
}

// recorder stands between a proxy and its server and keeps the types of the messages that the proxy sends.
type recorder struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent.Write(b)
}

// take gives what was sent since the last call, as it was.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.sent.Reset()
	return r.sent.String()
}

// types gives what was sent since the last call.
func (r *recorder) types() (types string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for b := r.sent.Bytes(); len(b) >= 5; {
		types += string(b[:1])
		b = b[min(len(b), 1+int(binary.BigEndian.Uint32(b[1:]))):]
	}
	r.sent.Reset()
	return types
}

func record(t testing.TB, dsn string) (*recorder, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	server := net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	r := &recorder{}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				return
			}
			go func() { defer client.Close(); io.Copy(client, up) }()
			go func() { defer up.Close(); io.Copy(io.MultiWriter(r, up), client) }()
		}
	}()
	u.Host = ln.Addr().String()
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return r, u.String()
}

func extended(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if r := conn.PgConn().ExecParams(context.Background(), sql, nil, nil, nil, nil).Read(); r.Err != nil {
		t.Fatal(r.Err)
	}
}

// TestReadsCostNoRoundTrip wants of reads the client's messages and no others, apart from the Describe.
func TestReadsCostNoRoundTrip(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	r, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	ctx := context.Background()
	conn := connect(t, through, pgx.QueryExecModeExec)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
	for _, f := range []struct{ sql, want string }{
		{good, "PDBDES"}, {good + " FOR UPDATE", "PDBDES"}, {"DELETE FROM patients WHERE id = 7 RETURNING ssn", "PDBDEHS"},
	} {
		extended(t, conn, f.sql)
		r.types()
		extended(t, conn, f.sql)
		if got := r.types(); got != f.want {
			t.Errorf("%s: sent %s, want %s", f.sql, got, f.want)
		}
	}
	mustExec(t, conn, "BEGIN")
	r.types()
	extended(t, conn, "DELETE FROM patients WHERE id = 7 RETURNING ssn")
	if got := r.types(); got != "PDBDES" {
		t.Errorf("a write in a block: sent %s", got)
	}
	mustExec(t, conn, "COMMIT")
	r.types()
	p := conn.PgConn().StartPipeline(ctx)
	for range 3 {
		query(p, good)
	}
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	pipeline(t, p)
	if got := r.types(); got != "PDBDEPDBDEPDBDES" {
		t.Errorf("a pipeline of reads: sent %s", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	simple := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, simple, good)
	r.types()
	mustExec(t, simple, good)
	if got := r.types(); got != "Q" {
		t.Errorf("a query: sent %s", got)
	}
}
