package relay_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// pipeline collects what a pipeline answers, as words.
func pipeline(t testing.TB, p *pgconn.Pipeline) (words []string) {
	t.Helper()
	for {
		r, err := p.GetResults()
		var pg *pgconn.PgError
		switch {
		case err != nil && asPg(err, &pg):
			words = append(words, "error "+pg.Code)
			continue
		case err != nil:
			t.Fatal(err)
		case r == nil:
			return words
		}
		switch r := r.(type) {
		case *pgconn.ResultReader:
			n := 0
			for r.NextRow() {
				n++
				for _, v := range r.Values() {
					words = append(words, string(v))
				}
			}
			tag, err := r.Close()
			if asPg(err, &pg) {
				words = append(words, "error "+pg.Code)
			} else {
				words = append(words, tag.String())
			}
		case *pgconn.StatementDescription:
			words = append(words, "described")
		case *pgconn.PipelineSync:
			words = append(words, "sync")
		case *pgconn.CloseComplete:
			words = append(words, "closed")
		}
	}
}

func asPg(err error, to **pgconn.PgError) bool {
	if err == nil {
		return false
	}
	pg, ok := err.(*pgconn.PgError) //nolint:errorlint // pgconn gives it bare
	*to = pg
	return ok
}

func query(p *pgconn.Pipeline, sql string, args ...string) {
	var values [][]byte
	for _, a := range args {
		values = append(values, []byte(a))
	}
	p.SendQueryParams(sql, values, nil, nil, nil)
}

func wantWords(t testing.TB, got []string, want string) {
	t.Helper()
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("answers are\n\t%s\nwant\n\t%s", s, want)
	}
}

func TestARefusalInAPipelineKeepsOrderAndSkipsToSync(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeExec).PgConn()
	p := conn.StartPipeline(ctx)
	query(p, "INSERT INTO patients (id, ssn) VALUES (1, $1)", "canary-one")
	query(p, "SELECT note FROM patients WHERE ssn LIKE $1", "canary%")
	query(p, "INSERT INTO patients (id, ssn) VALUES (2, $1)", "canary-two")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	query(p, "SELECT count(*) FROM patients")
	query(p, "SELECT 1")
	query(p, "SELECT nothing")
	query(p, "SELECT ssn FROM patients")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	query(p, "INSERT INTO patients (id, ssn, age) VALUES (3, $1, '7')", "canary-three")
	query(p, "SELECT id, ssn, age FROM patients WHERE ssn = $1", "canary-three")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, pipeline(t, p), "INSERT 0 1, error 0A000, sync, 0, SELECT 1, 1, SELECT 1, error 42703, sync, "+
		"INSERT 0 1, 3, canary-three, 7, SELECT 1, sync")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// What must not stand behind anything in a pipeline stands behind no query of the proxy's own.
func TestCommandsThatMustComeFirstDo(t *testing.T) {
	_, through := sealed(t, &relay.Config{})
	for _, sql := range []string{
		"VACUUM patients", "VACUUM plain", "CREATE INDEX CONCURRENTLY ON plain (note)", "REINDEX TABLE CONCURRENTLY plain", "DISCARD ALL",
	} {
		conn := connect(t, through, pgx.QueryExecModeExec)
		for i := range 2 {
			mustExec(t, conn, "CREATE TEMP TABLE t"+strconv.Itoa(i)+" (id int)") // has the proxy ask for all it knows
			if r := conn.PgConn().ExecParams(context.Background(), sql, nil, nil, nil, nil).Read(); r.Err != nil {
				t.Errorf("%s: %v", sql, r.Err)
			}
			mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ($1, $2) ON CONFLICT DO NOTHING", 1, "canary-1")
		}
	}
}

func TestARefusedParseLeavesNoUnnamedStatement(t *testing.T) {
	direct, through := sealed(t, &relay.Config{MaxText: 1000})
	insert := []pgproto3.FrontendMessage{
		&pgproto3.Parse{Query: "INSERT INTO patients (id, ssn) SELECT 1 + count(*), $1 FROM plain"},
		&pgproto3.Bind{Parameters: [][]byte{[]byte("canary-1")}}, &pgproto3.Execute{}, &pgproto3.Sync{},
	}
	again := []pgproto3.FrontendMessage{&pgproto3.Bind{Parameters: [][]byte{[]byte("canary-2")}}, &pgproto3.Execute{}, &pgproto3.Sync{}}
	for what, refused := range map[string]string{
		"refused": "SELECT id FROM patients WHERE upper(ssn) = $1", "constant": "SELECT $1::text FROM patients WHERE age = 'x'",
		"too long": "SELECT $1 --" + strings.Repeat("x", 1000), "unknown": "SELECT nonesuch FROM patients WHERE ssn = $1",
	} {
		script := encode(t, insert...)
		script = append(script, encode(t, &pgproto3.Parse{Query: refused}, &pgproto3.Sync{})...)
		script = append(script, encode(t, again...)...)
		got := play(t, hijack(t, through), script)
		if len(got) < 9 || !strings.HasPrefix(got[4], "E ") || got[6] != "E 26000" {
			t.Errorf("%s: answers are %s", what, strings.Join(got, ", "))
		}
		mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), "DELETE FROM patients")
	}
	// A statement with a name stays.
	script := encode(t, &pgproto3.Parse{Name: "s", Query: "SELECT 7"}, &pgproto3.Sync{},
		&pgproto3.Parse{Name: "s", Query: "SELECT id FROM patients WHERE upper(ssn) = $1"}, &pgproto3.Sync{},
		&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	got := play(t, hijack(t, through), script)
	if len(got) < 8 || got[2] != "E 0A000" || !strings.HasPrefix(got[5], "D ") {
		t.Errorf("answers are %s", strings.Join(got, ", "))
	}
}

func TestAQueryWithoutATextIsAnError(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	script := append([]byte{'Q', 0, 0, 0, 4}, encode(t, &pgproto3.Query{String: "SELECT 1"})...)
	want := play(t, hijack(t, direct), script)
	if want[0] != "E 08P01" {
		t.Fatalf("the server says %s", want[0])
	}
	wantWords(t, play(t, hijack(t, through), script), strings.Join(want, ", "))
}

func TestARefusalFailsTheTransaction(t *testing.T) {
	ctx := context.Background()
	for _, mode := range modes {
		_, through := sealed(t, &relay.Config{})
		conn := connect(t, through, mode)
		mustExec(t, conn, "BEGIN")
		mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ($1, $2)", 1, "canary-one")
		_, err := conn.Exec(ctx, "SELECT ssn || 'x' FROM patients")
		wantState(t, err, "0A000")
		if status := conn.PgConn().TxStatus(); status != 'E' {
			t.Fatalf("%v: status is %c", mode, status)
		}
		_, err = conn.Exec(ctx, "SELECT ssn FROM patients")
		wantState(t, err, "25P02")
		_, err = conn.Exec(ctx, "SELECT ssn || 'x' FROM patients")
		wantState(t, err, "25P02")
		mustExec(t, conn, "ROLLBACK")
		var n int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM patients").Scan(&n); err != nil || n != 0 {
			t.Fatalf("count is %d, %v", n, err)
		}
	}
}

func TestAPreparedStatementThatMeansAnotherTableIsToBePreparedAgain(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, raw, "CREATE SCHEMA other; CREATE TABLE other.patients (id int, ssn text)")
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	if _, err := conn.Prepare(ctx, "ins", "INSERT INTO patients (id, ssn) VALUES ($1, $2)"); err != nil {
		t.Fatal(err)
	}
	pg := conn.PgConn()
	run := func(id string) error {
		return pg.ExecPrepared(ctx, "ins", [][]byte{[]byte(id), []byte("canary-value")}, nil, nil).Read().Err
	}
	if err := run("1"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "SET search_path = other")
	wantState(t, run("2"), "0A000")
	mustExec(t, conn, "SET search_path = public")
	if err := run("3"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "BEGIN; SET LOCAL search_path = other; ROLLBACK")
	if err := run("4"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "CREATE TEMP TABLE patients (id int, ssn text)")
	wantState(t, run("5"), "0A000")
	mustExec(t, conn, "DISCARD TEMP")
	if err := run("6"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "DISCARD ALL")
	wantState(t, run("7"), "26000")
	var n int
	if err := raw.QueryRow(ctx, "SELECT count(*) FROM public.patients").Scan(&n); err != nil || n != 4 {
		t.Fatalf("count is %d, %v", n, err)
	}
}

func TestATemporaryTableHidesTheSealedOne(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	other := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "BEGIN")
	mustExec(t, conn, "CREATE TEMP TABLE patients (id int, ssn text)")
	mustExec(t, conn, "INSERT INTO patients VALUES (1, 'plain')")
	mustExec(t, other, "INSERT INTO patients (id, ssn) VALUES (1, 'canary')")
	var ssn string
	if err := conn.QueryRow(ctx, "SELECT ssn FROM patients WHERE ssn LIKE 'pl%'").Scan(&ssn); err != nil || ssn != "plain" {
		t.Fatalf("got %q, %v", ssn, err)
	}
	mustExec(t, conn, "ROLLBACK")
	if err := conn.QueryRow(ctx, "SELECT ssn FROM patients").Scan(&ssn); err != nil || ssn != "canary" {
		t.Fatalf("got %q, %v", ssn, err)
	}
}

// What a session did to its temporary objects decides which table a name means.
func TestATemporaryTableThatIsGoneHidesNothing(t *testing.T) {
	const insert = "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')"
	for _, steps := range [][]string{
		{"CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "DROP TABLE patients"},
		{"CREATE TEMP VIEW patients AS SELECT 1 AS id, ''::text AS ssn", "SELECT count(*) FROM patients", "ALTER VIEW patients RENAME TO others"},
		{"CREATE TEMP VIEW patients AS SELECT 1 AS id, ''::text AS ssn", "SELECT count(*) FROM patients", "DROP VIEW patients"},
		{"CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "DISCARD TEMP"},
		{"CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "DO $$BEGIN EXECUTE 'DROP TABLE pg_temp.pat' || 'ients'; END$$"},
		{"BEGIN", "CREATE TEMP TABLE patients (id int, ssn text) ON COMMIT DROP", "SELECT count(*) FROM patients", "COMMIT"},
		{"BEGIN", "CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "ROLLBACK"},
		{"BEGIN", "SAVEPOINT a", "CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "ROLLBACK TO a", "COMMIT"},
		{"CREATE TEMP TABLE other (id int)", "CREATE TEMP TABLE patients (id int, ssn text)", "SELECT count(*) FROM patients", "DROP TABLE patients"},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			direct, through := sealed(t, &relay.Config{})
			conn := connect(t, through, mode)
			for _, step := range steps {
				mustExec(t, conn, step)
			}
			mustExec(t, conn, insert)
			wantSealed(t, direct, strings.Join(steps, "; "))
		}
	}
}

// wantSealed wants a row of patients, whose ssn is sealed.
func wantSealed(t testing.TB, direct, what string) {
	t.Helper()
	var n, clear int
	err := connect(t, direct, pgx.QueryExecModeSimpleProtocol).QueryRow(context.Background(),
		"SELECT count(*), count(*) FILTER (WHERE position('canary'::bytea in ssn) > 0) FROM public.patients").Scan(&n, &clear)
	if err != nil || n == 0 || clear > 0 {
		t.Errorf("after %s: %d rows, %d in clear, %v", what, n, clear, err)
	}
}

// A function may make a temporary table without the text saying so.
func TestATemporaryTableIsNobodyElses(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, raw, `CREATE FUNCTION hide() RETURNS int LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'CREATE TEMP TABLE pat' || 'ients (id int, ssn text)'; RETURN 1; END$$`)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	other := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "SELECT hide()")
	mustExec(t, raw, "CREATE TABLE another (id int)")
	mustExec(t, conn, "CREATE TABLE yet_another (id int)")
	mustExec(t, conn, "SELECT count(*) FROM patients")
	mustExec(t, other, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
	wantSealed(t, direct, "a function's temporary table")
}

// What runs in the database may set search_path without the text saying so.
func TestCodeOfTheDatabaseMayChangeSettings(t *testing.T) {
	const setter = "CREATE FUNCTION setter() RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('search_path', 'public', false); RETURN 1; END$$; "
	for _, c := range []struct{ ddl, sql string }{
		{"", "UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path'"},
		{setter, "SELECT setter()"},
		{setter + "CREATE VIEW public.sets AS SELECT setter() AS x", "SELECT * FROM public.sets"},
		{setter + "ALTER TABLE public.plain ALTER id SET DEFAULT setter()", "INSERT INTO public.plain (note) VALUES ('x')"},
		{setter + "CREATE DOMAIN public.d AS int CHECK (setter() > 0)", "SELECT 1::public.d"},
		{"CREATE DOMAIN public.d AS int CHECK (set_config('search_path', 'public', false) <> '')", "SELECT 1::public.d"},
		{"CREATE VIEW public.sets AS SELECT set_config('search_path', 'public', false)", "SELECT * FROM public.sets"},
		{"CREATE VIEW public.sets AS SELECT * FROM pg_settings", "UPDATE public.sets SET setting = 'public' WHERE name = 'search_path'"},
		{"CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT set_config('search_path', 'public', false); END", "SELECT f()"},
		{"CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SET search_path = public; RETURN NEW; END$$; " +
			"CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION tf()", "INSERT INTO public.plain VALUES (1, 'x')"},
		{
			"CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SET sea' || 'rch_path = public'; RETURN NEW; END$$; " +
				"CREATE CONSTRAINT TRIGGER t AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tf()",
			"INSERT INTO public.plain VALUES (1, 'x')",
		},
	} {
		direct, through := sealed(t, &relay.Config{})
		mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol),
			"CREATE SCHEMA other; CREATE TABLE other.patients (id int, ssn text); SET search_path = public; "+c.ddl)
		for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			conn := connect(t, through, mode)
			mustExec(t, conn, "SET search_path = other, public")
			mustExec(t, conn, "SELECT count(*) FROM patients WHERE ssn = 'x'")
			mustExec(t, conn, c.sql)
			mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ("+strconv.Itoa(i)+", 'canary-1')")
			mustExec(t, conn, "DELETE FROM public.plain")
		}
		wantSealed(t, direct, c.ddl+"; "+c.sql)
	}
}

// Another session makes a schema that search_path names, with a table that hides the sealed one.
func TestAValueOfATableThatTheAnalysisDidNotMeanIsNotOpened(t *testing.T) {
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeDescribeExec} {
		direct, through := sealed(t, &relay.Config{})
		raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
		conn := connect(t, through, mode)
		mustExec(t, conn, "SET search_path = late, public")
		mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
		mustExec(t, conn, "SELECT ssn FROM patients")
		mustExec(t, raw, "CREATE SCHEMA late; CREATE TABLE late.patients AS SELECT * FROM public.patients")
		var got []byte
		if err := conn.QueryRow(ctx, "SELECT ssn FROM patients").Scan(&got); err == nil && bytes.Contains(got, []byte("canary")) {
			t.Errorf("%v: a value of another table is opened: %q", mode, got)
		}
		// From then on the name is known to mean that table.
		if err := conn.QueryRow(ctx, "SELECT ssn FROM patients").Scan(&got); err != nil || bytes.Contains(got, []byte("canary")) || len(got) < 40 {
			t.Errorf("%v: later the value is %q, %v", mode, got, err)
		}
		_, err := conn.Exec(ctx, "INSERT INTO patients (id, ssn) VALUES (2, 'canary-2')")
		if err != nil {
			t.Errorf("%v: insert into a plain table: %v", mode, err)
		}
		mustExec(t, raw, "DROP SCHEMA late CASCADE; DROP TABLE patients; "+patientsDDL[:strings.Index(patientsDDL, ";")])
	}
}

// A table that was made anew is the sealed one all the same.
func TestAPreparedStatementOpensWhatATableMadeAnewHolds(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	if _, err := conn.Prepare(ctx, "s", "SELECT ssn FROM patients WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, raw, "ALTER TABLE patients RENAME TO old; "+patientsDDL[:strings.Index(patientsDDL, ";")]+"; DROP TABLE old")
	mustExec(t, conn, "CREATE TABLE noticed (id int)")
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
	for range 2 {
		r := conn.PgConn().ExecPrepared(ctx, "s", [][]byte{[]byte("1")}, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "canary-1" {
			t.Errorf("got %q, %v", r.Rows, r.Err)
		}
	}
}

func TestSettingsOfTheSessionAreThoseOfItsValues(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "SET client_encoding = 'LATIN1'")
	_, err := conn.Exec(ctx, "SELECT ssn FROM patients")
	wantState(t, err, "0A000")
	mustExec(t, conn, "RESET client_encoding")
	mustExec(t, conn, "SELECT ssn FROM patients")
}

func TestSQLPreparedStatementsAndCursorsOpen(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-2')")
	one := func(sql string) (s string) {
		t.Helper()
		if err := conn.QueryRow(ctx, sql).Scan(&s); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return s
	}
	mustExec(t, conn, "PREPARE q AS SELECT ssn FROM patients WHERE id = $1")
	if got := one("EXECUTE q(2)"); got != "canary-2" {
		t.Errorf("EXECUTE gives %q", got)
	}
	mustExec(t, conn, "BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM patients ORDER BY id")
	if got := one("FETCH 1 FROM c"); got != "canary-1" {
		t.Errorf("FETCH gives %q", got)
	}
	if got := one("FETCH 1 FROM c"); got != "canary-2" {
		t.Errorf("FETCH gives %q", got)
	}
	mustExec(t, conn, "CLOSE c; COMMIT")
	r := conn.PgConn().ExecPrepared(ctx, "q", [][]byte{[]byte("1")}, nil, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != "canary-1" {
		t.Errorf("a statement that SQL prepared gives %q, %v", r.Rows, r.Err)
	}
	mustExec(t, conn, "SET search_path = pg_catalog")
	_, err := conn.Exec(ctx, "EXECUTE q(1)")
	wantState(t, err, "0A000")
	mustExec(t, conn, "RESET search_path")
	mustExec(t, conn, "EXECUTE q(1)")
	_, err = conn.Exec(ctx, "SELECT 1/0; DEALLOCATE ALL")
	wantState(t, err, "22012")
	mustExec(t, conn, "EXECUTE q(1)")
	mustExec(t, conn, "DEALLOCATE q")
	_, err = conn.Exec(ctx, "EXECUTE q(1)")
	wantState(t, err, "26000")
}

func TestDeallocateAllKeepsCursorsAndPortals(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-2'), (3, 'canary-3')")
	mustExec(t, conn, "BEGIN; DECLARE c CURSOR FOR SELECT ssn FROM patients ORDER BY id")
	mustExec(t, conn, "DEALLOCATE ALL")
	var ssn string
	if err := conn.QueryRow(ctx, "FETCH c").Scan(&ssn); err != nil || ssn != "canary-1" {
		t.Errorf("a cursor gives %q, %v", ssn, err)
	}
	p := conn.PgConn().StartPipeline(ctx)
	query(p, "DEALLOCATE ALL")
	query(p, "FETCH c")
	query(p, "DISCARD PLANS")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, pipeline(t, p), "DEALLOCATE ALL, canary-2, FETCH 1, DISCARD PLANS, sync")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "CLOSE c; COMMIT")
	script := encode(t, &pgproto3.Query{String: "BEGIN"}, &pgproto3.Parse{Name: "s", Query: "SELECT ssn FROM patients ORDER BY id"},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{},
		&pgproto3.Query{String: "DEALLOCATE ALL"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
	wantWords(t, play(t, hijack(t, through), script), `C "BEGIN\x00", Z "T", 1 "", 2 "", D "\x00\x01\x00\x00\x00\bcanary-1", s "", Z "T", `+
		`C "DEALLOCATE ALL\x00", Z "T", D "\x00\x01\x00\x00\x00\bcanary-2", s "", Z "T", `+
		`Z "T", C "ROLLBACK\x00", Z "I", T ?column?:25:-1:-1:0, D "\x00\x01\x00\x00\x00\x11end of the script", C "SELECT 1\x00", Z "I"`)
}

func TestDescriptionsAreLogical(t *testing.T) {
	ctx := context.Background()
	_, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeExec)
	d, err := conn.Prepare(ctx, "s", "SELECT id, ssn, age, name FROM patients WHERE ssn = $1 AND age = $2")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.ParamOIDs) != 2 || d.ParamOIDs[0] != 25 || d.ParamOIDs[1] != 23 {
		t.Errorf("parameters are %v", d.ParamOIDs)
	}
	var types []uint32
	for _, f := range d.Fields {
		types = append(types, f.DataTypeOID)
	}
	if len(types) != 4 || types[0] != 23 || types[1] != 25 || types[2] != 23 || types[3] != 1043 {
		t.Errorf("columns are %v", types)
	}
	if f := d.Fields[3]; f.TypeModifier != 49 || f.DataTypeSize != -1 {
		t.Errorf("varchar(45) has modifier %d, size %d", f.TypeModifier, f.DataTypeSize)
	}
}

func TestErrorsShowNoRowAndTheClientsPosition(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), "CREATE UNIQUE INDEX ssn_term ON patients (substr(ssn, 9, 16))")
	for _, mode := range modes {
		conn := connect(t, through, mode)
		mustExec(t, conn, "DELETE FROM patients")
		mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ($1, $2)", 1, "canary-one")
		_, err := conn.Exec(ctx, "INSERT INTO patients (id, ssn) VALUES ($1, $2)", 2, "canary-one")
		wantState(t, err, "23505")
		var pg *pgconn.PgError
		if asPg(err, &pg) && (strings.Contains(pg.Detail, `\x`) || pg.ConstraintName != "ssn_term") {
			t.Errorf("detail is %q, constraint %q", pg.Detail, pg.ConstraintName)
		}
		_, err = conn.Exec(ctx, "INSERT INTO patients (id, ssn, nonesuch) VALUES (1, 'canary-é-one', 2)")
		if !asPg(err, &pg) {
			t.Fatalf("error is %v", err)
		}
		if pg.Code != "42703" || pg.Position != 32 {
			t.Errorf("%v: SQLSTATE %s, position %d", mode, pg.Code, pg.Position)
		}
	}
}

func TestAValueThatDoesNotOpenEndsItsStatementOnly(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-2'), (3, 'canary-3')")
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol),
		"UPDATE patients SET ssn = set_byte(ssn, length(ssn) - 1, get_byte(ssn, length(ssn) - 1) # 1) WHERE id = 2")
	results, err := conn.PgConn().Exec(ctx, "SELECT id, ssn FROM patients ORDER BY id; SELECT 1").ReadAll()
	wantState(t, err, "XX001")
	if len(results) != 1 {
		t.Errorf("%d results", len(results))
	}
	mustExec(t, conn, "SELECT ssn FROM patients WHERE id = 1")
	p := conn.PgConn().StartPipeline(ctx)
	query(p, "SELECT ssn FROM patients ORDER BY id")
	query(p, "SELECT 1")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	query(p, "SELECT ssn FROM patients WHERE id = 3")
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, pipeline(t, p), "canary-1, error XX001, sync, canary-3, SELECT 1, sync")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRowsWaitForKeysInAWindow(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	_ = direct
	conn := connect(t, through, pgx.QueryExecModeExec)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
	mustExec(t, conn, "INSERT INTO plain SELECT g, 'x' FROM generate_series(1, 3000) g")
	rows, err := conn.Query(ctx, "SELECT ssn, g FROM patients, generate_series(1, 3000) g ORDER BY g")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		var ssn string
		var g int
		if err := rows.Scan(&ssn, &g); err != nil || ssn != "canary-1" || g != n+1 {
			t.Fatalf("row %d is %q, %d, %v", n, ssn, g, err)
		}
		n++
	}
	if rows.Err() != nil || n != 3000 {
		t.Fatalf("%d rows, %v", n, rows.Err())
	}
}

func TestPolicyIsReplacedUnderASession(t *testing.T) {
	ctx := context.Background()
	shared := relay.NewShared(nil, nil)
	_, through := sealed(t, &relay.Config{Shared: shared})
	conn := connect(t, through, pgx.QueryExecModeExec)
	if _, err := conn.Prepare(ctx, "s", "SELECT ssn FROM patients WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "SELECT 1")
	shared.Replace(patients(t), newCipher(t))
	r := conn.PgConn().ExecPrepared(ctx, "s", [][]byte{[]byte("1")}, nil, nil).Read()
	wantState(t, r.Err, "0A000")
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ($1, $2)", 1, "canary-1")
	var ssn string
	if err := conn.QueryRow(ctx, "SELECT ssn FROM patients").Scan(&ssn); err != nil || ssn != "canary-1" {
		t.Fatalf("got %q, %v", ssn, err)
	}
}

func TestWhatWasPreparedUnderAPolicyIsNotRunWithoutIt(t *testing.T) {
	ctx := context.Background()
	shared := relay.NewShared(patients(t), newCipher(t))
	_, through := sealed(t, &relay.Config{Shared: shared})
	conn := connect(t, through, pgx.QueryExecModeExec)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES ($1, $2)", 1, "canary-1")
	if _, err := conn.Prepare(ctx, "s", "SELECT id FROM patients WHERE ssn = $1"); err != nil {
		t.Fatal(err)
	}
	shared.Replace(nil, nil)
	r := conn.PgConn().ExecPrepared(ctx, "s", [][]byte{[]byte("canary-1")}, nil, nil).Read()
	wantState(t, r.Err, "0A000")
	var stored []byte
	if err := conn.QueryRow(ctx, "SELECT ssn FROM patients").Scan(&stored); err != nil || bytes.Contains(stored, []byte("canary")) {
		t.Fatalf("without a policy the column is %d bytes, %v", len(stored), err)
	}
}

func TestAFixedTenantCannotBeSet(t *testing.T) {
	_, through := sealed(t, &relay.Config{Tenant: "acme"})
	conn := connect(t, through, pgx.QueryExecModeExec)
	_, err := conn.Exec(context.Background(), "SET rowseal.tenant = 'other'")
	wantState(t, err, "42501")
	_, err = conn.Exec(context.Background(), "SELECT set_config('Rowseal.Tenant', 'other', false)")
	wantState(t, err, "42501")
	mustExec(t, conn, "SET application_name = 'x'")
}

func TestLongTextsAreRefused(t *testing.T) {
	_, through := sealed(t, &relay.Config{MaxText: 100000})
	for _, mode := range modes {
		conn := connect(t, through, mode)
		long := "SELECT '" + string(bytes.Repeat([]byte("x"), 200000)) + "'"
		_, err := conn.Exec(context.Background(), long)
		wantState(t, err, "54000")
		mustExec(t, conn, "SELECT 1")
	}
}

func TestCopyIsSealedAndOpened(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	conn := connect(t, through, pgx.QueryExecModeCacheStatement)
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"patients"}, []string{"id", "ssn", "age"},
		pgx.CopyFromSlice(3000, func(i int) ([]any, error) { return []any{i, "canary-copy", int32(i)}, nil }))
	if err != nil || n != 3000 {
		t.Fatalf("copied %d, %v", n, err)
	}
	var leaks int
	if err := raw.QueryRow(ctx, "SELECT count(*) FROM patients WHERE position('canary'::bytea in ssn) > 0").Scan(&leaks); err != nil || leaks != 0 {
		t.Fatalf("%d values are in clear, %v", leaks, err)
	}
	pg := conn.PgConn()
	if _, err := pg.CopyFrom(ctx, strings.NewReader("5000\tcanary-text\t41\n5001\t\\N\t\\N\n"), "COPY patients (id, ssn, age) FROM STDIN"); err != nil {
		t.Fatal(err)
	}
	_, err = pg.CopyFrom(ctx, strings.NewReader("5002\tcanary-bad\tno number\n"), "COPY patients (id, ssn, age) FROM STDIN")
	wantState(t, err, "22P02")
	mustExec(t, conn, "SELECT 1")
	var out bytes.Buffer
	if _, err := pg.CopyTo(ctx, &out, "COPY (SELECT id, ssn, age FROM patients WHERE id >= 5000 ORDER BY id) TO STDOUT"); err != nil {
		t.Fatal(err)
	}
	if out.String() != "5000\tcanary-text\t41\n5001\t\\N\t\\N\n" {
		t.Errorf("copied out %q", out.String())
	}
	_, err = pg.CopyFrom(ctx, strings.NewReader("5000\tcanary-dup\t41\n"), "COPY patients (id, ssn, age) FROM STDIN")
	wantState(t, err, "23505")
	mustExec(t, conn, "SELECT 1")
}

// What a COPY of a plain table leaves behind must not be taken for the next one's answer.
func TestCopyIsSealedBehindCopiesOfPlainTables(t *testing.T) {
	ctx := context.Background()
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
	for i := range 3 {
		for _, c := range []struct{ sql, data string }{
			{"COPY plain FROM STDIN", ""},
			{"COPY plain FROM STDIN", ""},
			{"COPY patients (id, ssn) FROM STDIN", strconv.Itoa(7000+i) + "\tcanary-copy\n"},
		} {
			if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(c.data), c.sql); err != nil {
				t.Fatalf("%s: %v", c.sql, err)
			}
		}
	}
	var rows, leaks int
	err := raw.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE position('canary'::bytea in ssn) > 0) FROM patients WHERE id >= 7000").Scan(&rows, &leaks)
	if err != nil || rows != 3 || leaks != 0 {
		t.Fatalf("%d of %d values are in clear, %v", leaks, rows, err)
	}
}

func TestSeveralCopiesInOneTextKnowTheirData(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	conn := hijack(t, through)
	data := func(s string) []byte {
		return encode(t, &pgproto3.CopyData{Data: []byte(s)}, &pgproto3.CopyDone{})
	}
	script := encode(t, &pgproto3.Query{String: "COPY plain FROM STDIN; COPY patients (id, ssn) FROM STDIN; COPY plain FROM STDIN"})
	script = append(append(append(script, data("1\tone\n")...), data("1\tcanary-one\n")...), data("2\ttwo\n")...)
	script = append(script, encode(t, &pgproto3.Query{String: "COPY patients (id, ssn, age) FROM STDIN"})...)
	script = append(script, data("2\tcanary-bad\tbad\n")...)
	script = append(script, encode(t, &pgproto3.Query{String: "SELECT ssn FROM patients"},
		// libpq sends a Sync with the Execute of a COPY, which the server ignores, and one behind the data.
		&pgproto3.Parse{Query: "COPY patients (id, ssn) FROM STDIN"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
	script = append(append(script, data("3\tcanary-three\n")...), encode(t, &pgproto3.Sync{},
		&pgproto3.Query{String: "COPY (SELECT id, ssn FROM patients ORDER BY id) TO STDOUT"})...)
	wantWords(t, play(t, conn, script), `G "\x00\x00\x02\x00\x00\x00\x00", C "COPY 1\x00", G "\x00\x00\x02\x00\x00\x00\x00", C "COPY 1\x00", `+
		`G "\x00\x00\x02\x00\x00\x00\x00", C "COPY 1\x00", Z "I", G "\x00\x00\x03\x00\x00\x00\x00\x00\x00", E 22P02, Z "I", `+
		`T ssn:25:-1:-1:0, D "\x00\x01\x00\x00\x00\ncanary-one", C "SELECT 1\x00", Z "I", `+
		`1 "", 2 "", G "\x00\x00\x02\x00\x00\x00\x00", C "COPY 1\x00", Z "I", `+
		`H "\x00\x00\x02\x00\x00\x00\x00", d "1\tcanary-one\n", d "3\tcanary-three\n", c "", C "COPY 2\x00", Z "I", `+
		`Z "I", C "ROLLBACK\x00", Z "I", T ?column?:25:-1:-1:0, D "\x00\x01\x00\x00\x00\x11end of the script", C "SELECT 1\x00", Z "I"`)
	var n int
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	if err := raw.QueryRow(context.Background(), "SELECT count(*) FROM patients WHERE position('canary'::bytea in ssn) > 0").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d values are in clear, %v", n, err)
	}
}
