package integration

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/internal/guard"
)

// sakilaPolicy seals what sakila holds of persons.
const sakilaPolicy = `
tenant: {default: sakila}
tables:
  customer:
    columns:
      first_name: {type: varchar(45), search: [equality]}
      last_name:  {type: varchar(45), search: [equality]}
      email:      {type: varchar(50), search: [equality], scope: global}
  staff:
    columns:
      first_name: {type: varchar(45)}
      last_name:  {type: varchar(45)}
      email:      {type: varchar(50), search: [equality], scope: global}
      password:   {type: varchar(40), key: row}
  address:
    columns:
      phone: {type: varchar(20)}
`

const (
	sakilaDocs  = "../docs/PROXY.md"
	sakilaBegin = "<!-- sakila: ROWSEAL_SAKILA=DIR go test ./integration -run TestTheProxyServesTheSakilaDatabase -update -->\n"
	sakilaEnd   = "<!-- end of sakila -->"
)

var updateDocs = flag.Bool("update", false, "rewrite the table of refusals in docs/PROXY.md")

// sakilaDatabase runs statements on a sealed copy of the sample database through the
// proxy, and on its twin in clear, and keeps which were refused.
type sakilaDatabase struct {
	*matrix
	names    map[string]bool // of customers, in capitals
	keywords map[string]bool // of SQL: some customers are called as they are
	refused  []string        // lines of the document's table
	same     int             // statements that gave what the twin gives, in every form
	wrong    int
}

// The document's table is what the test expects: a statement that is in it must be
// refused, and all others give what the plain database gives.
func TestTheProxyServesTheSakilaDatabase(t *testing.T) {
	dir := os.Getenv(envSakila)
	if dir == "" {
		t.Skipf("%s is not set; it names the folder with schema.sql and data.sql of the sakila sample database", envSakila)
	}
	s := newSakila(t, dir)
	t.Run("load", s.compareEverything)
	s.group(t, "views", s.viewShapes(t))
	s.group(t, "functions", slices.Concat(sakilaCalls, sakilaBodies, sakilaTriggers))
	s.group(t, "application", slices.Concat(sakilaReads, sakilaFinds, sakilaWrites, sakilaRefusals, sakilaCorners))
	s.group(t, "migrations", sakilaMigrations)
	t.Run("copy", s.copies)
	t.Run("at rest", s.nothingReadable)
	if at := s.readable(s.rig.Log.Bytes()); at != "" {
		t.Errorf("the server's log holds %s", at)
	}
	if s.wrong > 0 || s.same < 300 {
		t.Errorf("%d statements went wrong, %d right", s.wrong, s.same)
	}
	t.Logf("%d statements as on a plain database, %d refused, %d wrong", s.same, len(s.refused), s.wrong)
	s.document(t)
}

// newSakila loads both databases, the sealed one through the proxy.
func newSakila(t *testing.T, dir string) *sakilaDatabase {
	t.Helper()
	r := versions[0].bareRig(t, sakilaPolicy)
	r.Through = r.start(t, r.Tap.Addr())
	plain := load(t, r.Twin, dir)
	s := &sakilaDatabase{matrix: &matrix{rig: r, t: t}, names: map[string]bool{}, keywords: map[string]bool{}}
	customers, _ := originals(t, plain)
	for _, c := range customers {
		s.names[c.FirstName], s.names[c.LastName] = true, true
	}
	words, err := plain.Query(t.Context(), "SELECT upper(word) FROM pg_get_keywords()")
	must(t, err)
	keywords, err := pgx.CollectRows(words, pgx.RowTo[string])
	must(t, err)
	for _, word := range keywords {
		s.keywords[word] = true
	}
	r.exec(t, r.Direct, ownerOfTheDump)
	s.connect()
	s.schema(t, readSteps(t, dir, "schema.sql"))
	for _, step := range readSteps(t, dir, "data.sql") {
		must(t, step.run(t.Context(), s.through))
		sent := r.Tap.Take()
		if !step.copy || sealedCopy.MatchString(step.sql) {
			s.assertUnreadable(t, step.sql, sent)
		}
	}
	s.guarded(t)
	// Aggregates without ORDER BY follow the plan: both databases need the same statistics.
	r.exec(t, r.Direct, "VACUUM (ANALYZE)")
	_, err = plain.Exec(t.Context(), "VACUUM (ANALYZE)")
	must(t, err)
	return s
}

// sealedCopy are the dump's COPYs that have sealed columns. Names of customers occur in other
// tables too: actors and cities bear the same.
var sealedCopy = regexp.MustCompile(`^COPY public\.(customer|staff) `)

func readSteps(t *testing.T, dir, name string) []step {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	steps, err := splitScript(string(script))
	must(t, err)
	return steps
}

// schema makes the tables through the proxy. What the proxy refuses is made beside it, as an
// administrator may: what views and functions then hold is no different.
func (s *sakilaDatabase) schema(t *testing.T, steps []step) {
	t.Helper()
	beside := connectPG(t, s.rig.Direct)
	for _, step := range steps {
		err := step.run(t.Context(), s.through)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "0A000" && refused.Hint != "" {
			s.list("schema.sql", step.sql, refused)
			err = step.run(t.Context(), beside)
		} else if err == nil && strings.HasPrefix(step.sql, "SET ") {
			err = step.run(t.Context(), beside)
		} else {
			s.same++
		}
		must(t, err)
	}
}

// guarded: every sealed column has the guards that `rowseal init` makes, and every searchable one its index.
func (s *sakilaDatabase) guarded(t *testing.T) {
	t.Helper()
	conn := connectPG(t, s.rig.Direct)
	for _, table := range s.rig.File.Policy.Tables() {
		for _, c := range table.Columns() {
			for _, g := range guard.Of(c) {
				r := conn.ExecParams(t.Context(), "SELECT FROM pg_constraint WHERE conname = $1 AND conrelid = $2::regclass",
					[][]byte{[]byte(g.Name(table.Name())), []byte(table.Name())}, nil, nil, nil).Read()
				if r.Err != nil || len(r.Rows) != 1 {
					t.Errorf("%s.%s has no guard %s: %v", table.Name(), c.Name(), g.Name(table.Name()), r.Err)
				}
			}
		}
	}
}

func (s *sakilaDatabase) compareEverything(t *testing.T) {
	tables := s.twin.ExecParams(t.Context(), "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1", nil, nil, nil, nil).Read()
	if tables.Err != nil || len(tables.Rows) != 21 {
		t.Fatalf("%d tables, %v", len(tables.Rows), tables.Err)
	}
	for _, row := range tables.Rows {
		sh := &shape{sql: "SELECT * FROM " + string(row[0])}
		s.compare(t, s.execute(t, s.through, sh, extendedForm), s.execute(t, s.twin, sh, extendedForm))
		s.same++
	}
}

// binaryForm is a statement in the extended protocol whose result is asked for in binary.
const binaryForm form = "binary"

func (s *sakilaDatabase) execute(t *testing.T, conn *pgconn.PgConn, sh *shape, f form) outcome {
	t.Helper()
	if f != binaryForm {
		return execute(t, conn, sh, f)
	}
	r := conn.ExecParams(t.Context(), sh.sql, byteArgs(sh.args), nil, nil, []int16{1}).Read()
	return toOutcome(conn, sh, []*pgconn.Result{r}, r.Err)
}

func (s *sakilaDatabase) group(t *testing.T, name string, shapes []shape) {
	t.Run(name, func(t *testing.T) {
		for _, sh := range shapes {
			t.Run(sh.sql, func(t *testing.T) { s.statement(t, name, &sh) })
		}
	})
}

// statement runs one statement in every form, all of which must end alike.
func (s *sakilaDatabase) statement(t *testing.T, group string, sh *shape) {
	forms := sh.forms()
	if !sh.simple {
		forms = append(forms, binaryForm)
	}
	refusals := 0
	for _, f := range forms {
		refused := s.once(t, sh, f)
		if refused == nil {
			continue
		}
		if refusals++; refusals == 1 {
			s.list(group, sh.sql, refused)
		}
	}
	if refusals != 0 && refusals != len(forms) {
		t.Errorf("refused in %d of %d forms", refusals, len(forms))
	}
	switch {
	case t.Failed():
		s.wrong++
	case refusals == 0:
		s.same++
	}
}

// once runs it in one form. It gives the proxy's refusal, or nil where both databases gave the same.
func (s *sakilaDatabase) once(t *testing.T, sh *shape, f form) *pgconn.PgError {
	t.Helper()
	s.connect()
	s.both(t, "BEGIN")
	defer s.both(t, "ROLLBACK")
	for _, sql := range sh.setup {
		s.both(t, sql)
	}
	s.rig.Tap.Take()
	got, want := s.execute(t, s.through, sh, f), s.execute(t, s.twin, sh, f)
	s.assertUnreadable(t, string(f), s.rig.Tap.Take())
	if got.broken != nil {
		t.Fatalf("%s: the session is gone: %v", f, got.broken)
	}
	if got.err != nil && got.err.Code == "0A000" && got.err.Hint != "" {
		s.assertUnreadable(t, "the refusal", fmt.Appendf(nil, "%+v", *got.err))
		return got.err
	}
	if strings.Contains(sh.sql, "group_concat(") || strings.Contains(sh.sql, "actor_info") {
		got.unordered()
		want.unordered()
	}
	s.compare(t, got, want)
	if got.err == nil && !strings.HasPrefix(sh.sql, "SELECT") {
		s.compareTables(t)
	}
	return nil
}

// unordered sorts the words of results with aggregates without ORDER BY: in what order these take rows is the plan's business, and
// the server's statistics of the two databases are of different moments.
func (o *outcome) unordered() {
	for i, result := range o.results {
		words := strings.FieldsFunc(result, func(r rune) bool { return strings.ContainsRune(` ,;:"`, r) })
		slices.Sort(words)
		o.results[i] = strings.Join(words, " ")
	}
}

// compareTables compares what statements of these tests write. Times are the server's.
func (s *sakilaDatabase) compareTables(t *testing.T) {
	t.Helper()
	for _, sql := range []string{
		"SELECT customer_id, store_id, first_name, last_name, email, address_id, activebool, active FROM public.customer",
		"SELECT staff_id, first_name, last_name, address_id, email, store_id, active, username, password FROM public.staff",
		"SELECT address_id, address, district, phone FROM public.address",
	} {
		sh := &shape{sql: sql}
		s.compare(t, execute(t, s.through, sh, extendedForm), execute(t, s.twin, sh, extendedForm))
	}
}

// viewShapes are each view as a whole, each of its columns, its rows without columns, and its own query.
func (s *sakilaDatabase) viewShapes(t *testing.T) (shapes []shape) {
	t.Helper()
	r := s.twin.ExecParams(t.Context(), `SELECT c.relname, a.attname, pg_get_viewdef(c.oid, 10000)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname, a.attnum`, nil, nil, nil, nil).Read()
	must(t, r.Err)
	last := ""
	for _, row := range r.Rows {
		view, column, query := string(row[0]), string(row[1]), strings.TrimSuffix(string(row[2]), ";")
		if view != last {
			last = view
			shapes = append(shapes, shape{sql: "SELECT * FROM " + view}, shape{sql: "SELECT count(*) FROM " + view},
				shape{sql: strings.Join(strings.Fields(query), " ")})
		}
		shapes = append(shapes, shape{sql: fmt.Sprintf("SELECT %q FROM %s", column, view)})
	}
	if len(shapes) < 7*3 {
		t.Fatalf("%d statements of views", len(shapes))
	}
	return shapes
}

// copies compares COPY in both directions.
func (s *sakilaDatabase) copies(t *testing.T) {
	for _, sql := range sakilaCopyOut {
		t.Run(sql, func(t *testing.T) {
			s.connect()
			var got, want bytes.Buffer
			_, err := s.twin.CopyTo(t.Context(), &want, sql)
			must(t, err)
			_, err = s.through.CopyTo(t.Context(), &got, sql)
			var refused *pgconn.PgError
			switch {
			case errors.As(err, &refused) && refused.Code == "0A000" && refused.Hint != "":
				s.list("COPY", sql, refused)
				return
			case err != nil || !bytes.Equal(got.Bytes(), want.Bytes()):
				s.wrong++
				t.Fatalf("%v; got %d bytes\n%.300q\nwant %d bytes\n%.300q", err, got.Len(), got.Bytes(), want.Len(), want.Bytes())
			}
			s.same++
		})
	}
	for _, in := range sakilaCopyIn {
		t.Run(in.sql, func(t *testing.T) {
			s.connect()
			s.both(t, "BEGIN")
			defer s.both(t, "ROLLBACK")
			s.rig.Tap.Take()
			_, err := s.twin.CopyFrom(t.Context(), strings.NewReader(in.data), in.sql)
			must(t, err)
			_, err = s.through.CopyFrom(t.Context(), strings.NewReader(in.data), in.sql)
			must(t, err)
			s.assertUnreadable(t, in.sql, s.rig.Tap.Take())
			s.compareTables(t)
			s.same++
		})
	}
}

// list notes a refusal.
func (s *sakilaDatabase) list(group, sql string, refused *pgconn.PgError) {
	text := []rune(strings.Join(strings.Fields(sql), " "))
	if len(text) > 120 {
		text = append(text[:119], '…')
	}
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	s.refused = append(s.refused, fmt.Sprintf("| %s | `%s` | %s | %s. %s |\n", group, cell(string(text)), refused.Code, cell(refused.Message), cell(refused.Hint)))
}

// document compares the table of refusals with docs/PROXY.md, or writes it there.
func (s *sakilaDatabase) document(t *testing.T) {
	text, err := os.ReadFile(sakilaDocs)
	must(t, err)
	head, rest, ok := strings.Cut(string(text), sakilaBegin)
	table, tail, ok2 := strings.Cut(rest, sakilaEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", sakilaDocs)
	}
	want := "| of | statement | SQLSTATE | reason |\n|---|---|---|---|\n" + strings.Join(s.refused, "")
	switch {
	case table == want:
	case *updateDocs && !t.Failed():
		must(t, os.WriteFile(sakilaDocs, []byte(head+sakilaBegin+want+sakilaEnd+tail), 0o600))
	default:
		t.Errorf("%s does not hold the refusals; where they are right, run the test with -update:\n%s", sakilaDocs, want)
	}
}

// nothingReadable looks for customers and staff in the tables as they are.
func (s *sakilaDatabase) nothingReadable(t *testing.T) {
	conn := connectPG(t, s.rig.Direct)
	values := 0
	for _, table := range s.rig.File.Policy.Tables() {
		for _, c := range table.Columns() {
			r := conn.ExecParams(t.Context(), fmt.Sprintf("SELECT %s FROM %s", c.Name(), table.Name()), nil, nil, nil, []int16{1}).Read()
			must(t, r.Err)
			for _, row := range r.Rows {
				values++
				s.assertUnreadable(t, table.Name()+"."+c.Name(), row[0])
			}
		}
	}
	if values != 3*599+4*2+603 {
		t.Errorf("%d sealed values were looked at", values)
	}
}

func (s *sakilaDatabase) assertUnreadable(t *testing.T, where string, data []byte) {
	t.Helper()
	if at := s.readable(data); at != "" {
		t.Errorf("%.80s: plaintext: %s", where, at)
	}
}

var capitals = regexp.MustCompile(`[A-Z]{5,}`)

// readable gives a name, an e-mail, the staff's password hash or what these tests write, where it occurs in data, with what stands around it; "" for none.
func (s *sakilaDatabase) readable(data []byte) string {
	around := func(at int) string { return fmt.Sprintf("%q", data[max(0, at-60):min(len(data), at+60)]) }
	lower := bytes.ToLower(data)
	for _, word := range []string{"@sakila", "hillyer", "stephens", "8cb2237d0679", "canary"} {
		if at := bytes.Index(lower, []byte(word)); at >= 0 {
			return around(at)
		}
	}
	for _, at := range capitals.FindAllIndex(data, -1) {
		// A message's length may be a letter in front of its first word: W in front of ALTER.
		word := string(data[at[0]:at[1]])
		if s.names[word] && !s.keywords[word] && !s.keywords[word[1:]] {
			return around(at[0])
		}
	}
	return ""
}

// both runs a statement in both places, also when the test's context has ended.
func (s *sakilaDatabase) both(t *testing.T, sql string) {
	t.Helper()
	for _, conn := range []*pgconn.PgConn{s.through, s.twin} {
		if conn.IsClosed() {
			continue
		}
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), sql).ReadAll(); err != nil {
			t.Errorf("%.60s: %v", sql, err)
		}
	}
}
