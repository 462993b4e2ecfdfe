package plan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
)

var update = flag.Bool("update-golden", false, "write testdata/writes.txt anew")

// wSchema is what the statements of testdata/writes.txt are about.
const wSchema = `
CREATE TABLE people (id bigint PRIMARY KEY, org text, ssn bytea, name bytea, note text, n int);
CREATE UNIQUE INDEX ON people (org, pg_catalog.substr(ssn, 9, 16));
CREATE UNIQUE INDEX people_ssn_idx ON people (pg_catalog.substr(ssn, 9, 16));
CREATE TABLE flat (id int PRIMARY KEY, email bytea, phone bytea, score bytea, raw bytea, note text, UNIQUE (note));
CREATE UNIQUE INDEX ON flat (pg_catalog.substr(email, 9, 16));
CREATE TABLE keyed (id int PRIMARY KEY, secret bytea, other bytea, note text);
CREATE TABLE parent (id int PRIMARY KEY, secret bytea);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (parent);
CREATE VIEW parent_v AS SELECT id, secret FROM parent;
CREATE TABLE pkeyed (id int PRIMARY KEY, secret bytea) PARTITION BY RANGE (id);
CREATE TABLE pkeyed_1 PARTITION OF pkeyed FOR VALUES FROM (0) TO (1000);
CREATE TABLE bound (id int PRIMARY KEY, v bytea, w bytea, note text);
CREATE TABLE dated (day date PRIMARY KEY, v bytea);
CREATE TABLE serials (id serial PRIMARY KEY, v bytea);
CREATE TABLE withdefault (id int PRIMARY KEY, v bytea DEFAULT '\x00', w bytea, note text DEFAULT 'x');
CREATE TABLE gentenant (id int PRIMARY KEY, org text DEFAULT 'a', v bytea);
CREATE TABLE parted (id int, org text, ssn bytea, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE plain (id int PRIMARY KEY, a text, b bytea, org text);
CREATE TABLE uuids (id uuid PRIMARY KEY, day bytea, at bytea, tags bytea, flag bytea, amount bytea, doc bytea, u bytea);
CREATE TABLE half (id int);
CREATE TABLE moving (id int PRIMARY KEY, old text, v bytea);
CREATE VIEW people_v AS SELECT id, org, ssn AS social, note FROM people;
CREATE VIEW flat_v AS SELECT id, email FROM flat WHERE id > 0;
CREATE VIEW defaulting AS SELECT id, email FROM flat;
ALTER VIEW defaulting ALTER email SET DEFAULT '\x00';
CREATE VIEW mixed AS SELECT f.id, f.email, v.x FROM flat f, (VALUES ('shown')) AS v (x);
CREATE VIEW ruled AS SELECT id, email FROM flat;
CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING;
CREATE FUNCTION touch() RETURNS void LANGUAGE sql AS 'UPDATE flat SET note = NULL';
CREATE FUNCTION several() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1 UNION ALL SELECT 2';
CREATE FUNCTION single() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE churn() LANGUAGE sql AS 'DELETE FROM flat';
CREATE PROCEDURE calm(x text) LANGUAGE sql AS 'SELECT 1';
`

func wColumn(t testing.TB, name, typ string, set ...func(*field.ColumnConfig)) field.ColumnConfig {
	t.Helper()
	parsed, err := codec.ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	c := field.ColumnConfig{Name: name, Type: parsed}
	for _, f := range set {
		f(&c)
	}
	return c
}

func wEqual(c *field.ColumnConfig)  { c.Search.Equality = true }
func wGlobal(c *field.ColumnConfig) { c.Search.Equality, c.Scope = true, field.ScopeGlobal }
func wRowKey(c *field.ColumnConfig) { c.Mode = envelope.ModeRow }

func wPolicy(t testing.TB) *field.Policy {
	t.Helper()
	byDefault := field.TenantSource{Default: "main"}
	byColumn := field.TenantSource{Column: "org"}
	var tables []*field.Table
	for _, cfg := range []field.TableConfig{
		{Name: "people", Tenant: byColumn, Columns: []field.ColumnConfig{wColumn(t, "ssn", "text", wEqual), wColumn(t, "name", "varchar(45)")}},
		{Name: "flat", Tenant: byDefault, Columns: []field.ColumnConfig{
			wColumn(t, "email", "text", wGlobal), wColumn(t, "phone", "text"), wColumn(t, "score", "int4", wGlobal), wColumn(t, "raw", "bytea"),
		}},
		{Name: "keyed", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "secret", "text", wRowKey), wColumn(t, "other", "text", wRowKey)}},
		{Name: "parent", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "secret", "text", wRowKey)}},
		{Name: "pkeyed", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "secret", "text", wRowKey)}},
		{Name: "bound", Tenant: byDefault, RowID: "id", Columns: []field.ColumnConfig{wColumn(t, "v", "text"), wColumn(t, "w", "text")}},
		{Name: "dated", Tenant: byDefault, RowID: "day", Columns: []field.ColumnConfig{wColumn(t, "v", "text")}},
		{Name: "serials", Tenant: byDefault, RowID: "id", Columns: []field.ColumnConfig{wColumn(t, "v", "text")}},
		{Name: "withdefault", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "v", "text"), wColumn(t, "w", "text")}},
		{Name: "gentenant", Tenant: byColumn, Columns: []field.ColumnConfig{wColumn(t, "v", "text")}},
		{Name: "parted", Tenant: byColumn, Columns: []field.ColumnConfig{wColumn(t, "ssn", "text", wEqual)}},
		{Name: "uuids", Tenant: byDefault, Columns: []field.ColumnConfig{
			wColumn(t, "day", "date"), wColumn(t, "at", "timestamptz"), wColumn(t, "tags", "text[]"), wColumn(t, "flag", "bool"),
			wColumn(t, "amount", "numeric(10,2)"), wColumn(t, "doc", "jsonb"), wColumn(t, "u", "uuid", wGlobal),
		}},
		{Name: "moving", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "v", "text", func(c *field.ColumnConfig) { c.Transition.Plain = "old" })}},
		{Name: "half", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "ssn", "varchar", wEqual)}},
		{Name: "coming", Tenant: byDefault, Columns: []field.ColumnConfig{wColumn(t, "ssn", "varchar(20)", wGlobal), wColumn(t, "memo", "text")}},
	} {
		table, err := field.NewTable(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	p, err := field.NewPolicy(tables...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type wQuerier struct{ conn *pgx.Conn }

func (q wQuerier) Query(ctx context.Context, sql string) ([][][]byte, error) {
	results, err := q.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	return results[0].Rows, nil
}

// wServer is a database with the schema, and a context for its analysis.
func wServer(t testing.TB) (*pgx.Conn, Context) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testpg.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), wSchema); err != nil {
		t.Fatal(err)
	}
	policy := wPolicy(t)
	snapshot, err := catalog.Load(t.Context(), wQuerier{conn}, policy)
	if err != nil {
		t.Fatal(err)
	}
	return conn, Context{Catalog: snapshot, Policy: policy, Path: []string{"pg_catalog", "public"}}
}

// wCase is a statement of the golden file.
type wCase struct {
	name, sql, want string
	tenant          string
	types           []uint32
	noBackslash     bool
	prepare         []string
}

// wCases reads the golden file: cases are divided by lines of "=== name"; then
// come directives (@…), the statement, a line "---", and what becomes of it.
func wCases(t testing.TB, text string) (out []wCase) {
	t.Helper()
	for _, block := range strings.Split(text, "=== ")[1:] {
		name, rest, _ := strings.Cut(block, "\n")
		c := wCase{name: name}
		sql, want, _ := strings.Cut(rest, "\n---\n")
		c.want = strings.TrimSpace(want)
		for strings.HasPrefix(sql, "@") {
			line, more, _ := strings.Cut(sql, "\n")
			sql = more
			word, arg, _ := strings.Cut(line, " ")
			switch word {
			case "@tenant":
				c.tenant = arg
			case "@nobackslash":
				c.noBackslash = true
			case "@types":
				for _, s := range strings.Fields(arg) {
					n, err := strconv.ParseUint(s, 10, 32)
					if err != nil {
						t.Fatal(err)
					}
					c.types = append(c.types, uint32(n))
				}
			case "@prepare":
				c.prepare = append(c.prepare, arg)
			default:
				t.Fatalf("%s: directive %s", name, word)
			}
		}
		c.sql = strings.TrimSpace(sql)
		out = append(out, c)
	}
	return out
}

func (c wCase) context(t testing.TB, base Context) Context {
	t.Helper()
	base.Tenant, base.ParamTypes, base.NoBackslash = c.tenant, c.types, c.noBackslash
	plans := map[string]*Plan{}
	base.Prepared = func(name string) *Plan { return plans[name] }
	for _, sql := range c.prepare {
		own := base
		own.ParamTypes = nil
		p, err := Analyze(&own, sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		plans[p.Stmts[0].Name] = p.Stmts[0].Inner
	}
	return base
}

// wShow writes a plan for people: the text, what its cells are, what its parameters are.
func wShow(text string, p *Plan, err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return fmt.Sprintf("REFUSED %s %s\nHINT %s", r.SQLState, r.Message, r.Hint)
	}
	if err != nil {
		return "ERROR " + err.Error()
	}
	var b strings.Builder
	for _, piece := range p.Pieces {
		switch {
		case piece.Cell != 0:
			b.WriteString("«" + wShowCell(p.Cells[piece.Cell-1]) + "»")
		case piece.Text != "":
			b.WriteString(piece.Text)
		default:
			b.WriteString(text[piece.From:piece.To])
		}
	}
	if len(p.Pieces) == 0 {
		b.WriteString("UNCHANGED")
	}
	wShowParams(&b, p)
	for _, s := range p.Stmts {
		if s.Inner != nil {
			b.WriteString("\nINNER")
			wShowParams(&b, s.Inner)
		}
		for i, o := range s.Result {
			if len(o.Possible) > 0 {
				fmt.Fprintf(&b, "\nRESULT %d %v tenant %d row %d", i, o.Possible, o.TenantAt, o.RowIDAt)
			}
		}
		if c := s.Copy; c != nil {
			fmt.Fprintf(&b, "\nCOPY in=%v %s delim=%q quote=%q escape=%q null=%q header=%v tenant=%d row=%d force=%v %v %v", c.In, c.Format,
				c.Delimiter, c.Quote, c.Escape, c.Null, c.Header, c.TenantAt, c.RowIDAt, c.ForceQuote, c.ForceNotNull, c.ForceNull)
			for i, o := range c.Columns {
				fmt.Fprintf(&b, "\n  %d %v", i, o.Possible)
			}
		}
	}
	return b.String()
}

func wShowParams(b *strings.Builder, p *Plan) {
	for i, param := range p.Params {
		fmt.Fprintf(b, "\n$%d = ", i+1)
		switch {
		case param.Cell != 0:
			b.WriteString(wShowCell(p.Cells[param.Cell-1]))
		case param.Client != 0:
			fmt.Fprintf(b, "the client's $%d", param.Client)
		default:
			b.WriteString("NULL")
		}
		if param.OID != 0 {
			fmt.Fprintf(b, " as %d", param.OID)
		}
		if i < len(p.Logical) && p.Logical[i] != 0 {
			fmt.Fprintf(b, " shown as %d", p.Logical[i])
		}
	}
}

func wShowCell(c Cell) string {
	source := func(s Source) string {
		if s.Array {
			s.Array = false
			return "each of " + wShowSource(s)
		}
		return wShowSource(s)
	}
	out := []string{"seal", "term", "terms", "seals"}[c.Do] + " " + c.Column.String() + " " + source(c.From)
	if c.From.As != 0 {
		out += " as " + strconv.Itoa(int(c.From.As))
	}
	if !c.Tenant.IsZero() {
		out += " of " + source(c.Tenant)
	}
	if !c.RowID.IsZero() {
		out += " row id " + source(c.RowID)
	}
	if c.seals() {
		out += " in " + strconv.Itoa(c.Row)
	}
	return out
}

func wShowSource(s Source) string {
	out := "session"
	switch {
	case s.Param != 0:
		out = "$" + strconv.Itoa(s.Param)
	case s.Const != nil && s.Const.Null:
		out = "NULL"
	case s.Const != nil:
		out = fmt.Sprintf("%q:%d", s.Const.Text, s.Const.OID)
	}
	if s.Type != 0 {
		out += ":" + strconv.Itoa(int(s.Type))
	}
	if s.Sought && s.Param != 0 {
		out += " or nobody"
	}
	return out
}

// wRender gives the text that a server gets, with bytes of the right shape for sealed values.
func wRender(text string, p *Plan) string {
	if len(p.Pieces) == 0 {
		return text
	}
	var b strings.Builder
	for _, piece := range p.Pieces {
		switch {
		case piece.Cell != 0:
			c := p.Cells[piece.Cell-1]
			switch {
			case c.From.Const.Null:
				b.WriteString("NULL::pg_catalog.bytea")
			case c.OfArray():
				b.WriteString("ARRAY[pg_catalog.decode('" + hex.EncodeToString(wBytes(c)) + "','hex')]::pg_catalog.bytea[]")
			default:
				b.WriteString("pg_catalog.decode('" + hex.EncodeToString(wBytes(c)) + "','hex')")
			}
		case piece.Text != "":
			b.WriteString(piece.Text)
		default:
			b.WriteString(text[piece.From:piece.To])
		}
	}
	return b.String()
}

func wBytes(c Cell) []byte {
	sum := sha256.Sum256([]byte(wShowCell(c)))
	if !c.seals() {
		return sum[:16]
	}
	return append(append(bytes.Clone(c.Column.Prefixes()[0]), sum[:]...), sum[:]...)
}

func TestWrites(t *testing.T) {
	t.Parallel()
	conn, base := wServer(t)
	path := "testdata/writes.txt"
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cases := wCases(t, string(golden))
	var anew strings.Builder
	for _, c := range cases {
		head, _, _ := strings.Cut(string(golden[strings.Index(string(golden), "=== "+c.name+"\n"):]), "\n---\n")
		fmt.Fprintf(&anew, "%s\n---\n", strings.TrimRight(head, "\n"))
		t.Run(c.name, func(t *testing.T) {
			own := c.context(t, base)
			p, err := Analyze(&own, c.sql)
			got := strings.TrimSpace(wShow(c.sql, p, err))
			anew.WriteString(got + "\n\n")
			if got != c.want && !*update {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", c.sql, got, c.want)
			}
			if err == nil {
				wNoConstants(t, c.sql, p)
				wRun(t, conn, base, c, p)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, []byte(anew.String()), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
	if len(cases) < 250 {
		t.Errorf("%d statements, want at least 250", len(cases))
	}
}

// wNoConstants checks that no constant which is sealed is left in the text for the server.
func wNoConstants(t *testing.T, sql string, p *Plan) {
	t.Helper()
	rendered := wRender(sql, p)
	for _, c := range p.Cells {
		if k := c.From.Const; k != nil && strings.Contains(k.Text, "secret") && strings.Contains(rendered, k.Text) {
			t.Errorf("the text for the server has the constant %q: %s", k.Text, rendered)
		}
	}
}

// wRun lets a real server read the text.
func wRun(t *testing.T, conn *pgx.Conn, base Context, c wCase, p *Plan) {
	t.Helper()
	ctx := t.Context()
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		t.Fatal(err)
	}
	defer conn.Exec(context.Background(), "ROLLBACK; DEALLOCATE ALL")
	for _, sql := range c.prepare {
		prepared, err := Analyze(&base, sql)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.PgConn().Exec(ctx, wRender(sql, prepared)).ReadAll(); err != nil {
			t.Fatalf("%v: %s", err, wRender(sql, prepared))
		}
	}
	text := wRender(c.sql, p)
	var err error
	switch {
	case strings.HasPrefix(text, "COPY") && strings.Contains(text, "FROM STDIN"):
		_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader(""), text)
		if err != nil && strings.Contains(strings.ToLower(text), "binary") {
			err = nil                  // an empty stream is not one in this format
			conn.Exec(ctx, "ROLLBACK") // ends what failed
		}
	case strings.HasPrefix(text, "COPY"):
		_, err = conn.PgConn().CopyTo(ctx, &bytes.Buffer{}, text)
	case len(p.Stmts) == 1 && p.NumParams > 0:
		oids := make([]uint32, len(p.Params))
		for i, param := range p.Params {
			oids[i] = param.OID
			if param.OID == 0 && i < len(c.types) {
				oids[i] = c.types[i]
			}
		}
		if p.Params == nil {
			oids = c.types
		}
		_, err = conn.PgConn().Prepare(ctx, "", text, oids)
	default:
		_, err = conn.PgConn().Exec(ctx, text).ReadAll()
	}
	if err != nil && !strings.Contains(err.Error(), "row of another tenant") {
		t.Errorf("the server does not take it: %v\n%s", err, text)
	}
}
