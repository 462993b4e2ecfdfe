package relay_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

const (
	opened      = "CASE WHEN true THEN ssn END AS x FROM patients"
	copied      = "CASE WHEN true THEN data END AS x FROM raw WHERE id = 77"
	declares    = "DECLARE c CURSOR FOR SELECT " + opened
	prepares    = "PREPARE pr AS SELECT " + opened
	exchangeC   = "DO $$ BEGIN EXECUTE 'CLOSE c'; EXECUTE 'DECLARE c CURSOR FOR SELECT " + copied + "'; END $$"
	exchangeR   = "DO $$ DECLARE r refcursor := 'c'; BEGIN CLOSE r; OPEN r FOR SELECT " + copied + "; END $$"
	newFunction = "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE plpgsql AS $$ DECLARE r refcursor := 'c'; BEGIN CLOSE r; OPEN r FOR SELECT " + copied + "; RETURN 1; END $$"
	exchangeP   = "DO $$ BEGIN EXECUTE 'DEALLOCATE pr'; EXECUTE 'PREPARE pr AS SELECT " + copied + "'; END $$"
)

// exchanges are scripts that have something else made under a name. "B x" stands for Bind and Execute of a statement, "P x"
// for Parse of opened under a name; all else is a text.
var exchanges = []struct {
	name  string
	steps []string
}{
	{"cursor", []string{"BEGIN", declares, exchangeC, "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, fetched before", []string{"BEGIN", declares, "FETCH 1 FROM c", "SELECT 1", exchangeC, "SELECT 1", "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor of plpgsql", []string{"BEGIN", declares, exchangeR, "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, in one text", []string{"BEGIN", declares + "; " + exchangeC, "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, fetched in one text", []string{"BEGIN", declares, exchangeC + "; FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor of the transaction before", []string{
		"BEGIN", declares, "COMMIT", "BEGIN",
		"DO $$ BEGIN EXECUTE 'DECLARE c CURSOR FOR SELECT " + copied + "'; END $$", "FETCH ALL FROM c", "ROLLBACK",
	}},
	{"cursor, by a function", []string{"BEGIN", declares, "SELECT exchange_cursor()", "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, by a function amid the text", []string{"BEGIN", declares, "SELECT exchange_cursor(); FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, by a trigger", []string{"BEGIN", declares, "INSERT INTO triggers VALUES (1)", "FETCH ALL FROM c", "ROLLBACK"}},
	{"cursor, by a new function", []string{"BEGIN", declares, newFunction + "; SELECT pg_temp.f()", "FETCH ALL FROM c", "ROLLBACK"}},
	{"statement", []string{prepares, exchangeP, "EXECUTE pr"}},
	{"statement, bound", []string{prepares, exchangeP, "B pr"}},
	{"statement, executed before", []string{prepares, "EXECUTE pr", exchangeP, "EXECUTE pr"}},
	{"statement of the protocol", []string{"P pr", exchangeP, "B pr"}},
	{"statement of the protocol, bound before", []string{"P pr", "B pr", exchangeP, "B pr", "EXECUTE pr"}},
	{"statement, by a deferred trigger", []string{"BEGIN", "INSERT INTO deferred VALUES (1)", prepares, "COMMIT", "EXECUTE pr"}},
}

const exchangers = `CREATE TABLE raw (id int, data bytea); CREATE TABLE triggers (id int); CREATE TABLE deferred (id int);
CREATE FUNCTION exchange_cursor() RETURNS int LANGUAGE plpgsql AS $f$
	DECLARE r refcursor := 'c'; BEGIN CLOSE r; OPEN r FOR SELECT CASE WHEN true THEN data END AS x FROM raw WHERE id = 77; RETURN 1; END $f$;
CREATE FUNCTION exchange_row() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM exchange_cursor(); RETURN NEW; END $f$;
CREATE FUNCTION exchange_late() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
	EXECUTE 'DEALLOCATE pr'; EXECUTE 'PREPARE pr AS SELECT CASE WHEN true THEN data END AS x FROM raw WHERE id = 77'; RETURN NULL; END $f$;
CREATE TRIGGER t BEFORE INSERT ON triggers FOR EACH ROW EXECUTE FUNCTION exchange_row();
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exchange_late();`

// step carries out a step of a script and gives the rows.
func step(t testing.TB, conn *pgx.Conn, s string) []byte {
	t.Helper()
	ctx, pg := context.Background(), conn.PgConn()
	var out []byte
	rows := func(list [][][]byte) {
		for _, r := range list {
			out = append(append(out, bytes.Join(r, []byte(","))...), '\n')
		}
	}
	verb, name, _ := strings.Cut(s, " ")
	switch verb {
	case "P":
		if _, err := pg.Prepare(ctx, name, "SELECT "+opened, nil); err != nil {
			t.Fatal(err)
		}
	case "B":
		rows(pg.ExecPrepared(ctx, name, nil, nil, nil).Read().Rows)
	default:
		results, _ := pg.Exec(ctx, s).ReadAll()
		for _, r := range results {
			rows(r.Rows)
		}
	}
	return out
}

func TestWhatIsExchangedUnderANameIsNotOpened(t *testing.T) {
	for _, with := range []bool{false, true} {
		direct, through := sealed(t, &relay.Config{})
		raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
		mustExec(t, raw, "CREATE TABLE raw (id int, data bytea)")
		if with {
			mustExec(t, raw, "DROP TABLE raw; "+exchangers)
		}
		fill := connect(t, through, pgx.QueryExecModeSimpleProtocol)
		mustExec(t, fill, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')")
		mustExec(t, raw, "INSERT INTO raw SELECT 77, ssn FROM patients")
		mustExec(t, raw, "UPDATE patients SET ssn = NULL")
		for _, f := range exchanges {
			if !with && strings.Contains(f.name, ", by a ") && f.name != "cursor, by a new function" {
				continue
			}
			t.Run(f.name, func(t *testing.T) {
				conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
				for _, s := range f.steps {
					if out := step(t, conn, s); bytes.Contains(out, []byte("canary")) {
						t.Errorf("%s: gives %q", s, out)
					}
				}
			})
		}
	}
}

// What was not exchanged is opened, whatever code ran.
func TestNamesOutliveCode(t *testing.T) {
	for _, with := range []string{"", exchangers} {
		direct, through := sealed(t, &relay.Config{})
		mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), with+"; CREATE TABLE plainer (id int)")
		conn := connect(t, through, pgx.QueryExecModeSimpleProtocol)
		mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-1'), (3, 'canary-1'), (4, 'canary-1')")
		code := "DO $$ BEGIN PERFORM 1; END $$"
		for _, s := range []string{
			"BEGIN", declares, prepares, "P ps", code, "FETCH 1 FROM c", "INSERT INTO plainer VALUES (1)", "FETCH 1 FROM c", code, code, "FETCH 1 FROM c",
			"FETCH 1 FROM c", "EXECUTE pr", "B pr", "B ps", "EXECUTE ps", code, "B ps", "EXECUTE pr", "COMMIT", "B ps", "EXECUTE pr", code, "B pr",
		} {
			out := step(t, conn, s)
			if reads := strings.HasPrefix(s, "FETCH") || strings.HasPrefix(s, "B ") || strings.HasPrefix(s, "EXECUTE"); reads != bytes.Contains(out, []byte("canary-1")) {
				t.Errorf("%s: gives %q", s, out)
			}
		}
	}
}

func TestAPortalThatIsExchangedIsNotOpened(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, raw, "CREATE TABLE raw (id int, data bytea)")
	mustExec(t, connect(t, through, pgx.QueryExecModeSimpleProtocol), "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1'), (2, 'canary-1')")
	mustExec(t, raw, "INSERT INTO raw SELECT 77, ssn FROM patients WHERE id = 1")
	for _, code := range []string{"DO $$ BEGIN PERFORM 1; END $$", exchangeC} {
		words := play(t, hijack(t, through), encode(t, &pgproto3.Query{String: "BEGIN"}, &pgproto3.Parse{Query: "SELECT " + opened},
			&pgproto3.Bind{DestinationPortal: "c"}, &pgproto3.Execute{Portal: "c", MaxRows: 1}, &pgproto3.Sync{},
			&pgproto3.Query{String: code}, &pgproto3.Execute{Portal: "c"}, &pgproto3.Sync{}))
		want := 1
		if code != exchangeC {
			want = 2
		}
		if got := strings.Count(strings.Join(words, " "), "canary-1"); got != want {
			t.Errorf("%s: %d values are opened, want %d: %q", code, got, want, words)
		}
	}
}

// The values were meant for sealed columns: they are not sent to what has taken the statement's place.
func TestValuesAreNotSentToAnExchangedStatement(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	tap, recorded := record(t, direct)
	conn := connect(t, proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))}), pgx.QueryExecModeSimpleProtocol)
	for range 2 {
		mustExec(t, conn, "PREPARE w(int, text) AS INSERT INTO patients (id, ssn) VALUES ($1, $2)")
		mustExec(t, conn, "DO $$ BEGIN EXECUTE 'DEALLOCATE w'; EXECUTE 'PREPARE w(int, text) AS INSERT INTO plain VALUES ($1, $2)'; END $$")
		_, err := conn.Exec(context.Background(), "EXECUTE w(1, 'canary-1')")
		wantState(t, err, "0A000")
		wantState(t, conn.PgConn().ExecPrepared(context.Background(), "w", [][]byte{[]byte("1"), []byte("canary-1")}, nil, nil).Read().Err, "0A000")
		if strings.Contains(tap.take(), "canary") {
			t.Error("a value is in clear on the way to the server")
		}
		mustExec(t, conn, "DEALLOCATE w")
	}
}
