package plan_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// The tests of this file run statements twice: as they are on plain tables, and
// rewritten on tables whose sealed columns hold what mockSeal makes. Rows must be the same.

// mockTerm is 16 bytes that tell values of a domain and tenant apart.
func mockTerm(c *field.Column, tenant, text string) []byte {
	key := c.Domain()
	if key == "" {
		key = c.String()
	}
	if c.Scope() == field.ScopeGlobal {
		tenant = ""
	}
	sum := sha256.Sum256([]byte(key + "|" + tenant + "|" + text))
	return sum[:16]
}

var nonce byte

// mockSeal is laid out as a sealed value is: a header of 8 bytes, the term, and bytes that differ each time.
func mockSeal(c *field.Column, tenant, text string) []byte {
	guard := c.Guard()
	out := append(append([]byte(nil), guard[:]...), make([]byte, 8-len(guard))...)
	out = append(out, mockTerm(c, tenant, text)...)
	nonce++
	return append(append(out, nonce), text...)
}

func mockOpen(value []byte) string { return string(value[25:]) }

// value gives what a source stands for.
func value(s plan.Source, params [][]byte) (string, bool) {
	switch {
	case s.Param != 0:
		return string(params[s.Param-1]), params[s.Param-1] != nil
	case s.Const != nil:
		return s.Const.Text, !s.Const.Null
	}
	return "t", true
}

// made is a cell's value in text form.
func made(c plan.Cell, params [][]byte) (string, bool) {
	tenant, _ := value(c.Tenant, params)
	text, ok := value(c.From, params)
	switch {
	case !ok:
		return "", false
	case c.Do == plan.Seal:
		return fmt.Sprintf(`\x%x`, mockSeal(c.Column, tenant, text)), true
	case c.Do == plan.Term:
		return fmt.Sprintf(`\x%x`, mockTerm(c.Column, tenant, text)), true
	}
	var terms []string
	for _, element := range strings.Split(strings.Trim(text, "{}"), ",") {
		terms = append(terms, fmt.Sprintf(`"\\x%x"`, mockTerm(c.Column, tenant, element)))
	}
	return "{" + strings.Join(terms, ",") + "}", true
}

// rendered is the text for the server.
func rendered(text string, p *plan.Plan) string {
	if len(p.Pieces) == 0 {
		return text
	}
	var b strings.Builder
	for _, piece := range p.Pieces {
		switch {
		case piece.Cell != 0:
			c := p.Cells[piece.Cell-1]
			v, ok := made(c, nil)
			switch {
			case !ok:
				b.WriteString("NULL::pg_catalog.bytea")
			case c.Do == plan.Terms:
				b.WriteString("'" + v + "'::pg_catalog.bytea[]")
			default:
				b.WriteString("pg_catalog.decode('" + v[2:] + "', 'hex')")
			}
		case piece.Text != "":
			b.WriteString(piece.Text)
		default:
			b.WriteString(text[piece.From:piece.To])
		}
	}
	return b.String()
}

// clearSQL makes the tables of worldSQL as they would be without sealed columns.
func clearSQL() string {
	s := strings.ReplaceAll(worldSQL, "ssn bytea", "ssn text")
	s = strings.ReplaceAll(s, "name bytea", "name text")
	s = strings.ReplaceAll(s, "pin bytea", "pin int")
	return strings.ReplaceAll(s, "body bytea", "body text")
}

// rows are those of both databases: table, columns, values; NULL is "".
var rows = []struct{ table, columns, values string }{
	{"users", "id ssn name pin email age raw", `1 x ann 5 x 30 \x01|2 y bob 7 e 30 \x02|3 x - 5 y 40 \x03|4 - cat - x 40 \x04|5 a ann 5 x 50 \x05`},
	{"people", "id ssn city", `1 x x|2 b berlin|3 y x|5 - rome|6 x rome`},
	{"accounts", "id org_id ssn label", `1 1 x a|2 1 y b|3 2 x c|4 2 x d|5 1 x e`},
	{"members", "id org_id ssn role", `1 1 x r|2 2 x r|3 2 z r|4 3 x r`},
	{"docs", "id public_id body", `1 00000000-0000-0000-0000-000000000001 text`},
	{"orders", "id user_id total note", `1 1 10 n|2 2 5 n|3 1 7 m`},
}

func fill(t testing.TB, conn *pgx.Conn, policy *field.Policy) {
	t.Helper()
	for _, r := range rows {
		names := strings.Fields(r.columns)
		for _, line := range strings.Split(r.values, "|") {
			var list []string
			tenant := "t"
			for i, v := range strings.Fields(line) {
				if names[i] == "org_id" {
					tenant = v
				}
				col := (*field.Column)(nil)
				if policy != nil && policy.Table(r.table) != nil {
					col = policy.Table(r.table).Column(names[i])
				}
				switch {
				case v == "-":
					list = append(list, "NULL")
				case col != nil:
					list = append(list, fmt.Sprintf(`'\x%x'`, mockSeal(col, tenant, v)))
				default:
					list = append(list, "'"+v+"'")
				}
			}
			run(t, conn, "INSERT INTO "+r.table+" VALUES ("+strings.Join(list, ", ")+")")
		}
	}
}

func run(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

// texts are the statements of a golden file.
func texts(t testing.TB, path string) (out []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(data), "\n\n") {
		var lines []string
		for _, line := range strings.Split(block, "\n") {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "  ") {
				lines = append(lines, line)
			}
		}
		if text := strings.TrimSpace(strings.Join(lines, "\n")); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// sample is a value for a parameter of a type.
func sample(oid uint32) []byte {
	switch oid {
	case 20, 21, 23, 1700:
		return []byte("1")
	case 1009, 1015:
		return []byte("{x,b}")
	case 1007, 1016:
		return []byte("{5,6}")
	}
	return []byte("x")
}

// unstable are statements whose result the server may choose.
func unstable(text string) bool {
	for _, word := range []string{"tablesample", "ctid", "tableoid", "xmin", "limit", "into ", "distinct on", "fetch first", " over ", "lateral", "c1.", ";"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// TestReadingGivesTheSameRows runs the statements of testdata/read.txt on both databases.
func TestReadingGivesTheSameRows(t *testing.T) {
	policy := worldPolicy(t)
	sealed, plain := connected(t), connectedTo(t, clearSQL())
	fill(t, sealed, policy)
	fill(t, plain, nil)
	snapshot, err := catalog.Load(context.Background(), querier{sealed}, policy)
	if err != nil {
		t.Fatal(err)
	}
	c := &plan.Context{Catalog: snapshot, Path: []string{"pg_catalog", "public"}}
	compared := 0
	for _, text := range texts(t, "testdata/read.txt") {
		p, err := plan.Analyze(c, text)
		if err != nil {
			continue
		}
		described, err := plain.PgConn().Prepare(context.Background(), "", text, nil)
		if err != nil {
			if strings.Contains(text, ";") || strings.Contains(err.Error(), "does not exist") || strings.Contains(err.Error(), "ambiguous") || strings.Contains(err.Error(), "could not determine data type") {
				continue
			}
			t.Errorf("%s\nis not a statement: %v", text, err)
			continue
		}
		params := make([][]byte, max(len(described.ParamOIDs), len(p.Params)))
		for i, oid := range described.ParamOIDs {
			params[i] = sample(oid)
		}
		want := plain.PgConn().ExecParams(context.Background(), text, params[:len(described.ParamOIDs)], nil, nil, nil).Read()
		got := readSealed(sealed, p, text, params)
		compared++
		switch {
		case want.Err != nil:
			t.Errorf("%s\nplain: %v", text, want.Err)
		case got.Err != nil:
			t.Errorf("%s\nsealed: %v\n%s", text, got.Err, rendered(text, p))
		case unstable(text):
		case !slices.EqualFunc(names(want), names(got), func(a, b string) bool { return a == b }):
			t.Errorf("%s\nhas columns %v, want %v", text, names(got), names(want))
		case !bytes.Equal(shape(want, nil), shape(got, p)):
			t.Errorf("%s\n%s\ngot\n%swant\n%s", text, rendered(text, p), shape(got, p), shape(want, nil))
		}
	}
	if compared < 200 {
		t.Errorf("only %d statements were compared", compared)
	}
}

// readSealed runs a plan on the sealed tables, its parameters made of the client's.
func readSealed(conn *pgx.Conn, p *plan.Plan, text string, client [][]byte) *pgconn.Result {
	values, oids := client[:min(len(client), p.NumParams)], []uint32(nil)
	if p.Params != nil {
		values, oids = make([][]byte, len(p.Params)), make([]uint32, len(p.Params))
		for i, param := range p.Params {
			oids[i] = param.OID
			switch {
			case param.Cell != 0:
				if v, ok := made(p.Cells[param.Cell-1], client); ok {
					values[i] = []byte(v)
				}
			case param.Client != 0:
				values[i] = client[param.Client-1]
			}
		}
	}
	return conn.PgConn().ExecParams(context.Background(), rendered(text, p), values, oids, nil, nil).Read()
}

func names(r *pgconn.Result) (out []string) {
	for _, f := range r.FieldDescriptions {
		out = append(out, f.Name)
	}
	return out
}

// shape is a result's rows in an order of their own, opened where the plan says so.
func shape(r *pgconn.Result, p *plan.Plan) []byte {
	var lines []string
	for _, row := range r.Rows {
		var line []string
		for i, v := range row {
			s := string(v)
			if v == nil {
				s = "NULL"
			} else if p != nil && len(p.Stmts) == 1 && i < len(p.Stmts[0].Result) && len(p.Stmts[0].Result[i].Possible) > 0 {
				s = opened(v, p.Stmts[0].Result[i].Possible)
			}
			line = append(line, s)
		}
		lines = append(lines, strings.Join(line, "|"))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// opened opens a value in text form whose guard is that of one of the columns.
func opened(v []byte, possible []*field.Column) string {
	var raw []byte
	if _, err := fmt.Sscanf(string(v), `\x%x`, &raw); err != nil {
		return "not sealed: " + string(v)
	}
	for _, c := range possible {
		if guard := c.Guard(); bytes.HasPrefix(raw, guard[:]) {
			return mockOpen(raw)
		}
	}
	return "of another column"
}
