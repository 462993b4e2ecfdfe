package relay_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

var (
	rounds    = flag.Int("pieces.rounds", 60, "how many random sessions are played in pieces")
	firstSeed = flag.Uint64("pieces.seed", 0, "the seed of the first")
)

// pieces writes in pieces, with pauses between them, so that answers come amid what is sent.
type pieces struct {
	net.Conn
	r *rand.Rand
}

func (p *pieces) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		size := min(len(b)-n, 1+p.r.IntN(1+p.r.IntN(120)))
		if _, err := p.Conn.Write(b[n : n+size]); err != nil {
			return n, err
		}
		n += size
		if p.r.IntN(4) == 0 {
			time.Sleep(time.Duration(p.r.IntN(400)) * time.Microsecond)
		}
	}
	return n, nil
}

// pieceTexts are texts with the kinds of their parameters: i for a number, s for a value of a sealed column, t for
// other text. What the proxy refuses has what fails likewise on a plain table behind it.
var pieceTexts = []struct{ text, params, instead string }{
	{"INSERT INTO patients (id, ssn) VALUES ($1, $2)", "is", ""},
	{"INSERT INTO patients (id, ssn) VALUES ($1, $2) RETURNING id, ssn", "is", ""},
	{"SELECT id, ssn FROM patients WHERE ssn = $1 ORDER BY id", "s", ""},
	{"UPDATE patients SET ssn = $2 WHERE id = $1", "is", ""},
	{"INSERT INTO patients (id, ssn, note) VALUES ($1, $2, nosuchfunction())", "is", ""},
	{"SELECT id FROM patients WHERE ssn < $1", "s", "SELECT stands_for_refused"},
	{"INSERT INTO plain (id, note) VALUES ($1, $2)", "it", ""},
	{"SELECT note FROM plain WHERE id = $1", "i", ""},
	{"SELECT $1::text, $2::text", "tt", ""},
	{"SELECT 1/0", "", ""},
	{"SELECT nonsense", "", ""},
	{"INSERT INTO plain VALUES (1, 'twice')", "", ""},
	{"BEGIN", "", ""},
	{"COMMIT", "", ""},
	{"ROLLBACK", "", ""},
	{"DEALLOCATE a", "", ""},
	{"DEALLOCATE ALL", "", ""},
}

// piecer makes the same random session for the proxy and for a plain table. A value that must not be in clear is
// bound only to names that stand for a sealed statement since a message of the same pipeline, if that is taken.
type piecer struct {
	t             testing.TB
	r             *rand.Rand
	sealed, plain []byte
	// params are the kinds of what names were last parsed as, ours those of this pipeline.
	params, ours map[string]string
	n            int
}

func (p *piecer) pick(list ...string) string { return list[p.r.IntN(len(list))] }

func (p *piecer) add(m pgproto3.FrontendMessage) { p.both(m, m) }

func (p *piecer) both(sealed, plain pgproto3.FrontendMessage) {
	p.sealed = append(p.sealed, encode(p.t, sealed)...)
	p.plain = append(p.plain, encode(p.t, plain)...)
}

func (p *piecer) value(kind rune, ours bool) string {
	switch {
	case kind == 's' && ours:
		p.n++
		return fmt.Sprintf("canary-%04d", p.n)
	case kind == 'i':
		return fmt.Sprint(1 + p.r.IntN(30))
	}
	return fmt.Sprint(1 + p.r.IntN(4))
}

func (p *piecer) parse(name string) {
	text := pieceTexts[p.r.IntN(len(pieceTexts))]
	m := &pgproto3.Parse{Name: name, Query: text.text}
	if text.instead == "" {
		p.add(m)
	} else {
		// Where the proxy refuses, the statement of that name stays, but for the unnamed one.
		instead := &pgproto3.Parse{Name: "refused", Query: text.instead}
		if name == "" {
			instead.Name = ""
		}
		p.both(m, instead)
	}
	p.params[name], p.ours[name] = text.params, text.params
}

func (p *piecer) bind(name string) {
	m := &pgproto3.Bind{PreparedStatement: name, DestinationPortal: p.pick("", "", "p")}
	ours, known := p.ours[name]
	for _, kind := range p.params[name] {
		m.Parameters = append(m.Parameters, []byte(p.value(kind, known && strings.Contains(ours, "s"))))
	}
	p.add(m)
	if p.r.IntN(5) > 0 {
		p.add(&pgproto3.Execute{Portal: m.DestinationPortal})
	}
}

// execute prepares by SQL what it executes, so that a name that stands for nothing is not executed: the proxy refuses
// that sooner than the server.
func (p *piecer) execute() {
	prepare, value := "PREPARE a(int, text) AS INSERT INTO plain (id, note) VALUES ($1, $2)", "x"
	if p.r.IntN(2) == 0 {
		prepare, value = "PREPARE a(int, text) AS INSERT INTO patients (id, ssn) VALUES ($1, $2)", p.value('s', true)
	}
	texts := []string{"DEALLOCATE a", prepare, fmt.Sprintf("EXECUTE a(%d, '%s')", 1+p.r.IntN(30), value)}
	for _, text := range texts[p.r.IntN(2):] {
		for _, m := range sent(text) {
			p.add(m)
		}
	}
	p.params[""], p.ours[""] = "", ""
}

func (p *piecer) step() {
	name := p.pick("", "", "", "a", "b")
	switch p.r.IntN(12) {
	case 0, 1:
		p.parse(name)
	case 2, 3, 4, 5:
		if p.r.IntN(3) == 0 {
			p.add(&pgproto3.Close{ObjectType: 'S', Name: name})
		}
		p.parse(name)
		p.bind(name)
	case 6:
		p.bind(name)
	case 7:
		p.add(&pgproto3.Close{ObjectType: p.pick("S", "P")[0], Name: p.pick("", "a", "b", "p")})
	case 8:
		p.add(&pgproto3.Describe{ObjectType: 'S', Name: name})
	case 9:
		p.add(&pgproto3.Flush{})
	case 10:
		p.execute()
	case 11:
		p.end()
	}
}

// end ends the pipeline, with a Query behind it now and then.
func (p *piecer) end() {
	p.add(&pgproto3.Sync{})
	if p.r.IntN(3) == 0 {
		p.add(&pgproto3.Query{String: p.pick("SELECT id, ssn FROM patients ORDER BY id", "SELECT 1/0", "ROLLBACK", "DEALLOCATE ALL", "SELECT 1")})
	}
	p.ours = map[string]string{}
}

func (p *piecer) session() {
	p.params, p.ours = map[string]string{}, map[string]string{}
	for range 5 + p.r.IntN(40) {
		p.step()
	}
}

// TestPipelinesInPiecesSendNothingInClear plays random pipelines, of which much fails, in random pieces. It wants the
// answers of a plain table, and no value in clear, whatever the proxy knows when it reads a message.
func TestPipelinesInPiecesSendNothingInClear(t *testing.T) {
	direct, _ := sealed(t, &relay.Config{})
	tap, recorded := record(t, direct)
	through := proxy(t, recorded, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
	twin := testpg.DSN(t)
	plain, raw := connect(t, twin, pgx.QueryExecModeSimpleProtocol), connect(t, direct, pgx.QueryExecModeSimpleProtocol)
	mustExec(t, plain, reset+"CREATE TABLE patients (id int PRIMARY KEY, ssn text, age int, name varchar(45), note text)")
	for seed := *firstSeed; seed < *firstSeed+uint64(*rounds); seed++ {
		const again = "TRUNCATE patients, plain; INSERT INTO plain SELECT g, 'note ' || g FROM generate_series(1, 10) g"
		mustExec(t, plain, again)
		mustExec(t, raw, again)
		p := &piecer{t: t, r: rand.New(rand.NewPCG(seed, 2))}
		p.session()
		want := play(t, hijack(t, twin), p.plain)
		tap.take()
		got := play(t, &pieces{hijack(t, through), p.r}, p.sealed)
		if sent := tap.take(); strings.Contains(sent, "canary") || len(sent) == 0 {
			at := max(0, strings.Index(sent, "canary"))
			t.Fatalf("seed %d: the server got %q\nscript\n%q", seed, sent[max(0, at-200):min(len(sent), at+50)], p.sealed)
		}
		sameWords(t, fmt.Sprintf("seed %d", seed), got, want, p.sealed)
	}
}
