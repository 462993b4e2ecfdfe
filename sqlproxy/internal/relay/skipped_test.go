package relay_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// part is what a client sends, and what it waits for before it goes on: an answer of a type, or that the server got
// a text.
type part struct {
	messages []pgproto3.FrontendMessage
	answer   byte
	reached  string
}

func of(messages ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return messages }

func parsed(name, sql string) pgproto3.FrontendMessage {
	return &pgproto3.Parse{Name: name, Query: sql}
}

func bound(name string, values ...string) pgproto3.FrontendMessage {
	m := &pgproto3.Bind{PreparedStatement: name}
	for _, v := range values {
		m.Parameters = append(m.Parameters, []byte(v))
	}
	return m
}

func asked(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }

const (
	sealedInsert = "INSERT INTO patients (id, ssn) VALUES ($1, $2)"
	badInsert    = "INSERT INTO patients (id, ssn, note) VALUES ($1, $2, nosuchfunction())"
	plainInsert  = "INSERT INTO plain (id, note) VALUES ($1, $2)"
	prepareAs    = "PREPARE s(int, text) AS INSERT INTO patients (id, ssn) VALUES ($1, $2)"
	preparePlain = "PREPARE s(int, text) AS INSERT INTO plain (id, note) VALUES ($1, $2)"
)

var (
	execs, flush, syncs = &pgproto3.Execute{}, &pgproto3.Flush{}, &pgproto3.Sync{}
	divides             = of(parsed("", "SELECT 1/0"), bound(""), execs, flush)
)

// behindErrors are sequences at whose end a value is bound to a name whose Parse the server did not take.
var behindErrors = []struct {
	name  string
	parts []part
	want  string
}{
	{"skipped", []part{
		{divides, 'E', ""},
		{of(parsed("", sealedInsert)), 0, sealedHead},
		{of(bound("", "500", "canary-skip"), execs, syncs), 0, ""},
	}, `Z "I"`},
	{"skipped, named", []part{
		{of(parsed("s", plainInsert), syncs), 'Z', ""},
		{divides, 'E', ""},
		{of(&pgproto3.Close{ObjectType: 'S', Name: "s"}, parsed("s", sealedInsert)), 0, sealedHead},
		{of(bound("s", "500", "canary-skip"), execs, syncs), 0, ""},
	}, `Z "I"`},
	{"failed", []part{
		{of(parsed("", plainInsert), syncs), 'Z', ""},
		{of(parsed("", badInsert), flush), 'E', ""},
		{of(bound("", "500", "canary-fail"), execs, syncs), 0, ""},
	}, `Z "I"`},
	{"failed, named", []part{
		{of(parsed("s", plainInsert), syncs), 'Z', ""},
		{of(parsed("s", sealedInsert), flush), 'E', ""},
		{of(bound("s", "500", "canary-fail"), execs, syncs), 0, ""},
	}, `Z "I"`},
	{"failed, in the pipeline before", []part{
		{of(parsed("", plainInsert), syncs), 'Z', ""},
		{of(parsed("", badInsert), syncs), 'Z', ""},
		{of(bound("", "500", "canary-fail"), execs, syncs), 0, ""},
	}, `E 26000, Z "I"`},
	{"named again without Close", []part{
		{of(parsed("s", sealedInsert), syncs), 'Z', ""},
		{of(parsed("s", plainInsert), bound("s", "500", "canary-again"), execs, syncs), 0, ""},
	}, `E 42P05, Z "I"`},
	{"by SQL, skipped", []part{
		{of(asked(preparePlain)), 'Z', ""},
		{of(asked("EXECUTE s(1, 'x')")), 'Z', ""},
		{divides, 'E', ""},
		{append(append(sent("DEALLOCATE s"), sent(prepareAs)...), sent("EXECUTE s(500, 'canary-sql')")...), 0, ""},
		{of(syncs), 0, ""},
	}, `Z "I"`},
	{"by SQL, in a failed transaction", []part{
		{of(asked(preparePlain), asked("EXECUTE s(1, 'x')"), asked("BEGIN"), asked("SELECT 1/0")), 'E', ""},
		{of(asked("DEALLOCATE s")), 'E', ""},
		{of(asked(prepareAs)), 'E', ""},
		{of(asked("EXECUTE s(500, 'canary-sql')")), 0, ""},
	}, `Z "E", E 25P02, Z "E"`},
	{"by SQL, refused", []part{
		{of(asked(preparePlain), asked("EXECUTE s(1, 'x')"), asked("DEALLOCATE s"), asked("PREPARE s(int, text) AS SELECT id FROM patients WHERE ssn < $2")), 'E', ""},
		{of(asked("EXECUTE s(500, 'canary-sql')")), 0, ""},
	}, `Z "I", E 26000, Z "I"`},
	{"unnamed behind DEALLOCATE ALL", []part{
		{of(parsed("", sealedInsert), parsed("d", "DEALLOCATE ALL"), bound("d"), execs, syncs), 'Z', ""},
		{of(bound("", "500", "canary-all"), execs, syncs), 0, ""},
	}, `2 "", C "INSERT 0 1\x00", Z "I"`},
}

const sealedHead = "INSERT INTO patients"

func TestValuesBehindAnErrorAreNotSentInClear(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	raw := connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	tap, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	for _, f := range behindErrors {
		t.Run(f.name, func(t *testing.T) {
			mustExec(t, raw, "TRUNCATE patients, plain")
			conn := hijack(t, through)
			// The proxy has read the catalog once this is answered, so that nothing of its own comes between.
			if _, err := conn.Write(encode(t, asked("SELECT ssn FROM patients"))); err != nil {
				t.Fatal(err)
			}
			readTo(t, conn, 'Z')
			tap.take()
			last := len(f.parts) - 1
			sent := ""
			for _, p := range f.parts[:last] {
				if _, err := conn.Write(encode(t, p.messages...)); err != nil {
					t.Fatal(err)
				}
				if p.answer != 0 {
					readTo(t, conn, p.answer)
				}
				eventually(t, func() bool {
					sent += tap.take()
					return strings.Contains(sent, p.reached)
				})
			}
			got := play(t, conn, encode(t, f.parts[last].messages...))
			wantWords(t, got[:len(got)-7], f.want)
			if sent += tap.take(); strings.Contains(sent, "canary") {
				t.Error("a value is in clear on the way to the server")
			}
		})
	}
}
